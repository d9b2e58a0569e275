#include "client/token_chain.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "model/chain_hash.h"

namespace quire::client::token_chain_test {
namespace {

using model::Errc;
using model::Hash256;

std::vector<uint32_t> tokens(size_t count) {
  std::vector<uint32_t> result(count);
  std::iota(result.begin(), result.end(), 1);
  return result;
}

TEST(TokenChain, PiecesOfAnySizeGiveTheSameChain) {
  const std::vector<uint32_t> all = tokens(70);
  std::vector<Hash256> expected;
  model::extend_chain(Hash256{}, all, 16, expected);
  for (size_t piece = 1; piece <= 40; ++piece) {
    std::vector<Hash256> arena(4);
    TokenChain chain({Hash256{}, 16, 70}, arena);
    for (size_t at = 0; at < all.size(); at += piece) {
      const size_t count = std::min(piece, all.size() - at);
      ASSERT_TRUE(chain.append_tokens(std::span(all).subspan(at, count)).ok());
    }
    EXPECT_EQ(chain.chain(), expected);
    EXPECT_EQ(arena, expected);
    EXPECT_EQ(chain.token_count(), 70u);
  }
}

TEST(TokenChain, LeavesGiveTheChainOfTheirTokens) {
  const std::vector<uint32_t> all = tokens(32);
  std::vector<Hash256> leaves;
  for (size_t at = 0; at < 32; at += 16) {
    leaves.push_back(model::sha256(std::as_bytes(std::span(all).subspan(at, 16))));
  }
  std::vector<Hash256> arena(4), other(4);
  TokenChain by_leaves({Hash256{}, 16, 64}, arena);
  TokenChain by_tokens({Hash256{}, 16, 64}, other);
  ASSERT_TRUE(by_leaves.append_leaves(leaves).ok());
  ASSERT_TRUE(by_tokens.append_tokens(all).ok());
  EXPECT_EQ(by_leaves.chain(), by_tokens.chain());
}

// A text, and an image that begins inside a unit: the engine hashes from that unit on.
TEST(TokenChain, TheFirstLeafCompletesTheUnitThatTokensBegan) {
  const std::array<Hash256, 2> leaves{model::sha256({}), Hash256{}};
  const auto chain_of = [&](std::span<const uint32_t> begun) {
    std::vector<Hash256> arena(4);
    TokenChain chain({Hash256{}, 16, 64}, arena);
    EXPECT_TRUE(chain.append_tokens(begun).ok());
    EXPECT_TRUE(chain.append_leaves(leaves).ok());
    EXPECT_EQ(chain.token_count(), 32u);
    EXPECT_TRUE(std::equal(chain.chain().begin(), chain.chain().end(), arena.begin()));
    return chain.chain();
  };
  const std::vector<uint32_t> text = tokens(3);
  EXPECT_EQ(chain_of(text), chain_of(text));
  // Whatever differs before the leaf makes another chain, from its unit on.
  EXPECT_NE(chain_of(text), chain_of(std::span(text).first(2)));
  EXPECT_NE(chain_of(text), chain_of({}));
  std::vector<uint32_t> other = text;
  other[2] ^= 1;
  EXPECT_NE(chain_of(text), chain_of(other));
}

TEST(TokenChain, LeavesBeyondTheBoundLeaveTheBegunUnitAsItWas) {
  std::vector<Hash256> arena(4), expected_arena(4);
  TokenChain chain({Hash256{}, 16, 20}, arena);
  ASSERT_TRUE(chain.append_tokens(tokens(3)).ok());
  const std::vector<Hash256> leaves(2);
  const auto refused = chain.append_leaves(leaves);
  EXPECT_EQ(refused.code(), Errc::kInvalidArgument);
  EXPECT_NE(refused.error().text.find("max_tokens"), std::string::npos);
  EXPECT_EQ(chain.token_count(), 3u);
  EXPECT_TRUE(chain.append_leaves(std::span(leaves).first(1)).ok()) << "16 of 20";
}

TEST(TokenChain, NothingIsAppendedBeyondTheArena) {
  std::vector<Hash256> arena(1);
  TokenChain chain({Hash256{}, 16, 64}, arena);
  EXPECT_EQ(chain.append_tokens(tokens(32)).code(), Errc::kInvalidArgument);
  EXPECT_EQ(chain.token_count(), 0u);
  EXPECT_TRUE(chain.append_tokens(tokens(31)).ok());
}

model::UnitKey key(uint32_t first, uint32_t count) { return {first, count, Hash256{}}; }

TEST(TokenChain, KeysGiveTheSameChainInPiecesOfAnySize) {
  const std::vector<uint32_t> all = tokens(70);
  const std::vector<model::UnitKey> keys = {key(3, 20), key(30, 1), key(40, UINT32_MAX)};
  std::vector<Hash256> expected;
  model::extend_chain_with_keys(Hash256{}, {0, all, keys}, 16, expected);
  for (size_t piece = 1; piece <= 40; ++piece) {
    std::vector<Hash256> arena(4);
    TokenChain chain({Hash256{}, 16, 70}, arena);
    size_t given = 0;
    for (size_t at = 0; at < all.size(); at += piece) {
      const size_t count = std::min(piece, all.size() - at);
      // Each with the piece in which it begins.
      std::vector<model::UnitKey> fresh;
      while (given < keys.size() && keys[given].first_token < at + count) {
        fresh.push_back(keys[given++]);
      }
      ASSERT_TRUE(chain.append_tokens(std::span(all).subspan(at, count), fresh).ok()) << piece;
    }
    EXPECT_EQ(chain.chain(), expected) << piece;
    EXPECT_EQ(arena, expected) << piece;
  }
}

TEST(TokenChain, AKeyMayBeGivenAheadOfItsTokensOrInABegunUnit) {
  const std::vector<uint32_t> all = tokens(32);
  const std::vector<model::UnitKey> keys = {key(2, 3), key(20, 4)};
  std::vector<Hash256> expected;
  model::extend_chain_with_keys(Hash256{}, {0, all, keys}, 16, expected);
  std::vector<Hash256> arena(2);
  TokenChain chain({Hash256{}, 16, 32}, arena);
  ASSERT_TRUE(chain.append_tokens(std::span(all).first(10)).ok());
  ASSERT_TRUE(chain.append_tokens({}, keys).ok()) << "the unit of token 2 is not hashed yet";
  ASSERT_TRUE(chain.append_tokens(std::span(all).subspan(10)).ok());
  EXPECT_EQ(chain.chain(), expected);
}

TEST(TokenChain, AKeyOfAHashedUnitIsRefusedAndNothingAppended) {
  std::vector<Hash256> arena(4);
  TokenChain chain({Hash256{}, 16, 64}, arena);
  ASSERT_TRUE(chain.append_tokens(tokens(20)).ok());
  const model::UnitKey late = key(15, 4);
  EXPECT_EQ(chain.append_tokens(tokens(4), {&late, 1}).code(), Errc::kInvalidArgument);
  EXPECT_EQ(chain.token_count(), 20u);
  const model::UnitKey in_time = key(16, 4);
  EXPECT_TRUE(chain.append_tokens(tokens(4), {&in_time, 1}).ok());
}

TEST(TokenChain, Law10_KeysThatHaveNotEndedAreBounded) {
  std::vector<Hash256> arena(4);
  TokenChain chain({Hash256{}, 16, 64}, arena);
  const std::vector<model::UnitKey> many(TokenChain::kMaxOpenKeys, key(0, 16));
  ASSERT_TRUE(chain.append_tokens({}, many).ok());
  const model::UnitKey more = key(0, 1);
  EXPECT_EQ(chain.append_tokens({}, {&more, 1}).code(), Errc::kInvalidArgument);
  ASSERT_TRUE(chain.append_tokens(tokens(16)).ok()) << "they end with their unit";
  const model::UnitKey next = key(16, 1);
  EXPECT_TRUE(chain.append_tokens({}, {&next, 1}).ok());
}

// What tells the same content under two roots: pieces, leaves and roots make no difference.
TEST(TokenChain, ContentIsOfTheFirstBlockWhateverTheRoot) {
  const std::vector<uint32_t> all = tokens(64);
  const Hash256 other_root = model::sha256({});
  std::vector<Hash256> arena(4), other(4);
  TokenChain whole({Hash256{}, 16, 64, 2}, arena);
  ASSERT_TRUE(whole.append_tokens(all).ok());
  TokenChain pieces({other_root, 16, 64, 2}, other);
  for (size_t at = 0; at < 32; at += 8) {
    EXPECT_EQ(pieces.content(), 0u) << "the block is not whole";
    ASSERT_TRUE(pieces.append_tokens(std::span(all).subspan(at, 8)).ok());
  }
  EXPECT_NE(whole.content(), 0u);
  EXPECT_EQ(pieces.content(), whole.content());
  EXPECT_NE(pieces.chain()[1], whole.chain()[1]);
  const uint64_t before = pieces.content();
  ASSERT_TRUE(pieces.append_tokens(std::span(all).first(16)).ok());
  EXPECT_EQ(pieces.content(), before) << "of the first block alone";

  std::vector<Hash256> leaves;
  for (size_t at = 0; at < 32; at += 16) {
    leaves.push_back(model::sha256(std::as_bytes(std::span(all).subspan(at, 16))));
  }
  TokenChain by_leaves({other_root, 16, 64, 2}, other);
  ASSERT_TRUE(by_leaves.append_leaves(leaves).ok());
  EXPECT_EQ(by_leaves.content(), whole.content());
}

TEST(TokenChain, KeysAreOfTheContent) {
  const std::vector<uint32_t> all = tokens(32);
  const std::vector<model::UnitKey> keys = {{.first_token = 20, .token_count = 4, .digest = {}}};
  std::vector<Hash256> arena(4), other(4);
  TokenChain plain({Hash256{}, 16, 32, 2}, arena);
  TokenChain keyed({Hash256{}, 16, 32, 2}, other);
  ASSERT_TRUE(plain.append_tokens(all).ok());
  ASSERT_TRUE(keyed.append_tokens(all, keys).ok());
  EXPECT_NE(keyed.content(), plain.content());
}

}  // namespace
}  // namespace quire::client::token_chain_test
