#include "server/control/scope_file.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "model/byte_text.h"
#include "model/clean_text.h"
#include "model/limits.h"
#include "model/toml_table.h"
#include "server/control/quota_verbs.h"

namespace quire::server {

using cache::CheckpointRules;
using cache::NamedQuota;
using cache::Quota;
using cache::ScopeName;
using cache::ScopeRule;
using model::Errc;
using model::make_error;
using model::Result;
using model::TomlTable;

namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr std::array<std::string_view, 4> kKeys{"quota", "policy", "checkpoints", "pin"};
constexpr std::array<std::string_view, 6> kQuotaKeys{"tier",       "domain", "tenant",
                                                     "guaranteed", "burst",  "weight"};
constexpr std::array<std::string_view, 4> kPolicyKeys{"tier", "domain", "tenant", "name"};
constexpr std::array<std::string_view, 5> kPinKeys{"domain", "tenant", "namespace", "budget",
                                                   "until_unix_s"};
// Year 2286; in nanoseconds it is a time of the daemon's clock still.
constexpr uint64_t kLastSecond = 9'999'999'999;
constexpr std::array<std::string_view, 3> kCheckpointKeys{"domain", "tenant", "name"};

// Names go to the log and to tables. The key must be there.
Result<std::string> read_name(const TomlTable& table, std::string_view key) {
  std::string name = QUIRE_TRY(table.text(key, std::nullopt));
  QUIRE_TRY(model::check_clean_text(name, key));
  if (name.size() > model::kMaxNameBytes) {
    return table.wrong("'" + std::string(key) + "' is longer than " +
                       std::to_string(model::kMaxNameBytes) + " bytes");
  }
  return name;
}

// A user by its one name, as `quota set` and `pin` want it: another spelling would be of nobody.
Result<std::string> read_domain(const TomlTable& table) {
  std::string domain = QUIRE_TRY(read_name(table, "domain"));
  const auto uid = uid_of_domain(domain);
  if (!uid.ok()) return table.wrong("'domain' is \"" + domain + "\": " + uid.error().text);
  return domain;
}

// Fills in the domain and the tenant of a ScopeName or CheckpointScope.
template <typename Name>
Result<void> read_whose(const TomlTable& table, Name& name) {
  if (table.has("domain")) name.domain = QUIRE_TRY(read_domain(table));
  if (!table.has("tenant")) return {};
  name.tenant = QUIRE_TRY(read_name(table, "tenant"));
  if (name.domain.empty()) return table.wrong("a tenant belongs to a domain: name it, \"uid:N\"");
  return {};
}

Result<ScopeName> read_scope(const TomlTable& table) {
  ScopeName name;
  name.tier = static_cast<model::TierId>(QUIRE_TRY(table.choice("tier", model::kTierNames)));
  QUIRE_TRY(read_whose(table, name));
  return name;
}

Result<void> read_checkpoints(const TomlTable& table, CheckpointRules::Rules& rules) {
  QUIRE_TRY(table.check_keys(kCheckpointKeys));
  cache::CheckpointScope scope;
  QUIRE_TRY(read_whose(table, scope));
  const auto policy = model::parse_checkpoint_policy(QUIRE_TRY(read_name(table, "name")));
  if (!policy.ok()) return table.wrong(policy.error().text);
  if (!rules.emplace(scope, *policy).second) return table.wrong("named before");
  return {};
}

Result<uint64_t> read_bytes(const TomlTable& table, std::string_view key, uint64_t fallback) {
  if (!table.has(key)) return fallback;
  return model::parse_bytes(table.where() + ": " + std::string(key), QUIRE_TRY(table.text(key)));
}

Result<NamedQuota> read_quota(const TomlTable& table) {
  QUIRE_TRY(table.check_keys(kQuotaKeys));
  NamedQuota quota;
  quota.name = QUIRE_TRY(read_scope(table));
  quota.quota.guaranteed_bytes = QUIRE_TRY(read_bytes(table, "guaranteed", 0));
  quota.quota.burst_bytes =
      QUIRE_TRY(read_bytes(table, "burst", std::numeric_limits<uint64_t>::max()));
  if (table.has("weight")) {
    quota.quota.weight =
        static_cast<uint32_t>(QUIRE_TRY(table.number("weight", cache::kMaxWeight)));
  }
  return quota;
}

Result<KeptPin> read_pin(const TomlTable& table) {
  QUIRE_TRY(table.check_keys(kPinKeys));
  KeptPin pin;
  pin.name.domain = QUIRE_TRY(read_domain(table));
  if (table.has("tenant")) pin.name.tenant = QUIRE_TRY(read_name(table, "tenant"));
  pin.name.namespace_name = QUIRE_TRY(read_name(table, "namespace"));
  if (!table.has("budget")) return table.wrong("missing key 'budget'");
  pin.budget_bytes = QUIRE_TRY(read_bytes(table, "budget", 0));
  if (table.has("until_unix_s")) {
    pin.until_unix_s = QUIRE_TRY(table.number("until_unix_s", kLastSecond));
  }
  return pin;
}

template <typename Name>
void write_whose(const Name& name, std::string& text) {
  if (!name.domain.empty()) text += "domain = " + model::toml_quoted(name.domain) + '\n';
  if (name.tenant) text += "tenant = " + model::toml_quoted(*name.tenant) + '\n';
}

void write_scope(const ScopeName& name, std::string& text) {
  text += "tier = " + model::toml_quoted(model::tier_name(name.tier)) + '\n';
  write_whose(name, text);
}

void write_quota(const ScopeName& name, const Quota& quota, std::string& text) {
  text += "\n[[quota]]\n";
  write_scope(name, text);
  text += "guaranteed = \"" + std::to_string(quota.guaranteed_bytes) + "\"\n";
  if (quota.weight != Quota{}.weight) text += "weight = " + std::to_string(quota.weight) + '\n';
  if (quota.burst_bytes == std::numeric_limits<uint64_t>::max()) return;
  text += "burst = \"" + std::to_string(quota.burst_bytes) + "\"\n";
}

void write_pin(const KeptPin& pin, std::string& text) {
  text += "\n[[pin]]\n";
  write_whose(pin.name, text);
  text += "namespace = " + model::toml_quoted(pin.name.namespace_name) + '\n';
  text += "budget = \"" + std::to_string(pin.budget_bytes) + "\"\n";
  if (!pin.until_unix_s) return;
  text += "until_unix_s = " + std::to_string(std::min(*pin.until_unix_s, kLastSecond)) + '\n';
}

}  // namespace

Result<ScopeFile> parse_scope_file(std::string_view text) {
  const TomlTable root = QUIRE_TRY(TomlTable::parse(text, "file"));
  QUIRE_TRY(root.check_keys(kKeys));
  ScopeFile file;
  std::set<ScopeName> quotas;
  for (const TomlTable& table : QUIRE_TRY(root.tables("quota", "quota", cache::kMaxOwners))) {
    file.quotas.push_back(QUIRE_TRY(read_quota(table)));
    if (!quotas.insert(file.quotas.back().name).second) return table.wrong("named before");
  }
  std::set<ScopeName> policies;
  for (const TomlTable& table : QUIRE_TRY(root.tables("policy", "policy", cache::kMaxOwners))) {
    QUIRE_TRY(table.check_keys(kPolicyKeys));
    const ScopeName name = QUIRE_TRY(read_scope(table));
    file.policies.emplace_back(name, QUIRE_TRY(read_name(table, "name")));
    if (!policies.insert(name).second) return table.wrong("named before");
  }
  for (const TomlTable& table :
       QUIRE_TRY(root.tables("checkpoints", "checkpoints", cache::kMaxOwners))) {
    QUIRE_TRY(read_checkpoints(table, file.checkpoints));
  }
  std::set<cache::PinName> pins;
  for (const TomlTable& table : QUIRE_TRY(root.tables("pin", "pin", cache::kMaxPins))) {
    file.pins.push_back(QUIRE_TRY(read_pin(table)));
    if (!pins.insert(file.pins.back().name).second) return table.wrong("named before");
  }
  return file;
}

Result<std::vector<NamedQuota>> read_quota_file(const std::string& path) {
  const std::string text = QUIRE_TRY(model::read_text_file(path, kMaxFileBytes));
  auto file = parse_scope_file(text);
  if (!file.ok()) return make_error(file.code(), path + ": " + file.error().text);
  if (!file->policies.empty() || !file->checkpoints.empty() || !file->pins.empty()) {
    return make_error(Errc::kInvalidArgument, path +
                                                  ": policies are set by flags and by quirectl, "
                                                  "pins by quirectl; this file holds quotas");
  }
  return std::move(file->quotas);
}

Result<KeptRules> read_state_file(const std::string& path) {
  KeptRules rules;
  const auto text = model::read_text_file(path, kMaxFileBytes);
  if (text.code() == Errc::kNotFound) return rules;
  auto file = text.ok() ? parse_scope_file(*text) : Result<ScopeFile>(text.error());
  if (!file.ok()) return make_error(file.code(), path + ": " + file.error().text);
  for (const NamedQuota& quota : file->quotas) rules.scopes[quota.name].set_quota = quota.quota;
  for (const auto& [name, policy] : file->policies) rules.scopes[name].policy = policy;
  rules.checkpoints = std::move(file->checkpoints);
  rules.pins = std::move(file->pins);
  return rules;
}

std::string state_text(const KeptRules& rules) {
  std::string text = "# What quirectl policy, quota and pin have set; quired writes it.\n";
  for (const auto& [name, rule] : rules.scopes) {
    if (rule.set_quota) write_quota(name, *rule.set_quota, text);
    if (rule.policy.empty()) continue;
    text += "\n[[policy]]\n";
    write_scope(name, text);
    text += "name = " + model::toml_quoted(rule.policy) + '\n';
  }
  for (const auto& [scope, policy] : rules.checkpoints) {
    text += "\n[[checkpoints]]\n";
    write_whose(scope, text);
    text += "name = " + model::toml_quoted(model::checkpoint_policy_text(policy)) + '\n';
  }
  for (const KeptPin& pin : rules.pins) write_pin(pin, text);
  return text;
}

}  // namespace quire::server
