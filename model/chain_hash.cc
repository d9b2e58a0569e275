// Uses libcrypto's SHA256_Init/Update/Final: the EVP layer fetches an algorithm and allocates a
// context for each call, which costs more than hashing 64 bytes. They are deprecated since OpenSSL
// 3, not removed; asking for the 1.1 API keeps this file free of warnings.
#define OPENSSL_API_COMPAT 0x10100000L

#include "model/chain_hash.h"

#include <openssl/sha.h>

#include <bit>
#include <cstring>
#include <string>

#include "model/check.h"

namespace quire::model {

namespace {

static_assert(std::endian::native == std::endian::little, "token ids are hashed little-endian");

Hash256 digest(const void* data, size_t bytes) {
  SHA256_CTX context;
  Hash256 hash;
  SHA256_Init(&context);
  SHA256_Update(&context, data, bytes);
  SHA256_Final(hash.bytes.data(), &context);
  return hash;
}

// What a chain step hashes: the chain hash so far, then the leaf of the next unit.
struct ChainStep {
  Hash256 previous;
  Hash256 leaf;
};
static_assert(sizeof(ChainStep) == 64);

void append_part(std::string& message, const void* data, size_t bytes) {
  const uint64_t length = bytes;
  message.append(reinterpret_cast<const char*>(&length), sizeof(length));
  if (bytes > 0) message.append(static_cast<const char*>(data), bytes);
}

}  // namespace

Hash256 root_hash(const RootParts& parts) {
  std::string message = "quire-root-v1";
  append_part(message, parts.domain.data(), parts.domain.size());
  append_part(message, parts.tenant.data(), parts.tenant.size());
  append_part(message, parts.namespace_name.data(), parts.namespace_name.size());
  append_part(message, &parts.weights_epoch, sizeof(parts.weights_epoch));
  append_part(message, parts.layout_digest.bytes.data(), parts.layout_digest.bytes.size());
  append_part(message, parts.salt.data(), parts.salt.size());
  return digest(message.data(), message.size());
}

Hash256 fold_leaf(std::span<const uint32_t> begun, const Hash256& leaf) {
  // The tag keeps it apart from plain leaves, which hash tokens alone.
  std::string message = "quire-begun-unit-v1";
  append_part(message, begun.data(), begun.size_bytes());
  append_part(message, leaf.bytes.data(), leaf.bytes.size());
  return digest(message.data(), message.size());
}

Hash256 sha256(std::span<const std::byte> bytes) { return digest(bytes.data(), bytes.size()); }

void extend_chain(const Hash256& previous, std::span<const uint32_t> tokens, uint32_t unit_tokens,
                  std::vector<Hash256>& chain) {
  QUIRE_CHECK(unit_tokens > 0);
  const size_t unit_count = tokens.size() / unit_tokens;
  ChainStep step{previous, {}};  // a copy: `previous` may lie in `chain`
  // Two hashes a unit: an engine that has leaves of its own makes the second one only.
  for (size_t unit = 0; unit < unit_count; ++unit) {
    step.leaf = digest(&tokens[unit * unit_tokens], size_t{unit_tokens} * sizeof(uint32_t));
    step.previous = digest(&step, sizeof(step));
    chain.push_back(step.previous);
  }
}

void extend_chain_from_leaves(const Hash256& previous, std::span<const Hash256> leaves,
                              std::vector<Hash256>& chain) {
  ChainStep step{previous, {}};
  for (const Hash256& leaf : leaves) {
    step.leaf = leaf;
    step.previous = digest(&step, sizeof(step));
    chain.push_back(step.previous);
  }
}

}  // namespace quire::model
