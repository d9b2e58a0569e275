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

void CandidateHeap::sift_down(uint32_t place, const Candidate& candidate) {
  while (true) {
    // In 64 bits: four times the place of a late entry does not fit 32.
    const uint64_t first = uint64_t{place} * kArity + 1;
    if (first >= size_) break;
    const auto end = static_cast<uint32_t>(std::min<uint64_t>(first + kArity, size_));
    auto least = static_cast<uint32_t>(first);
    for (uint32_t child = least + 1; child < end; ++child) {
      if (is_before(at(child), at(least))) least = child;
    }
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

void CandidateHeap::insert(EntryId entry, uint64_t key) {
  QUIRE_CHECK(entries_->place(entry) == 0);
  most_ = std::max(most_, size_ + 1);
  sift_up(size_++, Candidate{key, entry.value, 0});
}

// The last candidate takes the place of the erased one.
void CandidateHeap::erase(EntryId entry) {
  const uint32_t place = entries_->place(entry) - 1;
  QUIRE_CHECK(place < size_ && at(place).entry == entry.value);
  // Before the sift, which gives the last candidate its place.
  entries_->set_place(entry, 0);
  const Candidate last = at(--size_);
  if (place < size_) sift(place, last);
}

void CandidateHeap::set_key(EntryId entry, uint64_t key) {
  const uint32_t place = entries_->place(entry) - 1;
  QUIRE_CHECK(place < size_ && at(place).entry == entry.value);
  sift(place, Candidate{key, entry.value, 0});
}

std::optional<EntryId> CandidateHeap::least() const {
  if (size_ == 0) return std::nullopt;
  return EntryId{at(0).entry};
}

// A use raises only the time in the table; what reaches the top with a key that has moved on sinks,
// and the next one is looked at.
std::optional<EntryId> CandidateHeap::least_recent() {
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
  for (uint32_t place = 0; place < size_; ++place) {
    const Candidate& candidate = at(place);
    QUIRE_CHECK(entries_->place(EntryId{candidate.entry}) == place + 1);
    QUIRE_CHECK(place == 0 || !is_before(candidate, at((place - 1) / kArity)));
    QUIRE_CHECK(!lagging_keys || candidate.key <= entries_->last_use(EntryId{candidate.entry}));
  }
}

}  // namespace quire::cache
