#include "client/token_chain.h"

#include <gtest/gtest.h>

#include <numeric>

#include "model/chain_hash.h"

namespace quire::client {
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

TEST(TokenChain, LeavesInsideAUnitAreRefused) {
  std::vector<Hash256> arena(4);
  TokenChain chain({Hash256{}, 16, 64}, arena);
  ASSERT_TRUE(chain.append_tokens(tokens(3)).ok());
  const Hash256 leaf{};
  EXPECT_EQ(chain.append_leaves(std::span(&leaf, 1)).code(), Errc::kInvalidArgument);
}

TEST(TokenChain, NothingIsAppendedBeyondTheArena) {
  std::vector<Hash256> arena(1);
  TokenChain chain({Hash256{}, 16, 64}, arena);
  EXPECT_EQ(chain.append_tokens(tokens(32)).code(), Errc::kInvalidArgument);
  EXPECT_EQ(chain.token_count(), 0u);
  EXPECT_TRUE(chain.append_tokens(tokens(31)).ok());
}

}  // namespace
}  // namespace quire::client
