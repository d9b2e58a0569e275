// Everything an operator can set. server/start/flags.cc fills it from the command line and flag
// file; programs that embed a daemon (tests, benchmarks) fill it directly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "allocator/segment.h"
#include "model/result.h"
#include "server/start/role_rules.h"

namespace quire::server {

struct Options {
  std::string socket_path = "/run/quire/quired.sock";
  uint32_t socket_mode = 0660;
  uint64_t ram_bytes = 1ull << 30;
  uint64_t segment_bytes = 64ull << 20;  // 64 MiB..1 GiB
  // Of this process, where the machine does not show it; it only narrows. 0: what the machine
  // shows.
  uint64_t memory_limit_bytes = 0;
  allocator::HugePages huge_pages = allocator::HugePages::kAuto;
  allocator::Population population = allocator::Population::kEager;
  uint32_t copy_workers = 1;
  uint32_t spin_us = 100;  // the core polls this long after the last work before it sleeps
  bool verify_hits = false;
  uint32_t default_deadline_ms = 10'000;
  uint32_t search_ms = 20;        // that a match waits for what the cluster has; 0: never
  uint32_t search_tokens = 1024;  // unknown ones of a prompt that are worth it
  uint32_t max_connections = 256;
  uint32_t max_sessions = 16384;
  uint64_t session_memory_bytes = 8ull << 30;
  uint32_t uid_share_percent = 75;  // of what all clients share, at most for one uid
  uint64_t max_nodes = 1ull << 27;  // at most; fewer where the budgets hold fewer
  // --- SSD tier; none when ssd_path is empty ---
  std::string ssd_path;
  uint64_t ssd_bytes = 64ull << 30;         // of data files
  std::string ssd_shrink = "refuse";        // more is there: refuse to write, evict down to it
  uint64_t ssd_region_bytes = 64ull << 20;  // of a new directory; a larger object takes several
  std::string ssd_engine = "auto";          // auto, io_uring, pread
  uint32_t ssd_queue_depth = 64;            // operations in flight
  uint64_t ssd_queue_bytes = 32ull << 20;   // bytes in flight
  std::string ssd_write = "through";        // through: soon after a commit; back: when RAM is short
  uint32_t ssd_write_delay_ms = 50;
  std::string ssd_codec = "auto";           // auto, off
  uint64_t ssd_codec_bytes = 128ull << 20;  // memory for encoded pages under way
  std::string ram_policy = "lru";           // a file of cache/eviction/policies/, or auto
  std::string ssd_policy = "lru";           // likewise
  std::string checkpoints = "turn_ends";    // model/checkpoint_policy.h
  std::string quota_file;                   // TOML (server/control/scope_file.h); empty: none
  // What commands have set is kept there; empty: in settings.toml of the SSD's directory, if any.
  std::string state_file;
  bool metering = true;
  std::string ledger_path;            // receipts; empty: in "ledger" of the SSD's directory, if any
  uint64_t ledger_bytes = 0;          // of receipts: the oldest go beyond that; 0: none
  uint32_t ledger_days = 0;           // older receipts are removed; 0: none
  std::string ssd_admission = "all";  // all, interactive, second-use, policy
  uint64_t ghost_bytes = 64ull << 20;  // memory for what other policies would hit; 0: none
  uint64_t why_bytes = 4ull << 20;     // remembers turns and departures, for why; 0: nothing
  uint64_t event_bytes = 16ull << 20;  // events until they are read; 0: none
  // Endpoints of a ZeroMQ publisher of everybody's events, as vLLM has one; empty: none.
  std::string events_zmq;
  std::string events_zmq_replay;
  std::string events_zmq_format = "array";  // or map
  uint64_t ssd_write_bytes_per_day = 0;     // 0 = no limit
  uint64_t ssd_scrub_bytes_per_second = 0;  // 0 = only when asked for
  uint32_t ssd_hang_ms = 30'000;
  // --- cluster tier (docs/cluster.md); none when cluster_conf is empty ---
  std::string cluster_conf;  // ceph.conf
  std::string cluster_pool = "quire";
  std::string cluster_user = "quire";           // client.NAME of CephX; its keyring is in the conf
  uint64_t cluster_bytes = 0;                   // of the pool, all hosts together; 0: what it takes
  uint32_t cluster_max_age_hours = 0;           // since it was written; 0: nothing is too old
  uint64_t cluster_run_bytes = 8ull << 20;      // of a RADOS object, at most
  uint64_t cluster_queue_bytes = 256ull << 20;  // bytes of runs under way
  std::string cluster_admission = "second-use";     // as ssd_admission, but for policy
  uint64_t cluster_write_bytes_per_day = 0;         // 0 = no limit
  uint64_t cluster_tenant_write_bytes_per_day = 0;  // likewise, of each tenant
  uint32_t cluster_write_delay_ms = 500;            // behind the SSD's
  uint32_t cluster_timeout_ms = 10'000;             // whole seconds
  std::string tenants;            // "uid=tenant|tenant;uid=*"; a uid not named may use any
  std::string shared_namespaces;  // "name,name": tenants share hits in them
  RoleRules roles;                // who may see all, and who reads receipts
  std::string log_level = "info";
  std::string log_format = "text";  // text, logfmt, json
  // --- HTTP; none when http_address is empty ---
  std::string http_address;      // server/start/http_address.h
  std::string http_token_file;   // server/http/http_tokens.h; empty: this machine alone, no tokens
  std::string http_price_book;   // docs/prices.md; the status page says what hits saved by it
  std::string http_price_model;  // in that book
};

// What is said of tiers below RAM where the flags that make them would help.
inline constexpr std::string_view kNoLowerTier = "there is no SSD tier; start with --ssd_path";
inline constexpr std::string_view kNoLowerTierToRead =
    "there is no SSD tier whose headers could be read";
// Of a layout with an object of `bytes`, where the largest that a tier takes is `held_bytes`.
std::string too_large_for_tiers(const std::string& layout, uint64_t bytes, uint64_t held_bytes);

// Of --state_file, or its default; empty: nothing is kept.
std::string state_path(const Options& options);
// Of --ledger_path, or its default; empty: no receipts are kept.
std::string ledger_path(const Options& options);

// What is remembered of --why_memory: of turns a quarter at most, of departures the rest.
struct WhyBytes {
  uint64_t turns = 0;
  uint64_t departures = 0;
};
inline constexpr uint64_t kMinWhyBytes = 64 << 10;
WhyBytes why_bytes(const Options& options);

// kInvalidArgument with the flag's name, the rule and what was given.
model::Result<void> validate(const Options& options);

// Which tenants a uid may speak for. Values copy.
class TenantRules {
 public:
  // Of --tenants. kInvalidArgument names the part that is wrong.
  static model::Result<TenantRules> parse(const std::string& text);
  // A uid that no rule names may speak for any tenant of its own domain.
  bool allows(uint32_t uid, const std::string& tenant) const;

 private:
  struct Rule {
    uint32_t uid = 0;
    std::vector<std::string> tenants;  // "*" = any
  };
  std::vector<Rule> rules_;
};

// "a,b,c" -> {a, b, c}; empty parts are dropped.
std::vector<std::string> split_names(const std::string& text, char separator);

}  // namespace quire::server
