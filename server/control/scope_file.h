// Quotas, policies, checkpoints and pins by name, in TOML: what an operator writes for
// --quota_file, and what the daemon keeps of commands in --state_file. One grammar; the former
// holds quotas alone.
//
//   [[quota]]             [[policy]]            [[checkpoints]]
//   tier = "ram"          tier = "ssd"
//   domain = "uid:1000"   domain = "uid:1000"   domain = "uid:1000"   # absent: all (of the tier)
//   tenant = "acme"       tenant = "acme"       tenant = "acme"       # absent: who has no rule
//   guaranteed = "4GiB"   name = "s3fifo"       name = "every:1024"
//   burst = "16GiB"                                                   # absent: no bound
//
//   [[pin]]
//   domain = "uid:1000"
//   tenant = "acme"        # absent: all of the user's
//   namespace = "model"
//   budget = "10GiB"
//   until_unix_s = 1796000000   # wall clock; absent: until it is cleared
//
// Threads: any; no state.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/accounts/namespace_pins.h"
#include "cache/eviction/scope_rules.h"
#include "cache/fill/checkpoint_rules.h"
#include "model/result.h"

namespace quire::server {

struct KeptPin {
  cache::PinName name;
  uint64_t budget_bytes = 0;
  std::optional<uint64_t> until_unix_s;
};

struct ScopeFile {
  std::vector<cache::NamedQuota> quotas;
  std::vector<std::pair<cache::ScopeName, std::string>> policies;
  cache::CheckpointRules::Rules checkpoints;
  std::vector<KeptPin> pins;
};

// What commands have set; not what a quota file says.
struct KeptRules {
  std::map<cache::ScopeName, cache::ScopeRule> scopes;
  cache::CheckpointRules::Rules checkpoints;
  std::vector<KeptPin> pins;
};

// kInvalidArgument: what is wrong and where; twice the same name is.
model::Result<ScopeFile> parse_scope_file(std::string_view text);
// Of --quota_file. kNotFound, kIoError: it cannot be read.
model::Result<std::vector<cache::NamedQuota>> read_quota_file(const std::string& path);
// Of --state_file; nothing where it is not there yet.
model::Result<KeptRules> read_state_file(const std::string& path);
std::string state_text(const KeptRules& rules);

}  // namespace quire::server
