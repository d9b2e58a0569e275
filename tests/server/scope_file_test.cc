#include "server/control/scope_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace quire::server::scope_file_test {
namespace {

using cache::Quota;
using cache::ScopeName;
using cache::ScopeRule;
using model::Errc;
using model::TierId;

std::string error_of(std::string_view text) {
  const auto file = parse_scope_file(text);
  EXPECT_EQ(file.code(), Errc::kInvalidArgument) << text;
  return file.ok() ? std::string() : file.error().text;
}

TEST(ScopeFile, NamesTiersUsersAndTenants) {
  const auto file = parse_scope_file(R"(
[[quota]]
tier = "ram"
domain = "uid:1000"
guaranteed = "4GiB"
[[quota]]
tier = "ssd"
domain = "uid:1000"
tenant = ""
burst = "10 MiB"
[[policy]]
tier = "ssd"
name = "arc"
)");
  ASSERT_TRUE(file.ok()) << file.error().text;
  ASSERT_EQ(file->quotas.size(), 2u);
  EXPECT_EQ(file->quotas[0].name, (ScopeName{TierId::kRam, "uid:1000", std::nullopt}));
  EXPECT_EQ(file->quotas[0].quota, (Quota{4ull << 30, UINT64_MAX}));
  EXPECT_EQ(file->quotas[1].name, (ScopeName{TierId::kSsd, "uid:1000", ""}));
  EXPECT_EQ(file->quotas[1].quota, (Quota{0, 10 << 20}));
  ASSERT_EQ(file->policies.size(), 1u);
  EXPECT_EQ(file->policies[0].second, "arc");
}

TEST(ScopeFile, SlipIsNamedWithItsPlace) {
  EXPECT_NE(error_of("[[quota]]\ntier = \"ram\"\ndomain = 3\n").find("quota 0"), std::string::npos);
  EXPECT_NE(error_of("[[quota]]\ntier = \"rom\"\n").find("nearest is 'ram'"), std::string::npos);
  EXPECT_NE(error_of("[[quota]]\ntier = \"ram\"\nguarantee = \"1\"\n").find("guaranteed"),
            std::string::npos);
  EXPECT_NE(error_of("[[quota]]\ntier = \"ram\"\nburst = \"many\"\n").find("burst"),
            std::string::npos);
  EXPECT_NE(error_of("[[quota]]\ntier = \"ram\"\ntenant = \"t\"\n").find("uid:N"),
            std::string::npos);
  // As `quota set` refuses them: no other spelling is anybody's.
  for (const char* domain : {"team", "uid:", "uid:01000", "uid:-1", "uid:4294967296", "UID:1"}) {
    const std::string whose = "domain = \"" + std::string(domain) + "\"\n";
    EXPECT_NE(error_of("[[quota]]\ntier = \"ram\"\n" + whose).find("quota 0"), std::string::npos);
    EXPECT_NE(error_of("[[policy]]\ntier = \"ram\"\nname = \"lru\"\n" + whose).find(domain),
              std::string::npos);
    EXPECT_NE(error_of("[[pin]]\nnamespace = \"m\"\nbudget = \"1\"\n" + whose).find("uid:N"),
              std::string::npos);
  }
  EXPECT_NE(error_of("[[quotas]]\n").find("quota"), std::string::npos);
  EXPECT_NE(error_of("[[quota]\n").find("line 1"), std::string::npos);
  EXPECT_NE(error_of("[[quota]]\ntier = \"ram\"\ndomain = \"a\\nb\"\n").find("domain"),
            std::string::npos);
  EXPECT_NE(error_of("[[policy]]\ntier = \"ram\"\n").find("missing key 'name'"), std::string::npos);
  EXPECT_NE(error_of("[[checkpoints]]\nname = \"some\"\n").find("turn_ends, every:N"),
            std::string::npos);
  EXPECT_NE(error_of("[[checkpoints]]\ntier = \"ram\"\nname = \"all\"\n").find("tier"),
            std::string::npos);
  EXPECT_NE(error_of("[[checkpoints]]\ntenant = \"t\"\nname = \"all\"\n").find("uid:N"),
            std::string::npos);
  const std::string same = "[[checkpoints]]\nname = \"all\"\n";
  EXPECT_NE(error_of(same + same).find("checkpoints 1: named before"), std::string::npos);
  const std::string twice = "[[quota]]\ntier = \"ram\"\ndomain = \"uid:1\"\n";
  EXPECT_NE(error_of(twice + twice).find("quota 1: named before"), std::string::npos);
}

TEST(ScopeFile, WhatCommandsSetComesBack) {
  std::map<ScopeName, ScopeRule> rules;
  rules[{TierId::kRam, "", std::nullopt}].policy = "sieve";
  rules[{TierId::kSsd, "uid:7", "say \"hi\""}] = {
      .policy = "arc", .set_quota = Quota{5, 50, 7}, .file_quota = Quota{1, 2}};
  rules[{TierId::kSsd, "uid:8", std::nullopt}].file_quota = Quota{3, 4};
  cache::CheckpointRules::Rules checkpoints;
  checkpoints[{}] = {model::CheckpointWord::kNone};
  checkpoints[{"uid:7", "say \"hi\""}] = {model::CheckpointWord::kEvery, 1024};
  const std::string path = testing::TempDir() + "quire-state-" + std::to_string(::getpid());
  std::ofstream(path) << state_text({.scopes = rules, .checkpoints = checkpoints, .pins = {}});
  const auto read = read_state_file(path);
  ASSERT_TRUE(read.ok()) << read.error().text;
  ASSERT_EQ(read->scopes.size(), 2u) << "what a quota file says is read from there";
  EXPECT_EQ(read->scopes.at({TierId::kRam, "", std::nullopt}).policy, "sieve");
  const ScopeRule& tenant = read->scopes.at({TierId::kSsd, "uid:7", "say \"hi\""});
  EXPECT_EQ(tenant.policy, "arc");
  EXPECT_EQ(tenant.set_quota, (Quota{5, 50, 7}));
  EXPECT_FALSE(tenant.file_quota.has_value());
  EXPECT_EQ(read->checkpoints, checkpoints);
  std::filesystem::remove(path);
  EXPECT_TRUE(read_state_file(path)->scopes.empty()) << "not there yet";
}

TEST(ScopeFile, PinsComeBackWithTheWallClockOfTheirEnd) {
  const std::string path = testing::TempDir() + "quire-pins-" + std::to_string(::getpid());
  const std::vector<KeptPin> pins{
      {.name = {"uid:7", std::nullopt, "m"}, .budget_bytes = 5, .until_unix_s = std::nullopt},
      {.name = {"uid:7", "say \"hi\"", "m"}, .budget_bytes = 6, .until_unix_s = 1'796'000'000}};
  std::ofstream(path) << state_text({.scopes = {}, .checkpoints = {}, .pins = pins});
  const auto read = read_state_file(path);
  ASSERT_TRUE(read.ok()) << read.error().text;
  ASSERT_EQ(read->pins.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(read->pins[i].name, pins[i].name);
    EXPECT_EQ(read->pins[i].budget_bytes, pins[i].budget_bytes);
    EXPECT_EQ(read->pins[i].until_unix_s, pins[i].until_unix_s);
  }
  EXPECT_TRUE(read->scopes.empty()) << "they are no rules";
  std::filesystem::remove(path);
  EXPECT_TRUE(read_state_file(path)->pins.empty()) << "not there yet";
}

TEST(ScopeFile, SlipInAPinIsNamed) {
  const std::string pin = "[[pin]]\ndomain = \"uid:1\"\nnamespace = \"m\"\n";
  EXPECT_NE(error_of(pin).find("pin 0: missing key 'budget'"), std::string::npos);
  EXPECT_NE(error_of(pin + "budget = \"much\"\n").find("budget"), std::string::npos);
  EXPECT_NE(error_of(pin + "budget = \"1\"\nuntil_unix_s = -1\n").find("until_unix_s"),
            std::string::npos);
  EXPECT_NE(error_of(pin + "budget = \"1\"\ntier = \"ram\"\n").find("tier"), std::string::npos);
  const std::string whole = pin + "budget = \"1\"\n";
  EXPECT_NE(error_of(whole + whole).find("pin 1: named before"), std::string::npos);
}

TEST(ScopeFile, QuotaFileHoldsQuotasAlone) {
  const std::string path = testing::TempDir() + "quire-quotas-" + std::to_string(::getpid());
  EXPECT_EQ(read_quota_file(path).code(), Errc::kNotFound);
  std::ofstream(path) << "[[policy]]\ntier = \"ram\"\nname = \"arc\"\n";
  const auto refused = read_quota_file(path);
  EXPECT_EQ(refused.code(), Errc::kInvalidArgument);
  EXPECT_NE(refused.error().text.find(path), std::string::npos);
  std::ofstream(path) << "[[checkpoints]]\nname = \"all\"\n";
  EXPECT_EQ(read_quota_file(path).code(), Errc::kInvalidArgument);
  std::ofstream(path) << "[[pin]]\ndomain = \"uid:1\"\nnamespace = \"m\"\nbudget = \"1\"\n";
  EXPECT_EQ(read_quota_file(path).code(), Errc::kInvalidArgument);
  std::ofstream(path) << "";
  EXPECT_TRUE(read_quota_file(path)->empty());
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace quire::server::scope_file_test
