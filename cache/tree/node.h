// One node of the prefix tree: 32 bytes, read through accessors, written by PrefixTree (where it
// hangs) and NodeMarks (everything else) alone.
//
// Counters are inline up to what their bits hold; a full field says that NodeMarks' table has the
// number. So "is there any" is always answered from the node itself.
#pragma once

#include <bit>
#include <cstdint>

#include "model/ids.h"
#include "model/ring_frames.h"

namespace quire::cache {

enum class NodeKind : uint8_t { kFree = 0, kRoot = 1, kSpan = 2, kCheckpoint = 3 };

// Spans and checkpoints: what holds pages.
inline bool is_object(NodeKind kind) {
  return kind == NodeKind::kSpan || kind == NodeKind::kCheckpoint;
}
inline NodeKind node_kind(model::FillKind kind) {
  return kind == model::FillKind::kSpan ? NodeKind::kSpan : NodeKind::kCheckpoint;
}
inline model::FillKind fill_kind(NodeKind kind) {
  return kind == NodeKind::kSpan ? model::FillKind::kSpan : model::FillKind::kCheckpoint;
}

// Presence: the node and its path stay present, on whatever tier. Residency: its pages in RAM stay
// where they are, too.
enum class PinKind : uint8_t { kPresence = 0, kResidency = 1 };

class Node {
 public:
  NodeKind kind() const { return static_cast<NodeKind>(kind_); }
  bool is_root() const { return kind() == NodeKind::kRoot; }
  bool is_span() const { return kind() == NodeKind::kSpan; }
  bool is_checkpoint() const { return kind() == NodeKind::kCheckpoint; }
  bool is_object() const { return cache::is_object(kind()); }
  model::RootId root() const { return model::RootId{root_}; }
  uint32_t units() const { return units_; }  // position of its end
  // None for a root.
  model::NodeId parent() const { return model::NodeId{parent_ - 1}; }

  // Out of the index; its pages go when the last pin does.
  bool is_quarantined() const { return quarantined_ != 0; }
  // A hint: a checkpoint child was added, and may be gone.
  bool has_checkpoints() const { return has_checkpoints_ != 0; }
  // Checkpoint: interval or branch, never superseded.
  bool is_kept() const { return kept_ != 0; }
  // Checkpoint: goes when its last pin does.
  bool is_superseded() const { return superseded_ != 0; }
  // A transfer to or from a lower tier is under way, and pins it.
  bool is_moving() const { return moving_ != 0; }
  // Of its root's tenant (RetentionTable): by what whoever wrote it wants it kept.
  uint8_t retention() const { return static_cast<uint8_t>(retention_); }
  // Checkpoint: the conversation that wrote it. Else 0.
  uint32_t owner_tag() const { return is_checkpoint() ? first_child_ : 0; }

  // A copy there, whole: all pages of the node.
  bool is_in(model::TierId tier) const { return (copies_ >> model::index_of(tier) & 1) != 0; }
  bool is_in_ram() const { return is_in(model::TierId::kRam); }
  bool has_copy_below(model::TierId tier) const {
    return (copies_ >> (model::index_of(tier) + 1)) != 0;
  }
  // On some tier: an object always is.
  bool has_copy() const { return copies_ != 0; }
  bool has_copy_besides(model::TierId tier) const {
    return (copies_ & ~(1u << model::index_of(tier))) != 0;
  }
  // Of the tiers that have it. Precondition: has_copy().
  model::TierId fastest_tier() const {
    return static_cast<model::TierId>(std::countr_zero(copies_));
  }
  bool has_child_in(model::TierId tier) const;
  // By anybody, of either kind.
  bool is_pinned() const { return presence_pins_ != 0 || residency_pins_ != 0; }
  bool is_pinned(PinKind kind) const {
    return (kind == PinKind::kPresence ? presence_pins_ : residency_pins_) != 0;
  }

 private:
  friend class PrefixTree;
  friend class ChildList;
  friend class NodeMarks;

  // All fields zero = a free node. "+1" fields: value + 1, 0 = none.
  uint16_t root_;              // RootId value
  uint16_t copy_generation_;   // of the copy below RAM that has a place
  uint32_t parent_;            // NodeId + 1
  uint32_t first_child_;       // NodeId + 1; a checkpoint keeps its owner tag here instead
  uint32_t next_sibling_;      // NodeId + 1
  uint32_t previous_sibling_;  // NodeId + 1; the first child's names the last one
  uint32_t place_;             // in RAM: SlotId + 1 of its first page; else that of its copy + 1
  uint32_t presence_pins_ : 7;
  uint32_t residency_pins_ : 7;
  uint32_t ram_children_ : 6;  // children with a copy there; so the next two
  uint32_t second_tier_children_ : 4;
  uint32_t third_tier_children_ : 4;
  uint32_t moving_ : 1;
  uint32_t has_checkpoints_ : 1;
  uint32_t retention_ : 2;
  uint32_t units_ : 24;
  uint32_t kind_ : 2;
  uint32_t quarantined_ : 1;
  uint32_t kept_ : 1;
  uint32_t superseded_ : 1;
  uint32_t copies_ : 3;  // a bit a tier, TierId's value
};
static_assert(sizeof(Node) == 32);

inline bool Node::has_child_in(model::TierId tier) const {
  if (is_checkpoint()) return false;
  switch (tier) {
    case model::TierId::kRam:
      return ram_children_ != 0;
    case model::TierId::kSsd:
      return second_tier_children_ != 0;
    case model::TierId::kCluster:
      return third_tier_children_ != 0;
  }
  return false;
}

}  // namespace quire::cache
