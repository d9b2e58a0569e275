// What of an operator's options may change while the daemon serves, and the flags behind them.
//
// A daemon that was not started from flags (tests, benchmarks) has no LiveConfig: its options are
// whatever its program filled in.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "server/start/options.h"

namespace quire::server {

// Everything else shapes memory, files or identities, and waits for a restart. In order of keys.
struct LiveOption {
  std::string_view key;  // the flag's name
  void (*copy)(const Options& from, Options& to);
};
inline constexpr std::array kLiveOptions{
    LiveOption{"checkpoints", [](auto& from, auto& to) { to.checkpoints = from.checkpoints; }},
    LiveOption{"log_format", [](auto& from, auto& to) { to.log_format = from.log_format; }},
    LiveOption{"log_level", [](auto& from, auto& to) { to.log_level = from.log_level; }},
    LiveOption{"max_connections",
               [](auto& from, auto& to) { to.max_connections = from.max_connections; }},
    LiveOption{"meter_uids", [](auto& from, auto& to) { to.roles.meters = from.roles.meters; }},
    LiveOption{"quota_file", [](auto& from, auto& to) { to.quota_file = from.quota_file; }},
    LiveOption{"reader_uids", [](auto& from, auto& to) { to.roles.readers = from.roles.readers; }},
    LiveOption{"spin_us", [](auto& from, auto& to) { to.spin_us = from.spin_us; }},
    LiveOption{"tenants", [](auto& from, auto& to) { to.tenants = from.tenants; }},
    LiveOption{"uid_share_percent",
               [](auto& from, auto& to) { to.uid_share_percent = from.uid_share_percent; }},
};

// Null: it needs a restart, or is no key.
constexpr const LiveOption* find_live_option(std::string_view key) {
  for (const LiveOption& option : kLiveOptions) {
    if (option.key == key) return &option;
  }
  return nullptr;
}

// A flag as it is in force.
struct ConfigRow {
  std::string key;
  std::string value;
  std::string origin;  // "default", "given" (command line, flag file) or "set" (while it serves)
};

// A new value of one key, which is live. `options`: all of them, with it.
struct ConfigChange {
  std::string key;
  std::string from;
  std::string to;
  Options options;
};

// Any thread; each call waits for another one at most.
struct LiveConfig {
  std::function<std::vector<ConfigRow>()> rows;
  // Changes nothing. kInvalidArgument: no such key, named with the nearest one; a key that needs a
  // restart; a value that it cannot take.
  std::function<model::Result<ConfigChange>(const std::string& key, const std::string& value)> plan;
  // The change is in force.
  std::function<void(const ConfigChange& change)> keep;
};

}  // namespace quire::server
