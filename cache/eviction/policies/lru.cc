// Least recently used first, exactly.
//
// A use only moves the entry's time on in the table; candidates wait in a heap by the time they had
// when they entered it, and sink when they come to the top with a later one.
#include <memory>
#include <utility>

#include "cache/eviction/candidate_heap.h"
#include "cache/eviction/policy.h"

namespace quire::cache {
namespace {

class Lru final : public EvictionPolicy {
 public:
  Lru(const PolicyParts& parts, CandidateHeap heap)
      : entries_(parts.entries), heap_(std::move(heap)) {}

  void inserted(EntryId, Seen) override {}
  void adopted(EntryId) override {}
  void used(EntryId, uint64_t) override {}
  void done_with(EntryId entry) override {
    if (is_candidate(entry)) heap_.set_key(entry, entries_->last_use(entry));
  }
  void offered(EntryId entry) override {
    if (!is_candidate(entry)) heap_.insert(entry, entries_->last_use(entry));
  }
  void withdrawn(EntryId entry) override { gone(entry); }
  std::optional<EntryId> choose() override { return heap_.least_recent(); }
  void gone(EntryId entry) override {
    if (is_candidate(entry)) heap_.erase(entry);
  }
  uint64_t held_bytes() const override { return heap_.held_bytes(); }
  void check_invariants() const override { heap_.check_invariants(true); }

 private:
  bool is_candidate(EntryId entry) const { return entries_->place(entry) != 0; }

  EntryTable* entries_;
  CandidateHeap heap_;
};

}  // namespace

model::Result<std::unique_ptr<EvictionPolicy>> make_lru(const PolicyParts& parts) {
  CandidateHeap heap = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  return std::unique_ptr<EvictionPolicy>(std::make_unique<Lru>(parts, std::move(heap)));
}

}  // namespace quire::cache
