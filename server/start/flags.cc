#include "server/start/flags.h"

#include <gflags/gflags.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cache/eviction/policy.h"
#include "model/byte_text.h"
#include "model/nearest_name.h"
#include "server/start/flag_file.h"
#include "server/start/flag_registry.h"

namespace {

// A new policy is in the help without a change here. The text lives as long as the flags do, which
// keep a pointer to it.
const char* policy_help(const std::string& who) {
  static std::map<std::string, std::string> texts;
  return texts.try_emplace(who, who + ": " + quire::cache::policy_names() + ", auto")
      .first->second.c_str();
}

}  // namespace

DEFINE_string(socket, "/run/quire/quired.sock", "unix socket to listen on");
DEFINE_string(socket_mode, "0660", "permissions of the socket, octal");
DEFINE_string(ram_bytes, "1GiB", "RAM for pages of all domains");
DEFINE_string(segment_bytes, "64MiB", "size of one segment, 64MiB..1GiB");
DEFINE_string(memory_limit_bytes, "0",
              "of this process, where the machine does not show its limit; 0 = what it shows");
DEFINE_string(huge_pages, "auto", "auto, hugetlb, thp or off");
DEFINE_uint32(copy_workers, 1, "threads that copy commits into the pool");
DEFINE_uint32(spin_us, 100, "the core polls this long after the last work before it sleeps");
DEFINE_bool(verify_hits, false, "check the CRC32C of every page before it is delivered");
DEFINE_uint32(default_deadline_ms, 10000, "of a request that names none; at most 600000");
DEFINE_uint32(search_ms, 20,
              "a match waits at most so long for what the cluster has of its prompt; 0: never");
DEFINE_uint32(search_tokens, 1024, "of a prompt, unknown here: fewer are not searched for");
DEFINE_uint32(max_connections, 256, "client connections");
DEFINE_uint32(max_sessions, 16384, "sessions of all clients");
DEFINE_string(session_memory_bytes, "8GiB", "rings and staging of all sessions");
DEFINE_uint32(uid_share_percent, 75,
              "of connections, sessions, their memory, descriptors and leases, for one uid");
DEFINE_string(ssd_path, "", "directory of the SSD tier; empty: RAM only");
DEFINE_string(ssd_bytes, "64GiB", "room for data files on SSD");
DEFINE_string(ssd_shrink, "refuse",
              "when the directory holds more than --ssd_bytes: refuse (only read it), or evict the "
              "least useful");
DEFINE_string(ssd_region_bytes, "64MiB",
              "of a new directory, 1MiB..1GiB; a larger object takes several");
DEFINE_string(ssd_engine, "auto", "auto, io_uring or pread");
DEFINE_uint32(ssd_queue_depth, 64, "device operations in flight");
DEFINE_string(ssd_queue_bytes, "32MiB", "bytes of device operations in flight");
DEFINE_string(ssd_write, "through", "through: soon after a commit; back: when RAM runs short");
DEFINE_uint32(ssd_write_delay_ms, 50, "write-through waits so long for longer runs");
DEFINE_string(ssd_codec, "auto", "auto: lz4 for groups of which samples say it pays; off");
DEFINE_string(ssd_codec_bytes, "128MiB",
              "memory for encoded pages on their way, besides ram_bytes");
DEFINE_string(ram_policy, "lru", policy_help("who leaves RAM first"));
DEFINE_string(ssd_policy, "lru", policy_help("whose copy leaves the SSD first"));
DEFINE_string(checkpoints, "turn_ends",
              "which checkpoints engines are asked for: none, branch, turn_ends, every:N, all");
DEFINE_string(quota_file, "", "what users and tenants may hold of a tier (TOML; docs/quotas.md)");
DEFINE_string(state_file, "",
              "keeps what quirectl policy and quota set; empty: settings.toml in --ssd_path");
DEFINE_bool(metering, true, "keep a receipt of each turn, where there is a place for them");
DEFINE_string(ledger_path, "",
              "directory of receipts; empty: ledger in --ssd_path, or none without that");
DEFINE_string(ledger_bytes, "0",
              "receipts beyond so many bytes are removed, oldest first; 0 = none");
DEFINE_uint32(ledger_days, 0, "receipts older than so many days are removed; 0 = none");
DEFINE_string(ghost_memory, "64MiB",
              "for ghosts, which say what other policies and sizes would hit; 0 = none");
DEFINE_string(event_memory, "16MiB",
              "for events of what is stored and removed, until they are read; 0 = none");
DEFINE_string(events_zmq, "",
              "publish everybody's events as vLLM does: ipc:///path or tcp://127.0.0.1:port");
DEFINE_string(events_zmq_replay, "", "and replay the last of them, on request; likewise");
DEFINE_string(events_zmq_format, "array", "array, or map as newer vLLM has it");
DEFINE_string(why_memory, "4MiB",
              "remembers what turns missed and what was evicted, for quirectl why; 0 = nothing");
DEFINE_string(
    ssd_admission, "all",
    "what may be written: all, interactive, second-use, policy (what the SSD's eviction policy "
    "finds worth who would go for it)");
DEFINE_string(ssd_write_bytes_per_day, "0", "write budget; 0 = no limit");
DEFINE_string(ssd_scrub_bytes_per_second, "0", "checks what is on SSD all the time; 0 = on demand");
DEFINE_uint32(ssd_hang_ms, 30000, "a device without an answer for so long is switched off");
DEFINE_string(cluster_conf, "", "ceph.conf of the cluster tier; empty: none (docs/cluster.md)");
DEFINE_string(cluster_pool, "quire", "the pool, which all hosts of a deployment share");
DEFINE_string(cluster_user, "quire", "the CephX user, behind \"client.\"");
DEFINE_string(cluster_bytes, "0",
              "all hosts together keep the pool below that; 0 = what the pool takes");
DEFINE_uint32(cluster_max_age_hours, 0, "what was written longer ago is removed; 0 = nothing is");
DEFINE_string(cluster_run_bytes, "8MiB", "of a RADOS object, at most: 4MiB..16MiB");
DEFINE_string(cluster_queue_bytes, "256MiB", "memory for what is on its way, besides ram_bytes");
DEFINE_string(cluster_admission, "second-use",
              "what may be written there: all, interactive, second-use");
DEFINE_string(cluster_write_bytes_per_day, "0", "write budget of this host; 0 = no limit");
DEFINE_string(cluster_tenant_write_bytes_per_day, "0",
              "write budget of each tenant on this host; 0 = no limit");
DEFINE_uint32(cluster_write_delay_ms, 500, "what is new waits so long for longer runs");
DEFINE_uint32(cluster_timeout_ms, 10000, "of an operation, in whole seconds");
DEFINE_string(tenants, "", "who may speak for whom: uid=tenant|tenant;uid=*");
DEFINE_string(reader_uids, "",
              "who sees everything and changes nothing: uid, user name or @group, by commas");
DEFINE_string(meter_uids, "", "who reads receipts: uid, user name or @group, by commas");
DEFINE_string(shared_namespaces, "", "namespaces in which tenants share hits: name,name");
DEFINE_string(http_address, "",
              "serve /metrics, /healthz, /readyz, /status and a status page there, for example "
              "127.0.0.1:9470; empty: no HTTP (docs/http.md)");
DEFINE_string(
    http_token_file, "",
    "who may read over HTTP: lines \"metrics TOKEN\" and \"reader TOKEN\"; without it only "
    "loopback addresses are served");
DEFINE_string(http_price_book, "", "the status page says what hits saved by this price book");
DEFINE_string(http_price_model, "", "the model of --http_price_book by which it does");
DEFINE_string(log_level, "info", "debug, info, warning or error");
DEFINE_string(log_format, "text", "lines of the log: text, logfmt or json");
DEFINE_bool(rebuild, false, "make the index of --ssd_path anew from its data files, and exit");
DEFINE_bool(rebuild_dry_run, false, "tell what --rebuild would find, change nothing, and exit");
DEFINE_string(export_ledger, "",
              "write the ledger of --ledger_path to standard output, and exit: blocks, minutes or "
              "hours");
DEFINE_bool(check_config, false,
            "validate the configuration, name what of this machine will hurt it, and exit: with 1 "
            "only for what no start goes without");
DEFINE_bool(check_machine, false,
            "look at this machine as check_config does, tell what was looked at in lines for "
            "quirectl doctor, and exit");
DEFINE_bool(print_config, false, "print every flag with its value and origin, and exit");
DEFINE_bool(print_man, false, "print the manual page, and exit");

namespace quire::server {

using model::Errc;
using model::make_error;

namespace {

model::Result<uint32_t> parse_mode(const std::string& text) {
  uint32_t mode = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || mode > 0777) {
    return make_error(Errc::kInvalidArgument, "--socket_mode must be octal, for example 0660");
  }
  return mode;
}

model::Result<void> ssd_options(Options& options) {
  options.ssd_path = FLAGS_ssd_path;
  options.ssd_bytes = QUIRE_TRY(model::parse_bytes("--ssd_bytes", FLAGS_ssd_bytes));
  options.ssd_region_bytes =
      QUIRE_TRY(model::parse_bytes("--ssd_region_bytes", FLAGS_ssd_region_bytes));
  options.ssd_shrink = FLAGS_ssd_shrink;
  options.ssd_engine = FLAGS_ssd_engine;
  options.ssd_queue_depth = FLAGS_ssd_queue_depth;
  options.ssd_queue_bytes =
      QUIRE_TRY(model::parse_bytes("--ssd_queue_bytes", FLAGS_ssd_queue_bytes));
  options.ssd_write = FLAGS_ssd_write;
  options.ssd_write_delay_ms = FLAGS_ssd_write_delay_ms;
  options.ssd_codec = FLAGS_ssd_codec;
  options.ssd_codec_bytes =
      QUIRE_TRY(model::parse_bytes("--ssd_codec_bytes", FLAGS_ssd_codec_bytes));
  options.ram_policy = FLAGS_ram_policy;
  options.ssd_policy = FLAGS_ssd_policy;
  options.checkpoints = FLAGS_checkpoints;
  options.quota_file = FLAGS_quota_file;
  options.state_file = FLAGS_state_file;
  options.metering = FLAGS_metering;
  options.ledger_path = FLAGS_ledger_path;
  options.ledger_bytes = QUIRE_TRY(model::parse_bytes("--ledger_bytes", FLAGS_ledger_bytes));
  options.ledger_days = FLAGS_ledger_days;
  options.ghost_bytes = QUIRE_TRY(model::parse_bytes("--ghost_memory", FLAGS_ghost_memory));
  options.ssd_admission = FLAGS_ssd_admission;
  options.why_bytes = QUIRE_TRY(model::parse_bytes("--why_memory", FLAGS_why_memory));
  options.ssd_write_bytes_per_day =
      QUIRE_TRY(model::parse_bytes("--ssd_write_bytes_per_day", FLAGS_ssd_write_bytes_per_day));
  options.ssd_scrub_bytes_per_second = QUIRE_TRY(
      model::parse_bytes("--ssd_scrub_bytes_per_second", FLAGS_ssd_scrub_bytes_per_second));
  options.ssd_hang_ms = FLAGS_ssd_hang_ms;
  return {};
}

model::Result<void> cluster_options(Options& options) {
  options.cluster_conf = FLAGS_cluster_conf;
  options.cluster_pool = FLAGS_cluster_pool;
  options.cluster_user = FLAGS_cluster_user;
  options.cluster_bytes = QUIRE_TRY(model::parse_bytes("--cluster_bytes", FLAGS_cluster_bytes));
  options.cluster_max_age_hours = FLAGS_cluster_max_age_hours;
  options.cluster_run_bytes =
      QUIRE_TRY(model::parse_bytes("--cluster_run_bytes", FLAGS_cluster_run_bytes));
  options.cluster_queue_bytes =
      QUIRE_TRY(model::parse_bytes("--cluster_queue_bytes", FLAGS_cluster_queue_bytes));
  options.cluster_admission = FLAGS_cluster_admission;
  options.cluster_write_bytes_per_day = QUIRE_TRY(
      model::parse_bytes("--cluster_write_bytes_per_day", FLAGS_cluster_write_bytes_per_day));
  options.cluster_tenant_write_bytes_per_day = QUIRE_TRY(model::parse_bytes(
      "--cluster_tenant_write_bytes_per_day", FLAGS_cluster_tenant_write_bytes_per_day));
  options.cluster_write_delay_ms = FLAGS_cluster_write_delay_ms;
  options.cluster_timeout_ms = FLAGS_cluster_timeout_ms;
  return {};
}

model::Result<Options> options_from_flags() {
  Options options;
  options.socket_path = FLAGS_socket;
  options.socket_mode = QUIRE_TRY(parse_mode(FLAGS_socket_mode));
  options.ram_bytes = QUIRE_TRY(model::parse_bytes("--ram_bytes", FLAGS_ram_bytes));
  options.segment_bytes = QUIRE_TRY(model::parse_bytes("--segment_bytes", FLAGS_segment_bytes));
  options.memory_limit_bytes =
      QUIRE_TRY(model::parse_bytes("--memory_limit_bytes", FLAGS_memory_limit_bytes));
  auto huge_pages = allocator::parse_huge_pages(FLAGS_huge_pages);
  if (!huge_pages.ok()) {
    return make_error(huge_pages.code(), "--" + huge_pages.error().text);
  }
  options.huge_pages = *huge_pages;
  options.copy_workers = FLAGS_copy_workers;
  options.spin_us = FLAGS_spin_us;
  options.verify_hits = FLAGS_verify_hits;
  options.default_deadline_ms = FLAGS_default_deadline_ms;
  options.search_ms = FLAGS_search_ms;
  options.search_tokens = FLAGS_search_tokens;
  options.max_connections = FLAGS_max_connections;
  options.max_sessions = FLAGS_max_sessions;
  options.session_memory_bytes =
      QUIRE_TRY(model::parse_bytes("--session_memory_bytes", FLAGS_session_memory_bytes));
  options.uid_share_percent = FLAGS_uid_share_percent;
  QUIRE_TRY(ssd_options(options));
  QUIRE_TRY(cluster_options(options));
  options.events_zmq = FLAGS_events_zmq;
  options.events_zmq_replay = FLAGS_events_zmq_replay;
  options.events_zmq_format = FLAGS_events_zmq_format;
  options.event_bytes = QUIRE_TRY(model::parse_bytes("--event_memory", FLAGS_event_memory));
  options.tenants = FLAGS_tenants;
  options.shared_namespaces = FLAGS_shared_namespaces;
  options.http_address = FLAGS_http_address;
  options.http_token_file = FLAGS_http_token_file;
  options.http_price_book = FLAGS_http_price_book;
  options.http_price_model = FLAGS_http_price_model;
  options.log_level = FLAGS_log_level;
  options.log_format = FLAGS_log_format;
  return options;
}

constexpr const char* kReaderKey = "reader_uids";
constexpr const char* kMeterKey = "meter_uids";

model::Result<RoleRules> roles_named(const std::string& readers, const std::string& meters) {
  RoleRules roles;
  roles.readers = QUIRE_TRY(NamedPeers::parse(kReaderKey, readers));
  roles.meters = QUIRE_TRY(NamedPeers::parse(kMeterKey, meters));
  return roles;
}

// Held while values of flags are tried, which gflags knows only as changes of all of them.
std::mutex& flags_mutex() {
  static std::mutex mutex;
  return mutex;
}

// Keys that were set while the daemon serves; under flags_mutex().
std::set<std::string>& set_live() {
  static std::set<std::string> keys;
  return keys;
}

std::map<std::string, std::string> own_values() {
  std::map<std::string, std::string> values;
  for (const FlagValue& flag : own_flags()) values[flag.name] = flag.value;
  return values;
}

// Of a key as an operator may write it: --log-level is log_level.
std::string key_of(std::string text) {
  text = flag_name(text);
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

model::Error no_live_key(const std::string& key) {
  std::vector<std::string_view> names;
  const std::vector<FlagValue> own = own_flags();
  for (const FlagValue& flag : own) {
    if (flag.name == key) {
      std::string live;
      for (const LiveOption& option : kLiveOptions) {
        live += (live.empty() ? "" : ", ") + std::string(option.key);
      }
      return make_error(Errc::kInvalidArgument,
                        key + " needs a restart: change the flag file; live are " + live);
    }
    names.push_back(flag.name);
  }
  return make_error(Errc::kInvalidArgument, "no key \"" + key + "\"; did you mean " +
                                                std::string(model::nearest_name(key, names)) + "?");
}

}  // namespace

std::vector<ConfigRow> config_rows() {
  const std::lock_guard lock(flags_mutex());
  std::vector<ConfigRow> rows;
  for (const FlagValue& flag : own_flags()) {
    const std::string origin = set_live().contains(flag.name) ? "set"
                               : flag.is_default              ? "default"
                                                              : "given";
    rows.push_back({.key = flag.name, .value = flag.value, .origin = origin});
  }
  return rows;
}

model::Result<ConfigChange> plan_config(const std::string& given, const std::string& value) {
  const std::string key = key_of(given);
  ConfigChange change{.key = key, .from = {}, .to = value, .options = {}};
  {
    const std::lock_guard lock(flags_mutex());
    if (find_live_option(key) == nullptr) return no_live_key(key);
    change.from = own_values().at(key);
    const gflags::FlagSaver put_back;
    if (gflags::SetCommandLineOption(key.c_str(), value.c_str()).empty()) {
      return make_error(Errc::kInvalidArgument, "--" + key + " cannot be \"" + value + "\"");
    }
    change.options = QUIRE_TRY(options_from_flags());
    QUIRE_TRY(validate(change.options));
  }
  // Without the lock, for which the core may wait: who knows users by name may be slow.
  RoleRules& roles = change.options.roles;
  if (key == kReaderKey) roles.readers = QUIRE_TRY(NamedPeers::parse(key, value));
  if (key == kMeterKey) roles.meters = QUIRE_TRY(NamedPeers::parse(key, value));
  return change;
}

void keep_config(const ConfigChange& change) {
  const std::lock_guard lock(flags_mutex());
  gflags::SetCommandLineOption(change.key.c_str(), change.to.c_str());
  set_live().insert(change.key);
}

model::Result<Reload> reload_flags(const CommandLine& line) {
  const std::vector<FlagLine> lines = QUIRE_TRY(expand_flag_files(line.arguments));
  std::map<std::string, std::string> before;
  std::map<std::string, std::string> after;
  Reload reload;
  {
    const std::lock_guard lock(flags_mutex());
    QUIRE_TRY(check_known(lines));
    before = own_values();
    const gflags::FlagSaver put_back;
    for (const FlagValue& flag : own_flags()) {
      gflags::SetCommandLineOption(flag.name.c_str(), flag.default_value.c_str());
    }
    if (!gflags::ReadFlagsFromString(joined(lines), "quired", false)) {
      return make_error(Errc::kInvalidArgument, "a flag has a value that it cannot take");
    }
    reload.options = QUIRE_TRY(options_from_flags());
    QUIRE_TRY(validate(reload.options));
    after = own_values();
  }
  // Without the lock, as above; and before anything is taken over.
  reload.options.roles = QUIRE_TRY(roles_named(after.at(kReaderKey), after.at(kMeterKey)));
  const std::lock_guard lock(flags_mutex());
  for (const auto& [name, value] : after) {
    if (value == before.at(name)) continue;
    const bool live = find_live_option(name) != nullptr;
    (live ? reload.changed : reload.need_restart).push_back(name);
    if (live) gflags::SetCommandLineOption(name.c_str(), value.c_str());
  }
  set_live().clear();  // what the files say is in force again
  return reload;
}

model::Result<CommandLine> parse_command_line(int argc, char** argv) {
  gflags::SetUsageMessage("keeps the KV cache of long-context models outside the engine");
  gflags::SetVersionString("0.1.0, protocol 1");
  CommandLine line;
  line.arguments.assign(argv + 1, argv + argc);
  const std::vector<FlagLine> lines = QUIRE_TRY(expand_flag_files(line.arguments));
  QUIRE_TRY(check_known(lines));
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  if (argc > 1) {
    return make_error(Errc::kInvalidArgument, std::string("unexpected argument \"") + argv[1] +
                                                  "\"; flags are --name=value");
  }
  line.options = QUIRE_TRY(options_from_flags());
  line.options.roles = QUIRE_TRY(roles_named(FLAGS_reader_uids, FLAGS_meter_uids));
  QUIRE_TRY(validate(line.options));
  line.check_config = FLAGS_check_config;
  line.check_machine = FLAGS_check_machine;
  line.print_config = FLAGS_print_config;
  line.print_man = FLAGS_print_man;
  line.rebuild = FLAGS_rebuild;
  line.rebuild_dry_run = FLAGS_rebuild_dry_run;
  line.export_ledger = FLAGS_export_ledger;
  if (!line.export_ledger.empty() && ledger_path(line.options).empty()) {
    return make_error(Errc::kInvalidArgument, "--export_ledger needs --ledger_path");
  }
  if ((line.rebuild || line.rebuild_dry_run) && line.options.ssd_path.empty()) {
    return make_error(Errc::kInvalidArgument, "--rebuild needs --ssd_path");
  }
  return line;
}

}  // namespace quire::server
