#include "model/chain_hash.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <rapidcheck.h>

#include <numeric>
#include <string>

namespace quire::model::chain_hash_test {
namespace {

// SHA-256 by the other interface of the library.
Hash256 evp_sha256(const std::string& message) {
  Hash256 hash;
  EXPECT_EQ(
      EVP_Digest(message.data(), message.size(), hash.bytes.data(), nullptr, EVP_sha256(), nullptr),
      1);
  return hash;
}

std::string bytes_of(const Hash256& hash) {
  return {reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size()};
}

std::string little_endian(uint32_t value) {
  std::string text;
  for (int shift = 0; shift < 32; shift += 8) text += static_cast<char>(value >> shift & 0xff);
  return text;
}

std::vector<Hash256> straightforward_chain(const Hash256& root, const std::vector<uint32_t>& tokens,
                                           uint32_t unit_tokens) {
  std::vector<Hash256> chain;
  Hash256 previous = root;
  for (size_t unit = 0; (unit + 1) * unit_tokens <= tokens.size(); ++unit) {
    std::string message;
    for (size_t i = 0; i < unit_tokens; ++i)
      message += little_endian(tokens[unit * unit_tokens + i]);
    previous = evp_sha256(bytes_of(previous) + bytes_of(evp_sha256(message)));
    chain.push_back(previous);
  }
  return chain;
}

TEST(ChainHash, Sha256OfKnownMessages) {
  const std::string abc = "abc";
  EXPECT_EQ(sha256(std::as_bytes(std::span(abc))), evp_sha256("abc"));
  EXPECT_EQ(sha256(std::as_bytes(std::span(abc))).bytes[0], 0xba);  // FIPS 180-2
  EXPECT_EQ(sha256({}).bytes[0], 0xe3);
}

TEST(ChainHash, AgreesWithAStraightforwardComputation) {
  EXPECT_TRUE(rc::check([] {
    const auto tokens = *rc::gen::arbitrary<std::vector<uint32_t>>();
    const auto unit_tokens = *rc::gen::inRange<uint32_t>(1, 20);
    const Hash256 root = evp_sha256("root");
    std::vector<Hash256> chain;
    extend_chain(root, tokens, unit_tokens, chain);
    RC_ASSERT(chain == straightforward_chain(root, tokens, unit_tokens));
  }));
}

TEST(ChainHash, AgreesOverRealUnits) {
  std::vector<uint32_t> tokens(128 * 9 + 77);
  std::iota(tokens.begin(), tokens.end(), 100'000u);
  std::vector<Hash256> chain;
  extend_chain({}, tokens, 128, chain);
  EXPECT_EQ(chain.size(), 9u);
  EXPECT_EQ(chain, straightforward_chain({}, tokens, 128));
}

TEST(ChainHash, ExtendingInPiecesGivesTheSameChain) {
  std::vector<uint32_t> tokens(64 * 10);
  std::iota(tokens.begin(), tokens.end(), 0u);
  std::vector<Hash256> whole;
  extend_chain({}, tokens, 64, whole);
  std::vector<Hash256> pieces;
  extend_chain({}, std::span(tokens).first(64 * 4), 64, pieces);
  extend_chain(pieces.back(), std::span(tokens).subspan(64 * 4), 64, pieces);
  EXPECT_EQ(pieces, whole);
}

TEST(ChainHash, ThePreviousHashMayBeTheLastOfTheChain) {
  std::vector<uint32_t> tokens(64 * 100, 5);
  std::vector<Hash256> whole;
  extend_chain({}, tokens, 64, whole);
  std::vector<Hash256> grown;
  extend_chain({}, std::span(tokens).first(64), 64, grown);
  while (grown.size() < whole.size()) {
    extend_chain(grown.back(), std::span(tokens).first(64 * 3), 64, grown);
  }
  EXPECT_EQ(grown, whole);
}

TEST(ChainHash, LeavesGiveTheSameChainAsTheirTokens) {
  const std::vector<uint32_t> tokens = {1, 2, 3, 4, 5, 6};
  std::vector<Hash256> leaves;
  for (size_t unit = 0; unit < 3; ++unit) {
    leaves.push_back(sha256(std::as_bytes(std::span(tokens).subspan(unit * 2, 2))));
  }
  std::vector<Hash256> from_tokens;
  std::vector<Hash256> from_leaves;
  extend_chain({}, tokens, 2, from_tokens);
  extend_chain_from_leaves({}, leaves, from_leaves);
  EXPECT_EQ(from_tokens, from_leaves);
}

TEST(ChainHash, ShortInputAddsNothing) {
  std::vector<Hash256> chain;
  extend_chain({}, {}, 128, chain);
  const std::vector<uint32_t> tokens(127);
  extend_chain({}, tokens, 128, chain);
  EXPECT_TRUE(chain.empty());
}

TEST(ChainHash, Law01_AChangedTokenChangesEveryLaterHashAndNoEarlierOne) {
  std::vector<uint32_t> tokens(8 * 10, 7);
  std::vector<Hash256> before;
  extend_chain({}, tokens, 8, before);
  tokens[8 * 4 + 3] = 8;
  std::vector<Hash256> after;
  extend_chain({}, tokens, 8, after);
  for (size_t unit = 0; unit < 10; ++unit) EXPECT_EQ(before[unit] == after[unit], unit < 4) << unit;
}

TEST(ChainHash, Law01_DifferentPartsGiveDifferentRoots) {
  const Hash256 digest = evp_sha256("layout");
  const RootParts parts = {"domain", "tenant", "model", 1, digest, "salt"};
  std::vector<RootParts> others(6, parts);
  others[0].domain = "other";
  others[1].tenant = "other";
  others[2].namespace_name = "other";
  others[3].weights_epoch = 2;
  others[4].layout_digest = {};
  others[5].salt = "other";
  EXPECT_EQ(root_hash(parts), root_hash(parts));
  for (const RootParts& other : others) EXPECT_FALSE(root_hash(other) == root_hash(parts));
}

TEST(ChainHash, Law01_PartsThatJoinToTheSameTextGiveDifferentRoots) {
  EXPECT_FALSE(root_hash({"ab", "c", "", 0, {}, ""}) == root_hash({"a", "bc", "", 0, {}, ""}));
  EXPECT_FALSE(root_hash({"", "", "abc", 0, {}, ""}) == root_hash({"abc", "", "", 0, {}, ""}));
  EXPECT_FALSE(root_hash({"a", "", "", 0, {}, ""}) ==
               root_hash({std::string_view("a\0", 2), "", "", 0, {}, ""}));
}

// Golden: every stored prefix hangs from a root; a change here makes all of them unreachable.
TEST(ChainHash, RootOfKnownPartsIsGolden) {
  const Hash256 root = root_hash({"domain", "tenant", "model", 1, {}, "salt"});
  std::string message = "quire-root-v1";
  const auto add = [&](const std::string& part) {
    message += little_endian(static_cast<uint32_t>(part.size())) + std::string(4, '\0') + part;
  };
  add("domain");
  add("tenant");
  add("model");
  add(little_endian(1) + std::string(4, '\0'));
  add(std::string(32, '\0'));
  add("salt");
  EXPECT_EQ(root, evp_sha256(message));
}

}  // namespace
}  // namespace quire::model::chain_hash_test
