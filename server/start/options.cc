#include "server/start/options.h"

#include <sys/un.h>

#include <algorithm>
#include <bit>
#include <charconv>

#include "allocator/available_memory.h"
#include "cache/eviction/policy.h"
#include "cache/ghosts/auto_policy.h"
#include "model/checkpoint_policy.h"
#include "model/limits.h"
#include "server/start/http_address.h"
#include "tiering/demotion/admission.h"

namespace quire::server {

using model::Errc;
using model::make_error;

namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;

model::Error wrong(const std::string& flag, const std::string& rule) {
  return make_error(Errc::kInvalidArgument, "--" + flag + " " + rule);
}

model::Result<void> check_policy(const std::string& flag, const std::string& name,
                                 uint64_t ghost_bytes) {
  if (cache::find_policy(name) != nullptr) return {};
  if (name != cache::kAutoName) {
    return wrong(flag, "must be one of " + cache::policy_names() + ", auto");
  }
  if (ghost_bytes == 0) return wrong(flag, "auto follows ghosts, and --ghost_memory is 0");
  return {};
}

model::Result<void> validate_memory(const Options& options) {
  const uint64_t segment = options.segment_bytes;
  if (segment < 64 * kMiB || segment > kGiB || segment % (2 * kMiB) != 0) {
    return wrong("segment_bytes",
                 "must be 64 MiB..1 GiB and a multiple of 2 MiB; it is " + std::to_string(segment));
  }
  if (options.ram_bytes < segment) {
    return wrong("ram_bytes", "must hold at least one segment of " + std::to_string(segment) +
                                  " bytes; it is " + std::to_string(options.ram_bytes));
  }
  const uint64_t limit = options.memory_limit_bytes;
  if (limit != 0 && limit < segment + allocator::kMemoryReserveBytes) {
    return wrong("memory_limit_bytes", "must be 0 (what the machine shows) or hold a segment and " +
                                           std::to_string(allocator::kMemoryReserveBytes) +
                                           " bytes of reserve; it is " + std::to_string(limit));
  }
  if (options.session_memory_bytes < kMiB) {
    return wrong("session_memory_bytes", "must be at least 1 MiB");
  }
  if (options.max_nodes < 1024 || options.max_nodes > (1ull << 31)) {
    return wrong("max_nodes", "must be in 1024..2147483648");
  }
  return {};
}

model::Result<void> validate_ssd(const Options& options) {
  if (options.ssd_path.empty()) return {};
  const uint64_t region = options.ssd_region_bytes;
  if (region < kMiB || region > kGiB || region % kMiB != 0) {
    return wrong("ssd_region_bytes",
                 "must be 1 MiB..1 GiB and a multiple of 1 MiB; it is " + std::to_string(region));
  }
  // Two regions of what size is the directory's to say.
  if (options.ssd_bytes < 2 * kMiB) return wrong("ssd_bytes", "must be at least 2 MiB");
  if (options.ssd_queue_depth < 4 || options.ssd_queue_depth > 1024 ||
      !std::has_single_bit(options.ssd_queue_depth)) {
    return wrong("ssd_queue_depth", "must be a power of two in 4..1024");
  }
  if (options.ssd_queue_bytes < kMiB) return wrong("ssd_queue_bytes", "must be at least 1 MiB");
  if (options.ssd_engine != "auto" && options.ssd_engine != "io_uring" &&
      options.ssd_engine != "pread") {
    return wrong("ssd_engine", "must be auto, io_uring or pread");
  }
  if (options.ssd_write != "through" && options.ssd_write != "back") {
    return wrong("ssd_write", "must be through or back");
  }
  if (options.ssd_shrink != "refuse" && options.ssd_shrink != "evict") {
    return wrong("ssd_shrink", "must be refuse or evict");
  }
  if (options.ssd_codec != "auto" && options.ssd_codec != "off") {
    return wrong("ssd_codec", "must be auto or off");
  }
  if (options.ssd_codec_bytes < kMiB) return wrong("ssd_codec_bytes", "must be at least 1 MiB");
  QUIRE_TRY(check_policy("ssd_policy", options.ssd_policy, options.ghost_bytes));
  if (auto rule = tiering::parse_admission_rule(options.ssd_admission); !rule.ok()) {
    return wrong("ssd_admission", rule.error().text);
  }
  if (options.ssd_write_delay_ms > 60'000) return wrong("ssd_write_delay_ms", "must be <= 60,000");
  if (options.ssd_hang_ms < 100) return wrong("ssd_hang_ms", "must be at least 100");
  return {};
}

model::Result<void> validate_cluster(const Options& options) {
  if (options.cluster_conf.empty()) return {};
  if (options.cluster_pool.empty()) return wrong("cluster_pool", "must not be empty");
  if (options.cluster_user.empty() || options.cluster_user.starts_with("client.")) {
    return wrong("cluster_user", "must be the name behind \"client.\", for example quire");
  }
  if (options.cluster_run_bytes < 4 * kMiB || options.cluster_run_bytes > 16 * kMiB) {
    return wrong("cluster_run_bytes", "must be in 4 MiB..16 MiB");
  }
  if (options.cluster_queue_bytes < 4 * options.cluster_run_bytes) {
    return wrong("cluster_queue_bytes", "must be at least four times --cluster_run_bytes");
  }
  if (options.cluster_timeout_ms < 1000 || options.cluster_timeout_ms > 600'000) {
    return wrong("cluster_timeout_ms", "must be in 1,000..600,000");
  }
  if (options.cluster_write_delay_ms > 60'000) {
    return wrong("cluster_write_delay_ms", "must be <= 60,000");
  }
  if (auto rule = tiering::parse_admission_rule(options.cluster_admission); !rule.ok()) {
    return wrong("cluster_admission", rule.error().text);
  } else if (*rule == tiering::AdmissionRule::kPolicy) {
    return wrong("cluster_admission",
                 "policy weighs a newcomer against what would go for it, and nothing goes from the "
                 "cluster: use all, interactive or second-use");
  }
  return {};
}

// Whoever reaches the endpoint hears every user's events.
model::Result<void> check_endpoint(const char* flag, const std::string& endpoint) {
  for (const std::string_view prefix : {"ipc:///", "tcp://127.0.0.1:", "tcp://[::1]:"}) {
    if (endpoint.starts_with(prefix) && endpoint.size() > prefix.size()) return {};
  }
  return wrong(flag, "must be ipc:///path, tcp://127.0.0.1:port or tcp://[::1]:port; it is \"" +
                         endpoint + '"');
}

model::Result<void> validate_events(const Options& options) {
  constexpr uint64_t kFewest = 128 << 10;  // 1,024 events
  if (options.event_bytes > 0 && options.event_bytes < kFewest) {
    return wrong("event_memory", "must be 0 or at least 128 KiB");
  }
  if (options.events_zmq_format != "array" && options.events_zmq_format != "map") {
    return wrong("events_zmq_format", "must be array or map");
  }
  if (options.events_zmq.empty()) {
    if (options.events_zmq_replay.empty()) return {};
    return wrong("events_zmq_replay", "needs --events_zmq");
  }
  if (options.event_bytes == 0) return wrong("events_zmq", "needs --event_memory");
  QUIRE_TRY(check_endpoint("events_zmq", options.events_zmq));
  if (options.events_zmq_replay.empty()) return {};
  return check_endpoint("events_zmq_replay", options.events_zmq_replay);
}

}  // namespace

std::string too_large_for_tiers(const std::string& layout, uint64_t bytes, uint64_t held_bytes) {
  return "layout " + layout + ": an object of " + std::to_string(bytes) +
         " bytes is kept in RAM only, the SSD tier holds objects of up to " +
         std::to_string(held_bytes) +
         ": raise --ssd_bytes, or use a new --ssd_path with larger --ssd_region_bytes";
}

std::string state_path(const Options& options) {
  if (!options.state_file.empty() || options.ssd_path.empty()) return options.state_file;
  return options.ssd_path + "/settings.toml";
}

std::string ledger_path(const Options& options) {
  if (!options.metering) return {};
  if (!options.ledger_path.empty() || options.ssd_path.empty()) return options.ledger_path;
  return options.ssd_path + "/ledger";
}

WhyBytes why_bytes(const Options& options) {
  constexpr uint64_t kMostTurnBytes = 1 << 20;  // beyond it there is nothing an operator asks about
  const uint64_t turns = std::min(options.why_bytes / 4, kMostTurnBytes);
  return {.turns = turns, .departures = options.why_bytes - turns};
}

model::Result<void> validate(const Options& options) {
  if (options.ghost_bytes > 0 && options.ghost_bytes < 16 * kMiB) {
    return wrong("ghost_memory", "must be 0 or at least 16 MiB");
  }
  if (options.why_bytes > 0 && options.why_bytes < kMinWhyBytes) {
    return wrong("why_memory", "must be 0 or at least 64 KiB");
  }
  QUIRE_TRY(check_policy("ram_policy", options.ram_policy, options.ghost_bytes));
  if (auto checkpoints = model::parse_checkpoint_policy(options.checkpoints); !checkpoints.ok()) {
    return make_error(checkpoints.code(), "--checkpoints: " + checkpoints.error().text);
  }
  if (options.socket_path.empty() || options.socket_path.size() >= sizeof(sockaddr_un::sun_path)) {
    return wrong("socket", "must be a path of 1..107 bytes");
  }
  QUIRE_TRY(validate_memory(options));
  QUIRE_TRY(validate_ssd(options));
  QUIRE_TRY(validate_cluster(options));
  QUIRE_TRY(validate_events(options));
  if (options.copy_workers < 1 || options.copy_workers > 64) {
    return wrong("copy_workers", "must be in 1..64");
  }
  if (options.spin_us > 1'000'000) return wrong("spin_us", "must be at most 1,000,000");
  if (options.max_connections < 1 || options.max_connections > 65536) {
    return wrong("max_connections", "must be in 1..65536");
  }
  if (options.max_sessions < 1 || options.max_sessions > (1u << 20)) {
    return wrong("max_sessions", "must be in 1..1048576");
  }
  if (options.uid_share_percent < 1 || options.uid_share_percent > 100) {
    return wrong("uid_share_percent", "must be in 1..100");
  }
  if (options.default_deadline_ms == 0 || options.default_deadline_ms > model::kMaxDeadlineMs) {
    return wrong("default_deadline_ms", "must be in 1..600000");
  }
  if (options.search_ms > 1000) return wrong("search_ms", "must be in 0..1000");
  QUIRE_TRY(TenantRules::parse(options.tenants));
  QUIRE_TRY(check_http(options.http_address, options.http_token_file));
  if (options.http_price_book.empty() != options.http_price_model.empty()) {
    return wrong("http_price_book", "and --http_price_model are given together or not at all");
  }
  static constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};
  if (std::find(std::begin(kLevels), std::end(kLevels), options.log_level) == std::end(kLevels)) {
    return wrong("log_level", "must be debug, info, warning or error");
  }
  static constexpr std::string_view kFormats[] = {"text", "logfmt", "json"};
  if (std::find(std::begin(kFormats), std::end(kFormats), options.log_format) ==
      std::end(kFormats)) {
    return wrong("log_format", "must be text, logfmt or json");
  }
  return {};
}

std::vector<std::string> split_names(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t start = 0;
  while (start <= text.size()) {
    const size_t end = std::min(text.find(separator, start), text.size());
    if (end > start) parts.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

model::Result<TenantRules> TenantRules::parse(const std::string& text) {
  TenantRules rules;
  for (const std::string& part : split_names(text, ';')) {
    const size_t equals = part.find('=');
    Rule rule;
    const char* end = part.data() + std::min(equals, part.size());
    const auto parsed = std::from_chars(part.data(), end, rule.uid);
    if (equals == std::string::npos || parsed.ptr != end || parsed.ec != std::errc{}) {
      return wrong("tenants", "must read uid=tenant|tenant;uid=*; wrong at \"" + part + "\"");
    }
    rule.tenants = split_names(part.substr(equals + 1), '|');
    if (rule.tenants.empty()) return wrong("tenants", "names no tenant for \"" + part + "\"");
    rules.rules_.push_back(std::move(rule));
  }
  return rules;
}

bool TenantRules::allows(uint32_t uid, const std::string& tenant) const {
  const auto rule =
      std::find_if(rules_.begin(), rules_.end(), [&](const Rule& r) { return r.uid == uid; });
  // A uid without a rule speaks for every tenant of its own domain: domains are kept apart anyway.
  if (rule == rules_.end()) return true;
  return std::any_of(rule->tenants.begin(), rule->tenants.end(), [&](const std::string& allowed) {
    return allowed == "*" || allowed == tenant;
  });
}

}  // namespace quire::server
