#include "cache/tree/node_marks.h"

#include <utility>

#include "model/check.h"

namespace quire::cache {

using model::NodeId;
using model::TierId;

// As many as fit beside "full", which means that the table has the number.
uint32_t NodeMarks::most(Count count) {
  constexpr std::array<uint32_t, kCounts> kMost{kMostPins, kMostPins, 63, 15, 15};
  return kMost[count];
}

uint32_t NodeMarks::get(const Node& node, Count count) {
  switch (static_cast<uint32_t>(count)) {
    case kPresencePins:
      return node.presence_pins_;
    case kResidencyPins:
      return node.residency_pins_;
    case kChildren:
      return node.ram_children_;
    case kChildren + 1:
      return node.second_tier_children_;
    default:
      return node.third_tier_children_;
  }
}

void NodeMarks::set(Node& node, Count count, uint32_t value) {
  switch (static_cast<uint32_t>(count)) {
    case kPresencePins:
      node.presence_pins_ = value & kMostPins;
      break;
    case kResidencyPins:
      node.residency_pins_ = value & kMostPins;
      break;
    case kChildren:
      node.ram_children_ = value & 63;
      break;
    case kChildren + 1:
      node.second_tier_children_ = value & 15;
      break;
    default:
      node.third_tier_children_ = value & 15;
      break;
  }
}

void NodeMarks::raise(NodeId id, Count count) {
  Node& node = at(id);
  const uint32_t full = most(count);
  const uint32_t value = get(node, count);
  if (value == full) {
    ++beyond_[count].at(id.value);
    return;
  }
  // The last step that the field can say: from here on the table has the number, and the field
  // stays full.
  if (value + 1 == full) beyond_[count].emplace(id.value, full);
  set(node, count, value + 1);
}

void NodeMarks::lower(NodeId id, Count count) {
  Node& node = at(id);
  const uint32_t full = most(count);
  const uint32_t value = get(node, count);
  QUIRE_CHECK(value > 0);
  if (value == full) {
    const auto number = beyond_[count].find(id.value);
    QUIRE_CHECK(number != beyond_[count].end());
    if (--number->second >= full) return;
    // The number fits the field again, one below full.
    beyond_[count].erase(number);
  }
  set(node, count, value - 1);
}

void NodeMarks::set_copy(NodeId id, TierId tier, bool present) {
  Node& node = at(id);
  QUIRE_CHECK(node.is_in(tier) != present);
  // The parent counts its children by tier, so that has_child_in() reads one field and no child.
  node.copies_ = (node.copies_ ^ (1u << model::index_of(tier))) & 7;
  if (present) {
    raise(node.parent(), children_of(tier));
  } else {
    lower(node.parent(), children_of(tier));
  }
}

uint32_t NodeMarks::number(NodeId id, Count count) const {
  const uint32_t value = get((*nodes_)[id.value], count);
  return value == most(count) ? beyond_[count].at(id.value) : value;
}

void NodeMarks::set_owner_tag(NodeId checkpoint, uint32_t tag) {
  QUIRE_CHECK(at(checkpoint).is_checkpoint());
  at(checkpoint).first_child_ = tag;
}

}  // namespace quire::cache
