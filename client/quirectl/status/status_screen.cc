#include "client/quirectl/status/status_screen.h"

#include <algorithm>

#include "client/quirectl/readable.h"

namespace quire::client {

namespace {

using Cells = std::vector<std::string>;

std::string tenant_name(const std::string& name) { return name.empty() ? "(shared)" : name; }

// One line a fault, and one with what to do; empty when all is well.
std::string faults(const DaemonFacts& daemon, const Palette& palette) {
  std::string text;
  const auto add = [&](const std::string& who, const std::string& state, const std::string& reason,
                       const std::string& action) {
    text += palette.paint(Tone::kStrong, who) + " is " + palette.state(state) +
            (reason.empty() ? "" : ": " + reason) + '\n';
    if (!action.empty()) text += "  to do: " + action + '\n';
  };
  for (const TierFacts& tier : daemon.tiers) {
    if (tier.state != "ok") add(tier.name, tier.state, tier.reason, tier.action);
  }
  if (daemon.ledger.state == "failed") {
    add("ledger", daemon.ledger.state, daemon.ledger.reason, daemon.ledger.action);
  }
  if (daemon.ledger.lost > 0) {
    text += palette.paint(Tone::kBad, std::to_string(daemon.ledger.lost)) +
            " receipts were lost since the start\n";
  }
  return text;
}

std::string hit_line(const StatusFacts& facts) {
  const DaemonFacts& daemon = facts.daemon;
  std::string quarter = "-";
  std::string ceiling = "-";
  if (facts.window && facts.window->prompt_tokens > 0) {
    quarter = percent_text(facts.window->hit_percent);
    ceiling = percent_text(facts.window->ceiling_percent);
  }
  return "hit rate   now " + share_text(daemon.recent_hit_tokens, daemon.recent_prompt_tokens) +
         "   15 min " + quarter + "   ceiling " + ceiling + "   since start " +
         share_text(daemon.hit_tokens, daemon.prompt_tokens) + " of " +
         tokens_text(daemon.prompt_tokens) + '\n';
}

std::string tier_table(const DaemonFacts& daemon, const Palette& palette) {
  std::vector<Cells> rows;
  for (const TierFacts& tier : daemon.tiers) {
    rows.push_back({tier.name, palette.state(tier.state), bytes_text(tier.used_bytes),
                    bytes_text(tier.capacity_bytes),
                    share_text(tier.used_bytes, tier.capacity_bytes), count_text(tier.spans),
                    count_text(tier.checkpoints), tier.name == "ram" ? "" : count_text(tier.queued),
                    tier.limits});
  }
  return columns_text({"TIER", "STATE", ">USED", ">OF", ">SHARE", ">SPANS", ">CHECKPOINTS",
                       ">TO WRITE", "WAITS FOR"},
                      rows);
}

std::string tenant_rows(const Census<TenantFacts>& tenants, size_t most) {
  std::vector<Cells> rows;
  for (const TenantFacts& tenant : tenants.rows) {
    if (rows.size() == most) break;
    rows.push_back({tenant_name(tenant.tenant), tenant.domain, count_text(tenant.sessions),
                    bytes_text(tenant.ram_bytes), bytes_text(tenant.ssd_bytes)});
  }
  std::string text = columns_text({"TENANT", "DOMAIN", ">SESSIONS", ">RAM", ">SSD"}, rows);
  if (tenants.total > rows.size()) {
    text += "and " + count_text(tenants.total - rows.size()) + " more\n";
  }
  return text;
}

std::string session_rows(const Census<SessionFacts>& sessions, size_t most) {
  std::vector<Cells> rows;
  for (const SessionFacts& session : sessions.rows) {
    if (rows.size() == most) break;
    rows.push_back(
        {std::to_string(session.number), session.domain, tenant_name(session.tenant),
         session.namespace_name, count_text(session.processes), duration_text(session.idle_ms),
         count_text(session.turns), count_text(session.prompt_tokens),
         share_text(session.hit_tokens, session.prompt_tokens), count_text(session.leases)});
  }
  std::string text = columns_text({">SESSION", "DOMAIN", "TENANT", "NAMESPACE", ">PROCESSES",
                                   ">IDLE", ">TURNS", ">PROMPT", ">HIT", ">LEASES"},
                                  rows);
  if (sessions.total > rows.size()) {
    text += "and " + count_text(sessions.total - rows.size()) + " more\n";
  }
  return text;
}

std::string counted(uint64_t count, const std::string& noun) {
  return count_text(count) + ' ' + noun + (count == 1 ? "" : "s");
}

// Receipts that nobody wants are no fault.
std::string receipts_word(const LedgerFacts& ledger, const Palette& palette) {
  if (ledger.state.empty() || ledger.state == "off") return "receipts off";
  return "receipts " + palette.state(ledger.state) +
         (ledger.waiting == 0 ? "" : ", " + count_text(ledger.waiting) + " waiting");
}

std::string head_line(const DaemonFacts& daemon, const Palette& palette) {
  return "quired " + palette.state(daemon.state) + "   " + counted(daemon.connected, "client") +
         ", " + counted(daemon.sessions, "session") + ", " + counted(daemon.leases, "lease") +
         "   " + receipts_word(daemon.ledger, palette) + '\n';
}

std::string a_second(uint64_t now, uint64_t before, double seconds, std::string (*text)(uint64_t)) {
  if (seconds <= 0 || now < before) return "-";
  return text(static_cast<uint64_t>(static_cast<double>(now - before) / seconds)) + "/s";
}

std::string rate_line(const DaemonFacts& now, const Between& between) {
  const DaemonFacts& before = between.before;
  const auto rate = [&](uint64_t later, uint64_t earlier, std::string (*text)(uint64_t)) {
    return a_second(later, earlier, between.seconds, text);
  };
  const bool known = between.seconds > 0 && now.prompt_tokens >= before.prompt_tokens;
  return "rates      requests " + rate(now.matches, before.matches, count_text) + "   prompts " +
         rate(now.prompt_tokens, before.prompt_tokens, tokens_text) + "   hit " +
         (known ? share_text(now.hit_tokens - before.hit_tokens,
                             now.prompt_tokens - before.prompt_tokens)
                : "-") +
         "   written " + rate(now.committed_bytes, before.committed_bytes, bytes_text) + '\n';
}

std::string tier_rates(const DaemonFacts& now, const Between& between, const Palette& palette) {
  std::vector<Cells> rows;
  for (const TierFacts& tier : now.tiers) {
    const auto before = std::find_if(between.before.tiers.begin(), between.before.tiers.end(),
                                     [&](const TierFacts& one) { return one.name == tier.name; });
    const bool known = before != between.before.tiers.end();
    const auto rate = [&](uint64_t TierFacts::*figure) {
      return a_second(tier.*figure, known ? (*before).*figure : 0, known ? between.seconds : 0,
                      bytes_text);
    };
    rows.push_back(
        {tier.name, palette.state(tier.state), bytes_text(tier.used_bytes),
         bytes_text(tier.capacity_bytes), share_text(tier.used_bytes, tier.capacity_bytes),
         rate(&TierFacts::written_bytes), tier.name == "ram" ? "" : rate(&TierFacts::read_bytes)});
  }
  return columns_text({"TIER", "STATE", ">USED", ">OF", ">SHARE", ">WRITTEN", ">READ"}, rows);
}

size_t lines_in(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

std::string status_screen(const StatusFacts& facts, const Palette& palette) {
  const DaemonFacts& daemon = facts.daemon;
  if (daemon.scope == "own") {
    return "quired " + palette.state(daemon.state) +
           "   what is everybody's is shown to readers (--reader_uids); -o json shows your own\n";
  }
  std::string text = head_line(daemon, palette) + faults(daemon, palette) + '\n' + hit_line(facts) +
                     '\n' + tier_table(daemon, palette);
  if (facts.tenants && !facts.tenants->rows.empty()) {
    text += '\n' + tenant_rows(*facts.tenants, kMostTenants);
  }
  return text;
}

std::string top_screen(const StatusFacts& facts, const Between& between, const ScreenSize& size,
                       const Palette& palette) {
  const DaemonFacts& daemon = facts.daemon;
  std::string text = head_line(daemon, palette) + faults(daemon, palette) +
                     rate_line(daemon, between) + hit_line(facts) + '\n' +
                     tier_rates(daemon, between, palette) + '\n';
  // Heads, "and N more", blank lines and the terminal's last row; of the rest tenants have a third.
  const size_t used = lines_in(text) + 6;
  const size_t left = size.rows > used ? size.rows - used : 2;
  const size_t of_tenants =
      facts.tenants ? std::min(facts.tenants->rows.size(), std::max<size_t>(1, left / 3)) : 0;
  if (facts.sessions) {
    text += session_rows(*facts.sessions, std::max<size_t>(1, left - of_tenants)) + '\n';
  }
  if (facts.tenants) text += tenant_rows(*facts.tenants, of_tenants);
  return text;
}

std::string sessions_table(const Census<SessionFacts>& sessions) {
  return session_rows(sessions, sessions.rows.size());
}

std::string tenants_table(const Census<TenantFacts>& tenants) {
  return tenant_rows(tenants, tenants.rows.size());
}

}  // namespace quire::client
