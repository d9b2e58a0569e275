#include "cache/eviction/candidate_heap.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::cache {

using allocator::FlatArray;
using model::Result;

// The first touch of a huge page would clear all of it, within a turn.
Result<CandidateHeap> CandidateHeap::create(EntryTable* entries, uint64_t max_entries) {
  return CandidateHeap(
      entries, QUIRE_TRY(FlatArray<Candidate>::reserve(max_entries + kPadding,
                                                       allocator::ReservedMemory::Pages::kSmall)));
}

// Equal keys are told apart by id, so that a run can be repeated.
bool CandidateHeap::is_before(const Candidate& a, const Candidate& b) {
  return a.key != b.key ? a.key < b.key : a.entry < b.entry;
}

void CandidateHeap::put(uint32_t place, const Candidate& candidate) {
  at(place) = candidate;
  entries_->set_place(EntryId{candidate.entry}, place + 1);
}

void CandidateHeap::sift_up(uint32_t place, const Candidate& candidate) {
  while (place > 0) {
    const uint32_t above = (place - 1) / kArity;
    if (!is_before(candidate, at(above))) break;
    put(place, at(above));
    place = above;
  }
  put(place, candidate);
}

uint32_t CandidateHeap::least_child(uint32_t place) const {
  const uint32_t first = place * kArity + 1;
  const uint32_t end = first + std::min(kArity, size_ - first);
  uint32_t least = first;
  for (uint32_t child = first + 1; child < end; ++child) {
    if (is_before(at(child), at(least))) least = child;
  }
  return least;
}

void CandidateHeap::sift_down(uint32_t place, const Candidate& candidate) {
  // In 64 bits: four times the place of a late entry does not fit 32.
  while (uint64_t{place} * kArity + 1 < size_) {
    const uint32_t least = least_child(place);
    if (!is_before(at(least), candidate)) break;
    put(place, at(least));
    place = least;
  }
  put(place, candidate);
}

void CandidateHeap::sift(uint32_t place, const Candidate& candidate) {
  if (place > 0 && is_before(candidate, at((place - 1) / kArity))) {
    sift_up(place, candidate);
  } else {
    sift_down(place, candidate);
  }
}

// The last candidate takes the vacant place.
void CandidateHeap::settle() {
  if (!std::exchange(vacant_, false)) return;
  const Candidate last = at(--size_);
  if (size_ > 0) sift_down(0, last);
}

void CandidateHeap::insert(EntryId entry, uint64_t key) {
  QUIRE_CHECK(entries_->place(entry) == 0);
  const Candidate candidate{key, entry.value, 0};
  if (std::exchange(vacant_, false)) return sift_down(0, candidate);
  most_ = std::max(most_, size_ + 1);
  sift_up(size_++, candidate);
}

// The last candidate takes the place of the erased one, unless that was the top.
void CandidateHeap::erase(EntryId entry) {
  settle();
  const uint32_t place = entries_->place(entry) - 1;
  QUIRE_CHECK(place < size_ && at(place).entry == entry.value);
  // Before the sift, which gives the last candidate its place.
  entries_->set_place(entry, 0);
  vacant_ = place == 0;
  if (vacant_) return;
  const Candidate last = at(--size_);
  if (place < size_) sift(place, last);
}

void CandidateHeap::set_key(EntryId entry, uint64_t key) {
  settle();
  const uint32_t place = entries_->place(entry) - 1;
  QUIRE_CHECK(place < size_ && at(place).entry == entry.value);
  sift(place, Candidate{key, entry.value, 0});
}

std::optional<EntryId> CandidateHeap::least() const {
  if (size() == 0) return std::nullopt;
  return EntryId{at(top()).entry};
}

// A use raises only the time in the table; what reaches the top with a key that has moved on sinks,
// and the next one is looked at.
std::optional<EntryId> CandidateHeap::least_recent() {
  settle();
  while (size_ > 0) {
    const EntryId top{at(0).entry};
    const uint64_t time = entries_->last_use(top);
    if (time == at(0).key) return top;
    sift_down(0, Candidate{time, top.value, 0});
  }
  return std::nullopt;
}

uint64_t CandidateHeap::held_bytes() const {
  return candidates_.held_bytes(most_ == 0 ? 0 : most_ + kPadding);
}

void CandidateHeap::check_invariants(bool lagging_keys) const {
  const uint32_t first = vacant_ ? 1 : 0;
  for (uint32_t place = first; place < size_; ++place) {
    const Candidate& candidate = at(place);
    QUIRE_CHECK(entries_->place(EntryId{candidate.entry}) == place + 1);
    const uint32_t above = place == 0 ? 0 : (place - 1) / kArity;
    QUIRE_CHECK(above < first || place == 0 || !is_before(candidate, at(above)));
    QUIRE_CHECK(!lagging_keys || candidate.key <= entries_->last_use(EntryId{candidate.entry}));
  }
}

}  // namespace quire::cache
