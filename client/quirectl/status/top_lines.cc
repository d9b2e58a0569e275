#include "client/quirectl/status/top_lines.h"

#include <algorithm>

#include "client/quirectl/meter/json_rows.h"

namespace quire::client {

namespace {

uint64_t since(const Between& between, uint64_t now, uint64_t before) {
  return between.seconds <= 0 || now < before ? 0 : now - before;
}

void append_tier(std::string& line, const TierFacts& tier, const Between& between) {
  const auto& tiers = between.before.tiers;
  const auto before = std::find_if(tiers.begin(), tiers.end(),
                                   [&](const TierFacts& one) { return one.name == tier.name; });
  const TierFacts& then = before == tiers.end() ? tier : *before;
  line.append(",\"").append(tier.name).append("\":{");
  JsonFields fields(line);
  fields.text("state", tier.state);
  fields.number("used_bytes", tier.used_bytes);
  fields.number("capacity_bytes", tier.capacity_bytes);
  fields.number("written_bytes", since(between, tier.written_bytes, then.written_bytes));
  fields.number("read_bytes", since(between, tier.read_bytes, then.read_bytes));
  line += '}';
}

void append_session(std::string& line, const SessionFacts& session) {
  line.append(line.back() == '[' ? "{" : ",{");
  JsonFields fields(line);
  fields.number("session", session.number);
  fields.text("domain", session.domain);
  fields.text("tenant", session.tenant);
  fields.text("namespace", session.namespace_name);
  fields.number("turns", session.turns);
  fields.number("prompt_tokens", session.prompt_tokens);
  fields.number("hit_tokens", session.hit_tokens);
  line += '}';
}

}  // namespace

std::string top_line(const StatusFacts& facts, const Between& between, int64_t time_us) {
  const DaemonFacts& now = facts.daemon;
  const DaemonFacts& before = between.before;
  std::string line = R"({"schema":"quire.top.v1")";
  JsonFields fields(line);
  fields.number("time_us", static_cast<uint64_t>(time_us));
  fields.number("interval_ms", static_cast<uint64_t>(between.seconds * 1000));
  fields.text("state", now.state);
  fields.number("connected", now.connected);
  fields.number("sessions", now.sessions);
  fields.number("leases", now.leases);
  fields.number("matches", since(between, now.matches, before.matches));
  fields.number("prompt_tokens", since(between, now.prompt_tokens, before.prompt_tokens));
  fields.number("hit_tokens", since(between, now.hit_tokens, before.hit_tokens));
  fields.number("committed_bytes", since(between, now.committed_bytes, before.committed_bytes));
  for (const TierFacts& tier : now.tiers) append_tier(line, tier, between);
  line += ",\"latest_sessions\":[";
  if (facts.sessions) {
    for (const SessionFacts& session : facts.sessions->rows) append_session(line, session);
  }
  return line + "]}\n";
}

}  // namespace quire::client
