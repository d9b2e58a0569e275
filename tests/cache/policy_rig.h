// A policy over entries that a test makes by hand, told of them in the order in which the board
// does.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "cache/eviction/policy.h"
#include "model/check.h"

namespace quire::cache {

// Facts as a test sets them: entries of one size at the start of their prompts, without parents.
class RigFacts final : public EntryFacts {
 public:
  std::optional<EntryId> parent(EntryId entry) const override {
    const auto found = parents.find(entry.value);
    if (found == parents.end()) return std::nullopt;
    return EntryId{found->second};
  }
  uint64_t end_tokens(EntryId entry) const override { return get(tokens, entry, 0); }
  uint64_t bytes(EntryId entry) const override { return get(sizes, entry, span_bytes(entry)); }
  uint64_t span_bytes(EntryId) const override { return 4096; }
  uint32_t fingerprint(EntryId entry) const override { return entry.value * 2654435761u; }
  uint32_t children(EntryId entry) const override {
    const auto found = child_counts.find(entry.value);
    return found == child_counts.end() ? 0 : found->second;
  }

  std::map<uint32_t, uint32_t> parents;
  std::map<uint32_t, uint32_t> child_counts;
  std::map<uint32_t, uint64_t> tokens;
  std::map<uint32_t, uint64_t> sizes;

 private:
  static uint64_t get(const std::map<uint32_t, uint64_t>& from, EntryId entry, uint64_t otherwise) {
    const auto found = from.find(entry.value);
    return found == from.end() ? otherwise : found->second;
  }
};

class PolicyRig {
 public:
  explicit PolicyRig(std::string_view name, uint64_t max_entries = 1000)
      : entries_(EntryTable::create(max_entries).value()) {
    const NamedPolicy* found = find_policy(name);
    QUIRE_CHECK(found != nullptr);
    policy_ = found
                  ->make({.entries = &entries_,
                          .history = &history_,
                          .clock = &clock_,
                          .facts = &facts_,
                          .max_entries = max_entries})
                  .value();
  }

  EvictionPolicy& policy() { return *policy_; }
  EntryTable& entries() { return entries_; }
  History& history() { return history_; }
  RigFacts& facts() { return facts_; }
  void advance_to(int64_t now_us) { clock_.advance_to(now_us); }

  static model::Hash256 key(uint32_t number) {
    model::Hash256 hash;
    for (size_t i = 0; i < hash.bytes.size(); ++i) {
      hash.bytes[i] = static_cast<uint8_t>(number * 2654435761u >> (i % 4 * 8));
    }
    return hash;
  }
  void insert(uint32_t entry) {
    entries_.set_last_use(EntryId{entry}, clock_.next_use());
    policy_->inserted(EntryId{entry}, history_.take(key(entry)));
    ++count_;
  }
  void use(uint32_t entry) {
    const uint64_t before = entries_.last_use(EntryId{entry});
    entries_.set_last_use(EntryId{entry}, clock_.next_use());
    entries_.count_use(EntryId{entry});
    policy_->used(EntryId{entry}, before);
  }
  void done_with(uint32_t entry) {
    entries_.set_last_use(EntryId{entry}, clock_.next_done());
    policy_->done_with(EntryId{entry});
  }
  void offer(uint32_t entry) { policy_->offered(EntryId{entry}); }
  void insert_and_offer(uint32_t entry) {
    insert(entry);
    offer(entry);
  }
  void remove(uint32_t entry, bool evicted) {
    policy_->gone(EntryId{entry});
    if (evicted) history_.add(key(entry), entries_.uses(EntryId{entry}) > 0, --count_);
    entries_.clear(EntryId{entry});
  }
  std::optional<uint32_t> evict() {
    const std::optional<EntryId> entry = policy_->choose();
    if (!entry) return std::nullopt;
    remove(entry->value, true);
    return entry->value;
  }
  std::vector<uint32_t> drain() {
    std::vector<uint32_t> order;
    while (const auto entry = evict()) order.push_back(*entry);
    return order;
  }

 private:
  EntryTable entries_;
  History history_;
  UseClock clock_;
  RigFacts facts_;
  std::unique_ptr<EvictionPolicy> policy_;
  uint32_t count_ = 0;
};

}  // namespace quire::cache
