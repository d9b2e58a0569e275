// Chain hashes (DESIGN section 1): identity of a prefix at every multiple of unit_tokens.
//
//   leaf(u)  = SHA-256(token ids of unit u, 4 bytes little-endian each)   or an engine's own hash
//   chain(0) = root
//   chain(u) = SHA-256(chain(u-1) || leaf(u))
//
// The root binds domain, tenant, namespace, epoch, layout digest and salt; the daemon computes it
// and hands it out with the session, so a client needs no secret to extend a chain.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/hash256.h"

namespace quire::model {

struct RootParts {
  std::string_view domain;
  std::string_view tenant;          // empty when the operator declares the namespace shared
  std::string_view namespace_name;  // model id + adapter
  uint64_t weights_epoch = 0;
  Hash256 layout_digest;
  std::string_view salt;
};
// SHA-256 over a type tag and each part behind its 64-bit length (no two part lists collide).
Hash256 root_hash(const RootParts& parts);

// SHA-256 of arbitrary bytes.
Hash256 sha256(std::span<const std::byte> bytes);

// Appends one chain hash per *whole* unit of `tokens` to `chain`. `previous` is the chain hash
// before tokens[0] (the root at position 0); it may be an element of `chain`. `unit_tokens` > 0.
// Left-over tokens are not hashed.
void extend_chain(const Hash256& previous, std::span<const uint32_t> tokens, uint32_t unit_tokens,
                  std::vector<Hash256>& chain);
// The same from ready leaves (an engine's own >= 16-byte unit hashes, zero-padded to 32).
void extend_chain_from_leaves(const Hash256& previous, std::span<const Hash256> leaves,
                              std::vector<Hash256>& chain);
// Leaf of a unit of which the first tokens were given, and then a hash of the whole by the engine:
// it binds both, so that neither alone can make two different units equal.
Hash256 fold_leaf(std::span<const uint32_t> begun, const Hash256& leaf);

}  // namespace quire::model
