// A cache of keys only: what one policy would hold in a tier of one size. The policy's code is that
// of real tiers, over entries that are stretches; only stretches without children in this ghost may
// go, the deepest first, and one that need not go whole loses blocks from its end.
//
// It knows no pins: a real tier keeps what open sessions stand on, a ghost keeps the path that it
// serves. Threads: one owner. Memory: 16 bytes a stretch id, and the policy's own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "allocator/flat_array.h"
#include "cache/eviction/entry_table.h"
#include "cache/eviction/history.h"
#include "cache/eviction/policy.h"
#include "cache/ghosts/stretch_table.h"
#include "model/result.h"

namespace quire::cache {

struct GhostOptions {
  const NamedPolicy* policy = nullptr;
  uint64_t capacity_bytes = 0;
  // Asks the policy whether a newcomer is admitted, as tiers do that can do without.
  bool asks_admission = false;
};

// Stretches of one prompt, from its first block on: what of them is missing is inserted.
struct GhostVisit {
  std::span<const EntryId> path;
  uint64_t used_time = 0;
  uint64_t new_time = 0;
  double rate = 1;  // share of the conversations that the ghost sees
  // Not a prompt, but what was computed behind one: is no use, and stays out where the path before
  // its last stretch is not there.
  bool is_commit = false;
};

class Ghost final : private EntryFacts {
 public:
  // Both outlive it. kResourceExhausted: no address space.
  static model::Result<std::unique_ptr<Ghost>> create(const GhostOptions& options,
                                                      StretchTable* stretches,
                                                      const UseClock* clock);

  const GhostOptions& options() const { return options_; }
  // Blocks of the path that it had.
  uint32_t visit(const GhostVisit& visit);
  // The stretch has a block more, and so has the ghost, if it had all of it.
  void grew(EntryId id, const GhostVisit& visit);
  // `tail` was split, and `head` is its beginning now.
  void was_split(EntryId tail, EntryId head);
  // It is of many conversations from now on: not scaled by the rate.
  void became_shared(EntryId id);
  // Its conversation is not sampled any more. Nothing happens while it has children.
  void forget(EntryId id);
  void set_capacity(uint64_t bytes) { options_.capacity_bytes = bytes; }

  uint32_t held_blocks(EntryId id) const { return holds_[id.value].blocks; }
  uint64_t held_content_bytes() const { return content_bytes_; }
  // Calls of the policy so far: what it costs.
  uint64_t calls() const { return calls_; }
  uint64_t held_bytes() const;
  void check_invariants() const;

 private:
  struct Hold {
    uint32_t children : 24;  // of the stretch, in this ghost
    uint32_t blocks : 8;     // of its beginning
  };
  static_assert(sizeof(Hold) == 4);

  Ghost(const GhostOptions& options, StretchTable* stretches, EntryTable entries,
        allocator::FlatArray<Hold> holds)
      : options_(options),
        stretches_(stretches),
        entries_(std::move(entries)),
        holds_(std::move(holds)) {}

  std::optional<EntryId> parent(EntryId entry) const override;
  uint64_t end_tokens(EntryId entry) const override;
  uint64_t bytes(EntryId entry) const override { return stretches_->at(entry).shape.bytes; }
  uint64_t span_bytes(EntryId entry) const override { return bytes(entry); }
  uint32_t fingerprint(EntryId entry) const override { return stretches_->at(entry).keys[0]; }
  uint32_t children(EntryId entry) const override { return holds_[entry.value].children; }
  uint32_t spans(EntryId entry) const override { return stretches_->at(entry).blocks; }
  double share() const override { return share_; }

  uint64_t limit_bytes(double rate) const;
  size_t find_end(const GhostVisit& visit, uint32_t& hits) const;
  void note_use(const GhostVisit& visit, size_t end);
  // False: not all of it, and so nothing behind it.
  bool insert(const GhostVisit& visit, size_t at);
  bool admits(EntryId id);
  // Bytes that are free then, `wanted` at most.
  uint64_t make_room(uint64_t wanted, double rate);
  std::optional<EntryId> choose();
  void evict(EntryId id, uint32_t blocks);
  void drop(EntryId id, bool evicted);
  void offer(EntryId id);
  void release_tip();
  void set_blocks(EntryId id, uint32_t blocks);

  GhostOptions options_;
  StretchTable* stretches_;
  EntryTable entries_;
  allocator::FlatArray<Hold> holds_;
  History history_;
  std::unique_ptr<EvictionPolicy> policy_;
  bool needs_history_ = false;
  EntryId tip_;  // of the path that is served: stays
  uint64_t content_bytes_ = 0;
  uint64_t shared_bytes_ = 0;  // of these, of many conversations
  uint64_t blocks_ = 0;
  uint32_t count_ = 0;  // entries
  double share_ = 1;    // of a block of the tier, by which an entry counts
  uint64_t calls_ = 0;
};

}  // namespace quire::cache
