#include "cache/ghosts/stretch_table.h"

#include <algorithm>
#include <bit>

#include "model/check.h"

namespace quire::cache {

StretchTable::StretchTable(uint32_t max_stretches)
    : stretches_(max_stretches),
      by_first_(std::bit_ceil(std::max(16u, max_stretches))),
      by_last_(by_first_.size()) {
  free_.reserve(max_stretches);
  loose_.reserve(max_stretches);
}

uint32_t StretchTable::mix(uint32_t value) { return (value ^ value >> 15) * 0x9e3779b1u; }

uint32_t& StretchTable::first_bucket(EntryId parent, uint32_t key) {
  const uint32_t mixed = mix(key + mix(parent.value));
  return by_first_[(mixed >> 7) & (by_first_.size() - 1)];
}

uint32_t& StretchTable::last_bucket(uint32_t key) {
  return by_last_[(mix(key) >> 7) & (by_last_.size() - 1)];
}

std::optional<EntryId> StretchTable::find_child(EntryId parent, uint32_t key) const {
  // Buckets are only read here.
  uint32_t next = const_cast<StretchTable*>(this)->first_bucket(parent, key);
  for (; next != 0; next = stretches_[next - 1].next_by_first) {
    const Stretch& one = stretches_[next - 1];
    if (one.keys[0] == key && one.parent == parent) return EntryId{next - 1};
  }
  return std::nullopt;
}

std::optional<EntryId> StretchTable::find_end(uint32_t key) const {
  uint32_t next = const_cast<StretchTable*>(this)->last_bucket(key);
  for (; next != 0; next = stretches_[next - 1].next_by_last) {
    const Stretch& one = stretches_[next - 1];
    if (one.keys[one.blocks - 1] == key) return EntryId{next - 1};
  }
  return std::nullopt;
}

EntryId StretchTable::take() {
  EntryId id;
  if (!free_.empty()) {
    id = EntryId{free_.back()};
    free_.pop_back();
  } else if (end_ < stretches_.size()) {
    id = EntryId{end_++};
  }
  return id;
}

void StretchTable::link(EntryId id) {
  Stretch& one = stretches_[id.value];
  uint32_t& first = first_bucket(one.parent, one.keys[0]);
  one.next_by_first = first;
  first = id.value + 1;
  uint32_t& last = last_bucket(one.keys[one.blocks - 1]);
  one.next_by_last = last;
  last = id.value + 1;
}

void StretchTable::unlink(EntryId id) {
  const Stretch& one = stretches_[id.value];
  uint32_t* next = &first_bucket(one.parent, one.keys[0]);
  while (*next != id.value + 1) next = &stretches_[*next - 1].next_by_first;
  *next = one.next_by_first;
  next = &last_bucket(one.keys[one.blocks - 1]);
  while (*next != id.value + 1) next = &stretches_[*next - 1].next_by_last;
  *next = one.next_by_last;
}

std::optional<EntryId> StretchTable::add(const StretchSeed& seed) {
  QUIRE_CHECK(!seed.keys.empty() && seed.keys.size() <= Stretch::kMostBlocks);
  const EntryId id = take();
  if (!id.valid()) return std::nullopt;
  Stretch& one = stretches_[id.value];
  one = Stretch{};
  one.parent = seed.parent;
  one.anchor = seed.anchor;
  one.shape = seed.shape;
  one.blocks = static_cast<uint8_t>(seed.keys.size());
  one.end_block = one.blocks;
  std::copy(seed.keys.begin(), seed.keys.end(), one.keys.begin());
  if (seed.parent.valid()) {
    Stretch& above = stretches_[seed.parent.value];
    one.end_block += above.end_block;
    ++above.children;
  }
  link(id);
  ++used_;
  note_loose(id);
  return id;
}

void StretchTable::grow(EntryId id, uint32_t key) {
  Stretch& one = stretches_[id.value];
  QUIRE_CHECK(one.blocks < Stretch::kMostBlocks && one.children == 0);
  unlink(id);
  one.keys[one.blocks++] = key;
  ++one.end_block;
  link(id);
}

// The head is the new one, so that children need not be told of another parent.
std::optional<EntryId> StretchTable::split(EntryId id, uint32_t at) {
  const EntryId head = take();
  if (!head.valid()) return std::nullopt;
  Stretch& tail = stretches_[id.value];
  QUIRE_CHECK(at > 0 && at < tail.blocks);
  unlink(id);
  Stretch& above = stretches_[head.value];
  above = tail;
  above.holders = 0;
  above.loose = false;
  above.children = 1;
  above.blocks = static_cast<uint8_t>(at);
  above.end_block = tail.begin_block() + at;
  tail.blocks = static_cast<uint8_t>(tail.blocks - at);
  std::copy(tail.keys.begin() + at, tail.keys.end(), tail.keys.begin());
  tail.parent = head;
  link(head);
  link(id);
  ++used_;
  note_loose(head);
  return head;
}

void StretchTable::note_loose(EntryId id) {
  Stretch& one = stretches_[id.value];
  if (one.loose) return;
  one.loose = true;
  loose_.push_back(id.value);
}

void StretchTable::collect() {
  for (const uint32_t id : loose_) {
    stretches_[id].loose = false;
    free_upward(EntryId{id});
  }
  loose_.clear();
}

void StretchTable::free_upward(EntryId id) {
  while (id.valid()) {
    Stretch& one = stretches_[id.value];
    // What is in the list is freed when its turn comes: an id must not be in use again by then.
    if (one.blocks == 0 || one.holders > 0 || one.children > 0 || one.loose) return;
    unlink(id);
    const EntryId parent = one.parent;
    one.blocks = 0;
    free_.push_back(id.value);
    --used_;
    if (parent.valid()) --stretches_[parent.value].children;
    id = parent;
  }
}

uint64_t StretchTable::held_bytes() const {
  return stretches_.size() * sizeof(Stretch) +
         (by_first_.size() + by_last_.size() + free_.size() + loose_.size()) * sizeof(uint32_t);
}

void StretchTable::check_invariants() const {
  std::vector<uint32_t> children(end_);
  uint32_t used = 0;
  for (uint32_t i = 0; i < end_; ++i) {
    const Stretch& one = stretches_[i];
    if (one.blocks == 0) continue;
    ++used;
    QUIRE_CHECK(find_child(one.parent, one.keys[0]).has_value());
    QUIRE_CHECK(find_end(one.keys[one.blocks - 1]).has_value());
    if (!one.parent.valid()) {
      QUIRE_CHECK(one.begin_block() == 0);
      continue;
    }
    const Stretch& above = stretches_[one.parent.value];
    QUIRE_CHECK(above.blocks > 0 && one.begin_block() == above.end_block);
    ++children[one.parent.value];
  }
  QUIRE_CHECK(used == used_);
  for (uint32_t i = 0; i < end_; ++i) {
    QUIRE_CHECK(stretches_[i].blocks == 0 || stretches_[i].children == children[i]);
  }
}

}  // namespace quire::cache
