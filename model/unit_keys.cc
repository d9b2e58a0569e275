#include "model/unit_keys.h"

#include <algorithm>
#include <array>
#include <string>

#include "model/chain_hash.h"
#include "model/check.h"

namespace quire::model {

namespace {

void append_part(std::string& message, const void* data, size_t bytes) {
  const uint64_t length = bytes;
  message.append(reinterpret_cast<const char*>(&length), sizeof(length));
  message.append(static_cast<const char*>(data), bytes);
}

bool overlaps(const UnitKey& key, uint64_t first, uint64_t end) {
  return key.first_token < end && key.end_token() > first;
}

// Where the key lies in the unit [first, end), and how much of it lies before.
std::array<uint32_t, 3> place_in(const UnitKey& key, uint64_t first, uint64_t end) {
  // What lies before the unit is part of it: the second unit of an image must differ from its
  // first.
  const uint64_t begins = std::max<uint64_t>(key.first_token, first);
  const uint64_t ends = std::min(key.end_token(), end);
  return {static_cast<uint32_t>(begins - first), static_cast<uint32_t>(ends - first),
          static_cast<uint32_t>(begins - key.first_token)};
}

}  // namespace

UnitKey unit_key(uint32_t first_token, uint32_t token_count, std::span<const std::byte> bytes) {
  return {first_token, std::max(token_count, 1u), sha256(bytes)};
}

void sort_unit_keys(std::vector<UnitKey>& keys) {
  // By all fields: engines that name the same keys in another order get the same hashes.
  std::sort(keys.begin(), keys.end(), [](const UnitKey& a, const UnitKey& b) {
    if (a.first_token != b.first_token) return a.first_token < b.first_token;
    if (a.token_count != b.token_count) return a.token_count < b.token_count;
    return a.digest.bytes < b.digest.bytes;
  });
}

Hash256 keyed_leaf(uint32_t first_token, std::span<const uint32_t> unit,
                   std::span<const UnitKey> keys) {
  const uint64_t first = first_token;
  const uint64_t end = first + unit.size();
  std::string message;
  for (const UnitKey& key : keys) {
    if (key.first_token >= end) break;  // sorted: nor do those behind it
    if (!overlaps(key, first, end)) continue;
    if (message.empty()) {
      message = "quire-keyed-unit-v1";
      append_part(message, unit.data(), unit.size_bytes());
    }
    const std::array<uint32_t, 3> place = place_in(key, first, end);
    append_part(message, place.data(), sizeof(place));
    append_part(message, key.digest.bytes.data(), key.digest.bytes.size());
  }
  // A unit without keys has the leaf that extend_chain() gives it: prompts meet whether keys were
  // named or not.
  if (message.empty()) return sha256(std::as_bytes(unit));
  return sha256(std::as_bytes(std::span(message)));
}

void extend_chain_with_keys(const Hash256& previous, const KeyedTokens& from, uint32_t unit_tokens,
                            std::vector<Hash256>& chain) {
  QUIRE_CHECK(unit_tokens > 0);
  Hash256 last = previous;
  size_t done = 0;
  std::span<const UnitKey> keys = from.keys;
  for (; done + unit_tokens <= from.tokens.size(); done += unit_tokens) {
    const uint32_t first = from.first_token + static_cast<uint32_t>(done);
    // Those that are over; what a long one hides behind it is skipped in keyed_leaf().
    while (!keys.empty() && keys.front().end_token() <= first) keys = keys.subspan(1);
    const Hash256 leaf = keyed_leaf(first, from.tokens.subspan(done, unit_tokens), keys);
    extend_chain_from_leaves(last, std::span(&leaf, 1), chain);
    last = chain.back();
  }
}

}  // namespace quire::model
