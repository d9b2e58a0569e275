// Finds a node by its full key. Linear hashing (Litwin 1980): the table grows by one bucket at a
// time, in place, so there is no rehash pause at any size, and memory follows the number of nodes.
//
//   bucket (64 B) = 7 tags, 7 nodes, overflow link, count      split when load > 6.0 a bucket
//
// Load 6 costs 13.4 to 14.0 B a node, overflow buckets included (Poisson); at 5 it would be 15.
// The hash is keyed with a secret of this process: chain hashes come from clients, and a client
// must not be able to choose its bucket. A tag match is verified by comparing the whole key (law 1)
// through the caller's `matches`. The index stores no keys itself: a tag is the half of the hash
// that chooses the bucket, for up to 2^32 buckets, so a split reads buckets only. Buckets never
// merge: after erasures the table keeps its size until it fills again. Threads: core only. Bounds:
// max_nodes at creation (address space only).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "allocator/flat_array.h"
#include "model/hash256.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

// For status: how far the table is from one cache line a probe.
struct ChainIndexShape {
  uint64_t bucket_count = 0;
  uint64_t overflow_count = 0;  // overflow buckets in use
  uint64_t longest_chain = 0;   // buckets; an insert touches at most one chain and splits another
};

class ChainIndex {
 public:
  // `seed`: the secret. kResourceExhausted: no address space.
  static model::Result<ChainIndex> create(uint64_t max_nodes, uint64_t seed);

  // Table hash of a key; `discriminator` separates equal chain hashes of other roots and kinds.
  uint64_t hash(const model::Hash256& key, uint32_t discriminator) const;

  // The node with this hash for which matches(NodeId) is true.
  template <typename Matches>
  std::optional<model::NodeId> find(uint64_t hash, Matches&& matches) const;
  // Precondition: no such node is present; fewer than max_nodes are.
  void insert(uint64_t hash, model::NodeId node);
  // True when it was present. `rehash` is not needed: a bucket stores enough of the hash.
  bool erase(uint64_t hash, model::NodeId node);

  uint64_t size() const { return size_; }
  uint64_t bucket_count() const { return mask_ + 1 + split_; }
  ChainIndexShape shape() const;  // walks the table
  // Memory of the buckets that were opened.
  uint64_t resident_bytes() const;
  // A hint for a find() or erase() that follows: its first miss is under way meanwhile. The empty
  // asm is an effect: without any GCC takes a caller that only prefetches for one that does
  // nothing, and leaves nothing of it.
  void prefetch(uint64_t hash) const {
    __builtin_prefetch(&buckets_[bucket_of(tag_of(hash))]);
    asm volatile("");
  }
  void check_invariants() const;

 private:
  static constexpr uint32_t kBucketEntries = 7;
  static constexpr uint64_t kLoad = 6;  // nodes a bucket, on average

  // Entries below `count` are in use. Chain: only the first overflow bucket, or the head when there
  // is none, may have room; so chains of n nodes never hold more than (n - 1) / 7 overflow buckets.
  struct Bucket {
    std::array<uint32_t, kBucketEntries> tags;
    std::array<uint32_t, kBucketEntries> nodes;
    uint32_t overflow;  // index + 1 into overflow_, 0 = none; of a free one: the next free one
    uint32_t count;
  };
  static_assert(sizeof(Bucket) == 64);

  static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash); }
  static uint32_t hits(const Bucket& bucket, uint32_t tag);
  uint64_t bucket_of(uint32_t tag) const;
  const Bucket* next(const Bucket& bucket) const;
  void append(uint32_t tag, uint32_t node);
  void split();
  void close_gap(Bucket& head, Bucket& bucket, uint32_t entry);
  uint32_t take_overflow();
  void release_overflow(uint32_t link);

  std::array<uint64_t, 6> secrets_{};
  allocator::FlatArray<Bucket> buckets_;
  allocator::FlatArray<Bucket> overflow_;
  uint64_t max_nodes_ = 0;
  uint64_t size_ = 0;
  uint64_t mask_ = 0;   // buckets at the start of this doubling, less one
  uint64_t split_ = 0;  // next bucket to split; those below it are addressed by one more bit
  uint32_t overflow_opened_ = 0;  // high-water mark in overflow_
  uint32_t overflow_free_ = 0;    // index + 1 of the first free one, 0 = none
};

// Bit i set: entry i holds this tag. Without branches: seven compares cost less than a wrong guess.
inline uint32_t ChainIndex::hits(const Bucket& bucket, uint32_t tag) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < kBucketEntries; ++i) found |= uint32_t{bucket.tags[i] == tag} << i;
  return found & ((1u << bucket.count) - 1);
}

inline uint64_t ChainIndex::bucket_of(uint32_t tag) const {
  const uint64_t bucket = tag & mask_;
  return bucket < split_ ? tag & (2 * mask_ + 1) : bucket;
}

inline const ChainIndex::Bucket* ChainIndex::next(const Bucket& bucket) const {
  return bucket.overflow == 0 ? nullptr : &overflow_[bucket.overflow - 1];
}

template <typename Matches>
std::optional<model::NodeId> ChainIndex::find(uint64_t hash, Matches&& matches) const {
  const uint32_t tag = tag_of(hash);
  const Bucket* bucket = &buckets_[bucket_of(tag)];
  while (bucket != nullptr) {
    const Bucket* following = next(*bucket);
    // Its miss then overlaps with the miss of the key that `matches` reads.
    __builtin_prefetch(following);
    for (uint32_t left = hits(*bucket, tag); left != 0; left &= left - 1) {
      const model::NodeId node{bucket->nodes[std::countr_zero(left)]};
      if (matches(node)) return node;
    }
    bucket = following;
  }
  return std::nullopt;
}

}  // namespace quire::cache
