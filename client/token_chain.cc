#include "client/token_chain.h"

#include <algorithm>
#include <string>

#include "model/chain_hash.h"
#include "model/check.h"

namespace quire::client {

using model::Errc;
using model::Hash256;
using model::Result;

TokenChain::TokenChain(const Options& options, std::span<Hash256> arena)
    : options_(options), arena_(arena) {
  QUIRE_CHECK(options.unit_tokens > 0 && options.block_units > 0);
  // Hashes never move: a caller may look at them while the chain grows.
  chain_.reserve(arena.size());
  begun_.reserve(options.unit_tokens);
}

void TokenChain::restart() {
  chain_.clear();
  content_.clear();
  begun_.clear();
  keys_.clear();
}

Result<void> TokenChain::check_room(uint64_t more_tokens) const {
  const uint64_t total = token_count() + more_tokens;
  if (total > options_.max_tokens || total / options_.unit_tokens > arena_.size()) {
    return model::make_error(Errc::kInvalidArgument, "the session was opened for at most " +
                                                         std::to_string(options_.max_tokens) +
                                                         " tokens (max_tokens)");
  }
  return {};
}

Result<void> TokenChain::check_keys(std::span<const model::UnitKey> keys) const {
  for (const model::UnitKey& key : keys) {
    if (key.first_token >= hashed_tokens()) continue;
    return model::make_error(Errc::kInvalidArgument,
                             "a key at token " + std::to_string(key.first_token) +
                                 ", but the units up to " + std::to_string(hashed_tokens()) +
                                 " are hashed: give it with its tokens or before them");
  }
  if (keys_.size() + keys.size() > kMaxOpenKeys) {
    return model::make_error(Errc::kInvalidArgument, "more than 4096 keys that have not ended");
  }
  return {};
}

void TokenChain::add_keys(std::span<const model::UnitKey> keys) {
  if (keys.empty()) return;
  keys_.insert(keys_.end(), keys.begin(), keys.end());
  model::sort_unit_keys(keys_);
}

Result<void> TokenChain::append_tokens(std::span<const uint32_t> tokens,
                                       std::span<const model::UnitKey> keys) {
  QUIRE_TRY(check_room(tokens.size()));
  // All checks before the first change: a refusal appends nothing.
  QUIRE_TRY(check_keys(keys));
  add_keys(keys);
  const size_t unit = options_.unit_tokens;
  if (!begun_.empty()) {
    const size_t taken = std::min(unit - begun_.size(), tokens.size());
    begun_.insert(begun_.end(), tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(taken));
    tokens = tokens.subspan(taken);
    // A unit is hashed once it is whole; until then nothing of it can be matched.
    if (begun_.size() < unit) return {};
    hash_units(begun_);
    begun_.clear();
  }
  const size_t whole = tokens.size() / unit * unit;
  hash_units(tokens.first(whole));
  const auto rest = tokens.subspan(whole);
  begun_.insert(begun_.end(), rest.begin(), rest.end());
  return {};
}

void TokenChain::hash_units(std::span<const uint32_t> tokens) {
  const size_t before = chain_.size();
  const uint32_t hashed_before = hashed_tokens();
  // A copy: the chain that it lies in grows below.
  const Hash256 previous = last();
  const auto content =
      tokens.first(content_units(tokens.size() / options_.unit_tokens) * options_.unit_tokens);
  const Hash256 before_content = content_.empty() ? Hash256{} : content_.back();
  // As a rule: no search for keys at each unit.
  if (keys_.empty()) {
    model::extend_chain(previous, tokens, options_.unit_tokens, chain_);
    model::extend_chain(before_content, content, options_.unit_tokens, content_);
  } else {
    model::extend_chain_with_keys(before_content, {hashed_before, content, keys_},
                                  options_.unit_tokens, content_);
    model::extend_chain_with_keys(previous, {hashed_tokens(), tokens, keys_}, options_.unit_tokens,
                                  chain_);
    std::erase_if(keys_,
                  [this](const model::UnitKey& key) { return key.end_token() <= hashed_tokens(); });
  }
  write_arena(before);
}

Result<void> TokenChain::append_leaves(std::span<const Hash256> leaves) {
  if (leaves.empty()) return {};
  QUIRE_TRY(check_room(uint64_t{leaves.size()} * options_.unit_tokens - begun_.size()));
  const size_t before = chain_.size();
  if (!begun_.empty()) {
    const Hash256 folded = model::fold_leaf(begun_, leaves.front());
    begun_.clear();
    // The engine's leaf stands for the whole unit, and the tokens that were given for its begin:
    // both are bound.
    model::extend_chain_from_leaves(Hash256{last()}, std::span(&folded, 1), chain_);
    add_content(std::span(&folded, 1));
    leaves = leaves.subspan(1);
  }
  model::extend_chain_from_leaves(Hash256{last()}, leaves, chain_);
  add_content(leaves);
  write_arena(before);
  return {};
}

void TokenChain::add_content(std::span<const Hash256> leaves) {
  model::extend_chain_from_leaves(content_.empty() ? Hash256{} : content_.back(),
                                  leaves.first(content_units(leaves.size())), content_);
}

// Only what is new: the daemon may be reading the hashes before it, which never change.
void TokenChain::write_arena(size_t from) {
  std::copy(chain_.begin() + static_cast<ptrdiff_t>(from), chain_.end(),
            arena_.begin() + static_cast<ptrdiff_t>(from));
}

}  // namespace quire::client
