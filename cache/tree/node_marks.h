// The one writer of what a node is besides its place in the tree: copies, children counted by tier,
// pins, its retention class, the marks of a checkpoint.
//
// A counter that outgrows its bits in the node goes on in a table here, so that no count is ever
// wrong and a node stays at 32 bytes. Knows no rules: Presence and ObjectStore decide.
// Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>

#include "allocator/flat_array.h"
#include "cache/tree/node.h"
#include "model/ids.h"

namespace quire::cache {

// Where a copy below RAM lies; what the numbers mean is its tier's.
struct CopyPlace {
  uint32_t slot = 0;  // below 2^30
  uint16_t generation = 0;
};

class NodeMarks {
 public:
  explicit NodeMarks(allocator::FlatArray<Node>* nodes) : nodes_(nodes) {}

  // Residency is what a load takes and gives back a thousand times: in line while its bits hold it.
  void add_pin(model::NodeId node, PinKind kind);
  // Precondition: has one of this kind.
  void remove_pin(model::NodeId node, PinKind kind);
  uint32_t pins(model::NodeId node, PinKind kind) const {
    return number(node, kind == PinKind::kPresence ? kPresencePins : kResidencyPins);
  }

  // The bit of one tier, and the parent's count of children there.
  void set_copy(model::NodeId node, model::TierId tier, bool present);
  uint32_t children_in(model::NodeId node, model::TierId tier) const {
    return number(node, children_of(tier));
  }
  // Of its first page when it is in RAM, else of its copy.
  uint32_t place(model::NodeId node) const { return (*nodes_)[node.value].place_ - 1; }
  void set_place(model::NodeId node, uint32_t place) { at(node).place_ = place + 1; }
  uint16_t copy_generation(model::NodeId node) const {
    return (*nodes_)[node.value].copy_generation_;
  }
  void set_copy_generation(model::NodeId node, uint16_t generation) {
    at(node).copy_generation_ = generation;
  }

  // Precondition: on no tier yet, for it is counted by that.
  void set_retention(model::NodeId node, uint8_t number) { at(node).retention_ = number & 3; }
  // A transfer begins or ends, which pins the node itself.
  void set_moving(model::NodeId node, bool moving) { at(node).moving_ = moving ? 1 : 0; }
  // Nothing supersedes it from now on; or it may be superseded again.
  void set_kept(model::NodeId checkpoint, bool kept) { at(checkpoint).kept_ = kept ? 1 : 0; }
  void set_superseded(model::NodeId checkpoint) { at(checkpoint).superseded_ = 1; }
  // Precondition: a checkpoint; any other node keeps its first child there.
  void set_owner_tag(model::NodeId checkpoint, uint32_t tag);

 private:
  static constexpr uint32_t kMostPins = 127;  // "full": the table has the number
  enum Count : uint32_t { kPresencePins, kResidencyPins, kChildren };  // + tier
  static constexpr size_t kCounts = kChildren + model::kTierCount;

  Node& at(model::NodeId node) { return (*nodes_)[node.value]; }
  static Count children_of(model::TierId tier) {
    return static_cast<Count>(kChildren + model::index_of(tier));
  }
  static uint32_t most(Count count);
  static uint32_t get(const Node& node, Count count);
  uint32_t number(model::NodeId node, Count count) const;
  static void set(Node& node, Count count, uint32_t value);
  void raise(model::NodeId node, Count count);
  void lower(model::NodeId node, Count count);

  allocator::FlatArray<Node>* nodes_;
  std::array<std::unordered_map<uint32_t, uint32_t>, kCounts> beyond_;  // the whole number, by node
};

inline void NodeMarks::add_pin(model::NodeId id, PinKind kind) {
  Node& node = at(id);
  if (kind == PinKind::kResidency && node.residency_pins_ < kMostPins - 1) {
    node.residency_pins_ = (node.residency_pins_ + 1) & kMostPins;
    return;
  }
  raise(id, kind == PinKind::kPresence ? kPresencePins : kResidencyPins);
}

inline void NodeMarks::remove_pin(model::NodeId id, PinKind kind) {
  Node& node = at(id);
  const bool in_line = node.residency_pins_ > 0 && node.residency_pins_ < kMostPins;
  if (kind == PinKind::kResidency && in_line) {
    node.residency_pins_ = (node.residency_pins_ - 1) & kMostPins;
    return;
  }
  lower(id, kind == PinKind::kPresence ? kPresencePins : kResidencyPins);
}

}  // namespace quire::cache
