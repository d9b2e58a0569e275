// Leaves of units on which more than token ids depends: an image behind placeholder tokens, an
// adapter, a cache's salt. An engine names where such a key lies and its bytes; the key is folded
// into the leaf of every unit that it overlaps, wherever in the unit it begins.
//
//   plain unit    leaf = SHA-256(token ids, 4 bytes little-endian each) model/chain_hash.h keyed
//   unit    leaf = SHA-256("quire-keyed-unit-v1" || part(token ids as above) ||
//                                for each key that overlaps the unit, in order:
//                                    part(begin, end, progress) || part(digest))
//   part(x)       = length of x in bytes (8 bytes little-endian) || x
//   begin, end    where in the unit the key's tokens begin and end (0 <= begin < end <= A)
//   progress      how many tokens of the key lie in earlier units
//                 (begin, end, progress: 4 bytes little-endian each)
//   digest        = SHA-256(the key's bytes)
//   order         by first_token, then token_count, then digest: the order of the list is no matter
//
// The prefix and the lengths keep the domains apart: a keyed leaf is never a plain one's, nor that
// of fold_leaf(), and no two lists of keys give the same message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/hash256.h"

namespace quire::model {

struct UnitKey {
  uint32_t first_token = 0;  // from the start of the context
  uint32_t token_count =
      0;           // at least 1; beyond 2^32 - 1 there is nothing: UINT32_MAX = to the end
  Hash256 digest;  // of its bytes

  uint64_t end_token() const { return uint64_t{first_token} + token_count; }
  friend bool operator==(const UnitKey&, const UnitKey&) = default;
};
// `token_count` 0 counts as 1.
UnitKey unit_key(uint32_t first_token, uint32_t token_count, std::span<const std::byte> bytes);

// The order in which keys are folded.
void sort_unit_keys(std::vector<UnitKey>& keys);

// Leaf of the unit whose first token is `first_token` of the context. `keys`: sorted; those that do
// not overlap it are left out, and without any the leaf is a plain unit's.
Hash256 keyed_leaf(uint32_t first_token, std::span<const uint32_t> unit,
                   std::span<const UnitKey> keys);

// As extend_chain(), with keys: `tokens` begin at `first_token` of the context, a unit's start.
// `keys`: sorted.
struct KeyedTokens {
  uint32_t first_token = 0;
  std::span<const uint32_t> tokens;
  std::span<const UnitKey> keys;
};
void extend_chain_with_keys(const Hash256& previous, const KeyedTokens& from, uint32_t unit_tokens,
                            std::vector<Hash256>& chain);

}  // namespace quire::model
