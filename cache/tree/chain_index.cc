#include "cache/tree/chain_index.h"

#include <algorithm>

#include "model/check.h"

namespace quire::cache {
namespace {

using model::Hash256;
using model::NodeId;
using model::Result;

// Both halves of the product: every input bit reaches every output bit.
uint64_t fold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// SplitMix64 (Steele, Lea, Flood 2014).
uint64_t next_secret(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Result<ChainIndex> ChainIndex::create(uint64_t max_nodes, uint64_t seed) {
  ChainIndex index;
  for (uint64_t& secret : index.secrets_) secret = next_secret(seed);
  index.max_nodes_ = max_nodes;
  // Address space for the worst case, so that insert() cannot fail: chains of n nodes hold at most
  // (n - 1) / 7 overflow buckets (Bucket).
  index.buckets_ = QUIRE_TRY(allocator::FlatArray<Bucket>::reserve(max_nodes / kLoad + 2));
  index.overflow_ =
      QUIRE_TRY(allocator::FlatArray<Bucket>::reserve(max_nodes / kBucketEntries + 2));
  return index;
}

uint64_t ChainIndex::hash(const Hash256& key, uint32_t discriminator) const {
  const uint64_t low = fold(key.word(0) ^ secrets_[0], key.word(1) ^ secrets_[1]);
  const uint64_t high = fold(key.word(2) ^ secrets_[2], key.word(3) ^ secrets_[3]);
  const uint64_t origin = fold(discriminator ^ secrets_[4], secrets_[5]);
  return fold(low ^ origin, high ^ secrets_[4]);
}

void ChainIndex::insert(uint64_t hash, NodeId node) {
  QUIRE_CHECK(size_ < max_nodes_);
  append(tag_of(hash), node.value);
  ++size_;
  if (size_ > kLoad * bucket_count()) split();
}

bool ChainIndex::erase(uint64_t hash, NodeId node) {
  const uint32_t tag = tag_of(hash);
  Bucket& head = buckets_[bucket_of(tag)];
  Bucket* bucket = &head;
  while (true) {
    for (uint32_t left = hits(*bucket, tag); left != 0; left &= left - 1) {
      const uint32_t entry = static_cast<uint32_t>(std::countr_zero(left));
      if (bucket->nodes[entry] != node.value) continue;
      close_gap(head, *bucket, entry);
      --size_;
      return true;
    }
    if (bucket->overflow == 0) return false;
    bucket = &overflow_[bucket->overflow - 1];
  }
}

void ChainIndex::append(uint32_t tag, uint32_t node) {
  Bucket& head = buckets_[bucket_of(tag)];
  Bucket* bucket = head.overflow == 0 ? &head : &overflow_[head.overflow - 1];
  if (bucket->count == kBucketEntries) {
    // Right behind the head, in front of the full ones: only the first overflow bucket may have
    // room.
    const uint32_t link = take_overflow();
    bucket = &overflow_[link - 1];
    *bucket = Bucket{};
    bucket->overflow = head.overflow;
    head.overflow = link;
  }
  bucket->tags[bucket->count] = tag;
  bucket->nodes[bucket->count] = node;
  ++bucket->count;
}

// Divides the nodes of one bucket between it and a new one behind the last.
void ChainIndex::split() {
  Bucket& head = buckets_[split_];
  // The chain is taken apart bucket by bucket, each released before its nodes are appended: a split
  // needs no more overflow buckets than it frees.
  Bucket from = head;
  head = Bucket{};
  // Before append(): bucket_of() has to use the longer address already.
  if (++split_ > mask_) {
    mask_ = 2 * mask_ + 1;
    split_ = 0;
  }
  while (true) {
    for (uint32_t i = 0; i < from.count; ++i) append(from.tags[i], from.nodes[i]);
    const uint32_t link = from.overflow;
    if (link == 0) return;
    from = overflow_[link - 1];
    release_overflow(link);
  }
}

// The last entry of the bucket that may have room moves into the gap.
void ChainIndex::close_gap(Bucket& head, Bucket& bucket, uint32_t entry) {
  const uint32_t link = head.overflow;
  Bucket& donor = link == 0 ? head : overflow_[link - 1];
  --donor.count;
  bucket.tags[entry] = donor.tags[donor.count];
  bucket.nodes[entry] = donor.nodes[donor.count];
  // An empty donor leaves the chain: the bucket behind it, which is full, is the first then.
  if (link == 0 || donor.count > 0) return;
  head.overflow = donor.overflow;
  release_overflow(link);
}

uint32_t ChainIndex::take_overflow() {
  const uint32_t link = overflow_free_;
  if (link == 0) {
    QUIRE_CHECK(overflow_opened_ < overflow_.max_count());
    return ++overflow_opened_;
  }
  overflow_free_ = overflow_[link - 1].overflow;
  return link;
}

void ChainIndex::release_overflow(uint32_t link) {
  overflow_[link - 1].count = 0;
  overflow_[link - 1].overflow = overflow_free_;
  overflow_free_ = link;
}

ChainIndexShape ChainIndex::shape() const {
  ChainIndexShape shape;
  shape.bucket_count = bucket_count();
  for (uint64_t i = 0; i < bucket_count(); ++i) {
    uint64_t length = 0;
    for (const Bucket* bucket = &buckets_[i]; bucket != nullptr; bucket = next(*bucket)) ++length;
    shape.overflow_count += length - 1;
    shape.longest_chain = std::max(shape.longest_chain, length);
  }
  return shape;
}

uint64_t ChainIndex::resident_bytes() const {
  return buckets_.held_bytes(bucket_count()) + overflow_.held_bytes(overflow_opened_);
}

void ChainIndex::check_invariants() const {
  uint64_t node_count = 0;
  uint64_t overflow_count = 0;
  QUIRE_CHECK(split_ <= mask_);
  for (uint64_t i = 0; i < bucket_count(); ++i) {
    const Bucket& head = buckets_[i];
    for (const Bucket* bucket = &head; bucket != nullptr; bucket = next(*bucket)) {
      const bool may_have_room = bucket == (head.overflow == 0 ? &head : next(head));
      QUIRE_CHECK(bucket->count <= kBucketEntries);
      QUIRE_CHECK(may_have_room || bucket->count == kBucketEntries);
      QUIRE_CHECK(bucket == &head || bucket->count > 0);
      for (uint32_t k = 0; k < bucket->count; ++k) QUIRE_CHECK(bucket_of(bucket->tags[k]) == i);
      node_count += bucket->count;
      overflow_count += bucket == &head ? 0 : 1;
    }
  }
  QUIRE_CHECK(node_count == size_);
  uint32_t link = overflow_free_;
  for (; link != 0; link = overflow_[link - 1].overflow) ++overflow_count;
  QUIRE_CHECK(overflow_count == overflow_opened_);
}

}  // namespace quire::cache
