// How keys are folded into leaves. The vectors were computed with another program, from the words
// of model/unit_keys.h alone.
#include "model/unit_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <string_view>

#include "model/chain_hash.h"

namespace quire::model::unit_keys_test {
namespace {

UnitKey key(uint32_t first, uint32_t count, std::string_view bytes) {
  return unit_key(first, count, std::as_bytes(std::span(bytes)));
}

std::vector<uint32_t> tokens(uint32_t first, size_t count) {
  std::vector<uint32_t> result(count);
  std::iota(result.begin(), result.end(), first);
  return result;
}

std::string hex(const Hash256& hash) {
  std::string text;
  for (const uint8_t byte : hash.bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

Hash256 leaf(uint32_t first_token, std::vector<UnitKey> keys, size_t unit = 4) {
  sort_unit_keys(keys);
  return keyed_leaf(first_token, tokens(first_token + 1, unit), keys);
}

TEST(UnitKeys, GoldenLeaves) {
  EXPECT_EQ(hex(leaf(0, {})), "cf97adeedb59e05bfd73a2b4c2a8885708c4f4f70c84c64b27120e72ab733b72");
  EXPECT_EQ(hex(leaf(0, {key(2, 5, "image-1")})),
            "d8c23f65d66f3ff187af41d06c6a9a9783da8f914419dfda58c6193300911f6e");
  EXPECT_EQ(hex(leaf(4, {key(2, 5, "image-1")})),
            "8b931234600439fd0fe6cffe848108f5c0ff67bf7bd5e0c88c05ca7f666b3f9c");
  EXPECT_EQ(hex(leaf(0, {key(2, 5, "image-1"), key(0, UINT32_MAX, "adapter")})),
            "03008bf7a013be0f2c67f6734432aa59a1497a1bc25188943b534244b75d16ec");
}

TEST(UnitKeys, GoldenChain) {
  Hash256 root;
  std::iota(root.bytes.begin(), root.bytes.end(), uint8_t{0});
  std::vector<UnitKey> keys = {key(2, 5, "image-1"), key(0, UINT32_MAX, "adapter")};
  sort_unit_keys(keys);
  std::vector<Hash256> chain;
  const auto all = tokens(1, 13);
  extend_chain_with_keys(root, {0, all, keys}, 4, chain);
  ASSERT_EQ(chain.size(), 3u) << "whole units only";
  EXPECT_EQ(hex(chain[0]), "379ccc7f8540b86653cef7beea783b9aee44b52af4f7f821274d377bd6c66f17");
  EXPECT_EQ(hex(chain[1]), "dfe5ffbbe6e696b0dc32ab5b0843f3a5a52c111a8c601a043341fe591a083274");
  EXPECT_EQ(hex(chain[2]), "ecff8aef6894c560d7d90b2b852de7d81bdf0508a531767d1c7376b21114eb6d");
}

TEST(UnitKeys, WithoutAnyALeafIsAPlainUnits) {
  const auto all = tokens(1, 40);
  std::vector<Hash256> plain;
  extend_chain(Hash256{}, all, 4, plain);
  std::vector<Hash256> keyed;
  extend_chain_with_keys(Hash256{}, {0, all, {}}, 4, keyed);
  EXPECT_EQ(keyed, plain);
}

TEST(UnitKeys, AKeyChangesTheUnitsThatItOverlapsAndNoOthers) {
  for (uint32_t first = 0; first < 12; ++first) {
    for (uint32_t count = 1; count <= 12; ++count) {
      for (uint32_t unit = 0; unit < 6; ++unit) {
        const bool overlaps = first < 4 * unit + 4 && first + count > 4 * unit;
        EXPECT_EQ(leaf(4 * unit, {key(first, count, "k")}) != leaf(4 * unit, {}), overlaps)
            << first << "+" << count << " in unit " << unit;
      }
    }
  }
}

// Where a key lies, how far it reaches, what it is and how many there are: all of it counts.
TEST(UnitKeys, DifferentKeysGiveDifferentLeaves) {
  std::set<std::string> seen = {hex(leaf(4, {}))};
  // What lies in the unit [4, 8), and how much before it; what lies behind it does not count.
  std::set<std::array<uint32_t, 3>> places;
  for (uint32_t first = 0; first < 8; ++first) {
    for (uint32_t count = 1; count <= 4; ++count) {
      if (first + count <= 4) continue;
      places.insert(
          {std::max(first, 4u), std::min(first + count, 8u), std::max(first, 4u) - first});
      seen.insert(hex(leaf(4, {key(first, count, "a")})));
      seen.insert(hex(leaf(4, {key(first, count, "b")})));
      seen.insert(hex(leaf(4, {key(first, count, "a"), key(first, count, "a")})));
      seen.insert(hex(leaf(4, {key(first, count, "a"), key(first, count, "b")})));
    }
  }
  EXPECT_EQ(places.size(), 16u);
  EXPECT_EQ(seen.size(), 4 * places.size() + 1);
}

TEST(UnitKeys, TheOrderOfTheListIsNoMatter) {
  std::vector<UnitKey> keys = {key(5, 1, "x"), key(4, 4, "y"), key(4, 4, "z"), key(0, 9, "w")};
  const Hash256 expected = leaf(4, keys);
  std::sort(keys.begin(), keys.end(),
            [](const UnitKey& a, const UnitKey& b) { return a.digest.bytes < b.digest.bytes; });
  do {
    EXPECT_EQ(leaf(4, keys), expected);
  } while (std::next_permutation(keys.begin(), keys.end(), [](const UnitKey& a, const UnitKey& b) {
    return a.digest.bytes < b.digest.bytes;
  }));
}

TEST(UnitKeys, AKeyOfNoTokensCountsAsOne) {
  EXPECT_EQ(unit_key(3, 0, {}), unit_key(3, 1, {}));
  EXPECT_EQ(key(4'000'000'000, UINT32_MAX, "").end_token(), 8'294'967'295u) << "does not wrap";
}

// One call for all and one for each unit must agree, also where keys end and begin in between.
TEST(UnitKeys, PiecesGiveTheSameChain) {
  std::vector<UnitKey> keys = {key(0, 400, "long"), key(3, 2, "a"), key(17, 30, "b"),
                               key(90, 1, "c")};
  sort_unit_keys(keys);
  const auto all = tokens(1, 120);
  std::vector<Hash256> whole;
  extend_chain_with_keys(Hash256{}, {0, all, keys}, 8, whole);
  std::vector<Hash256> pieces;
  for (uint32_t at = 0; at < all.size(); at += 8) {
    const Hash256 previous = pieces.empty() ? Hash256{} : pieces.back();
    extend_chain_with_keys(previous, {at, std::span(all).subspan(at, 8), keys}, 8, pieces);
  }
  EXPECT_EQ(pieces, whole);
}

}  // namespace
}  // namespace quire::model::unit_keys_test
