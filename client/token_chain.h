// A session's context as chain hashes: each whole unit is hashed once, kept here and written to the
// hash arena that the daemon reads (entry i = chain hash after i + 1 units). Tokens beyond the last
// whole unit wait. Token ids are not kept otherwise.
// Threads: the session's. The arena becomes visible to the daemon with the next ring publish.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "model/hash256.h"
#include "model/result.h"
#include "model/unit_keys.h"

namespace quire::client {

class TokenChain {
 public:
  struct Options {
    model::Hash256 root;
    uint32_t unit_tokens = 0;  // > 0
    uint32_t max_tokens = 0;
    uint32_t block_units = 1;  // of the block that content() stands for
  };
  TokenChain(const Options& options, std::span<model::Hash256> arena);

  // kInvalidArgument, and nothing appended, beyond max_tokens or the arena. `keys` are folded into
  // the units that they overlap; one may begin in a unit that was begun, or ahead of what is
  // appended, and goes on until its end. kInvalidArgument for one that begins in a unit that is
  // hashed already, or when more than kMaxOpenKeys wait for their end.
  static constexpr size_t kMaxOpenKeys = 4096;
  model::Result<void> append_tokens(std::span<const uint32_t> tokens,
                                    std::span<const model::UnitKey> keys = {});
  // The same from ready leaves. The first one completes a unit that tokens began, and is folded
  // with them: the unit then stands for both.
  model::Result<void> append_leaves(std::span<const model::Hash256> leaves);

  // Another context, from its first token on.
  void restart();

  // Of whole units and of the one that was begun.
  uint32_t token_count() const { return hashed_tokens() + static_cast<uint32_t>(begun_.size()); }
  const std::vector<model::Hash256>& chain() const { return chain_; }
  // Of the first block's content, whatever the root. 0: it is not whole yet.
  uint64_t content() const {
    return content_.size() < options_.block_units ? 0 : content_.back().word(0) | 1;
  }

 private:
  model::Result<void> check_room(uint64_t more_tokens) const;
  model::Result<void> check_keys(std::span<const model::UnitKey> keys) const;
  void add_keys(std::span<const model::UnitKey> keys);
  uint32_t hashed_tokens() const {
    return static_cast<uint32_t>(chain_.size()) * options_.unit_tokens;
  }
  void hash_units(std::span<const uint32_t> tokens);
  // How many of the units that come are the first block's.
  size_t content_units(size_t units) const {
    return std::min<size_t>(options_.block_units - content_.size(), units);
  }
  void add_content(std::span<const model::Hash256> leaves);
  const model::Hash256& last() const { return chain_.empty() ? options_.root : chain_.back(); }
  void write_arena(size_t from);

  Options options_;
  std::span<model::Hash256> arena_;
  std::vector<model::Hash256> chain_;
  std::vector<model::Hash256> content_;  // of the first block's units, from a root of zeroes
  std::vector<uint32_t> begun_;          // fewer than unit_tokens
  std::vector<model::UnitKey> keys_;     // end behind what is hashed; in the order of folding
};

}  // namespace quire::client
