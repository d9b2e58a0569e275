// A policy over entries that a test makes by hand, told of them in the order in which the board
// does.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "cache/eviction/policy.h"
#include "model/check.h"

namespace quire::cache {

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
                          .max_entries = max_entries})
                  .value();
  }

  EvictionPolicy& policy() { return *policy_; }
  EntryTable& entries() { return entries_; }
  History& history() { return history_; }

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
    entries_.set_last_use(EntryId{entry}, clock_.next_use());
    entries_.count_use(EntryId{entry});
    policy_->used(EntryId{entry});
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
  std::unique_ptr<EvictionPolicy> policy_;
  uint32_t count_ = 0;
};

}  // namespace quire::cache
