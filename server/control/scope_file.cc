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

namespace quire::server {

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
constexpr std::array<std::string_view, 3> kKeys{"quota", "policy", "pin"};
constexpr std::array<std::string_view, 5> kQuotaKeys{"tier", "domain", "tenant", "guaranteed",
                                                     "burst"};
constexpr std::array<std::string_view, 4> kPolicyKeys{"tier", "domain", "tenant", "name"};
constexpr std::array<std::string_view, 5> kPinKeys{"domain", "tenant", "namespace", "budget",
                                                   "until_unix_s"};
// Year 2286; in nanoseconds it is a time of the daemon's clock still.
constexpr uint64_t kLastSecond = 9'999'999'999;

// Names go to the log and to tables. No fallback: the key must be there.
Result<std::string> read_name(const TomlTable& table, std::string_view key,
                              std::optional<std::string> fallback = std::nullopt) {
  std::string name = QUIRE_TRY(table.text(key, std::move(fallback)));
  QUIRE_TRY(model::check_clean_text(name, key));
  if (name.size() > model::kMaxNameBytes) {
    return table.wrong("'" + std::string(key) + "' is longer than " +
                       std::to_string(model::kMaxNameBytes) + " bytes");
  }
  return name;
}

Result<ScopeName> read_scope(const TomlTable& table) {
  ScopeName name;
  name.tier = static_cast<model::TierId>(QUIRE_TRY(table.choice("tier", model::kTierNames)));
  name.domain = QUIRE_TRY(read_name(table, "domain", ""));
  if (table.has("tenant")) {
    name.tenant = QUIRE_TRY(read_name(table, "tenant"));
    if (name.domain.empty()) return table.wrong("a tenant belongs to a domain: name it, \"uid:N\"");
  }
  return name;
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
  return quota;
}

Result<KeptPin> read_pin(const TomlTable& table) {
  QUIRE_TRY(table.check_keys(kPinKeys));
  KeptPin pin;
  pin.name.domain = QUIRE_TRY(read_name(table, "domain"));
  if (table.has("tenant")) pin.name.tenant = QUIRE_TRY(read_name(table, "tenant"));
  pin.name.namespace_name = QUIRE_TRY(read_name(table, "namespace"));
  if (!table.has("budget")) return table.wrong("missing key 'budget'");
  pin.budget_bytes = QUIRE_TRY(read_bytes(table, "budget", 0));
  if (table.has("until_unix_s")) {
    pin.until_unix_s = QUIRE_TRY(table.number("until_unix_s", kLastSecond));
  }
  return pin;
}

void write_scope(const ScopeName& name, std::string& text) {
  text += "tier = " + model::toml_quoted(model::tier_name(name.tier)) + '\n';
  if (!name.domain.empty()) text += "domain = " + model::toml_quoted(name.domain) + '\n';
  if (name.tenant) text += "tenant = " + model::toml_quoted(*name.tenant) + '\n';
}

void write_quota(const ScopeName& name, const Quota& quota, std::string& text) {
  text += "\n[[quota]]\n";
  write_scope(name, text);
  text += "guaranteed = \"" + std::to_string(quota.guaranteed_bytes) + "\"\n";
  if (quota.burst_bytes == std::numeric_limits<uint64_t>::max()) return;
  text += "burst = \"" + std::to_string(quota.burst_bytes) + "\"\n";
}

void write_pin(const KeptPin& pin, std::string& text) {
  text += "\n[[pin]]\ndomain = " + model::toml_quoted(pin.name.domain) + '\n';
  if (pin.name.tenant) text += "tenant = " + model::toml_quoted(*pin.name.tenant) + '\n';
  text += "namespace = " + model::toml_quoted(pin.name.namespace_name) + '\n';
  text += "budget = \"" + std::to_string(pin.budget_bytes) + "\"\n";
  if (!pin.until_unix_s) return;
  text += "until_unix_s = " + std::to_string(std::min(*pin.until_unix_s, kLastSecond)) + '\n';
}

// Nothing where there is no file yet.
Result<ScopeFile> read_state(const std::string& path) {
  const auto text = model::read_text_file(path, kMaxFileBytes);
  if (text.code() == Errc::kNotFound) return ScopeFile{};
  auto file = text.ok() ? parse_scope_file(*text) : Result<ScopeFile>(text.error());
  if (!file.ok()) return make_error(file.code(), path + ": " + file.error().text);
  return file;
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
  if (!file->policies.empty() || !file->pins.empty()) {
    return make_error(Errc::kInvalidArgument, path +
                                                  ": policies are set by flags and by quirectl, "
                                                  "pins by quirectl; this file holds quotas");
  }
  return std::move(file->quotas);
}

Result<std::map<ScopeName, ScopeRule>> read_state_file(const std::string& path) {
  std::map<ScopeName, ScopeRule> rules;
  const ScopeFile file = QUIRE_TRY(read_state(path));
  for (const NamedQuota& quota : file.quotas) rules[quota.name].set_quota = quota.quota;
  for (const auto& [name, policy] : file.policies) rules[name].policy = policy;
  return rules;
}

Result<std::vector<KeptPin>> read_state_pins(const std::string& path) {
  return QUIRE_TRY(read_state(path)).pins;
}

std::string state_text(const std::map<ScopeName, ScopeRule>& rules,
                       const std::vector<KeptPin>& pins) {
  std::string text = "# What quirectl policy, quota and pin have set; quired writes it.\n";
  for (const auto& [name, rule] : rules) {
    if (rule.set_quota) write_quota(name, *rule.set_quota, text);
    if (rule.policy.empty()) continue;
    text += "\n[[policy]]\n";
    write_scope(name, text);
    text += "name = " + model::toml_quoted(rule.policy) + '\n';
  }
  for (const KeptPin& pin : pins) write_pin(pin, text);
  return text;
}

}  // namespace quire::server
