#include "tiering/cluster/object_describer.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <string>

#include "tiering/tier.h"

namespace quire::tiering {

using cache::Node;
using model::Hash256;
using model::NodeId;

namespace {

template <size_t kBytes>
void copy_name(std::array<char, kBytes>& field, const std::string& name) {
  std::memcpy(field.data(), name.data(), std::min(name.size(), kBytes - 1));
}

}  // namespace

const cache::Root& ObjectDescriber::root_of(NodeId node) const {
  return cache_->names().root(cache_->store().tree().node(node).root());
}

ObjectName ObjectDescriber::name_of(NodeId node) const {
  const cache::PrefixTree& tree = cache_->store().tree();
  return {.root = root_of(node).hash, .key = tree.key(node), .kind = tree.node(node).kind()};
}

uint32_t ObjectDescriber::segment_number(NodeId node) const {
  const uint32_t units = cache_->store().tree().node(node).units();
  return segment_of_block(units / root_of(node).layout->units_per_block);
}

Hash256 ObjectDescriber::segment_of(NodeId node) const {
  const cache::PrefixTree& tree = cache_->store().tree();
  const uint32_t step = root_of(node).layout->units_per_block;
  const uint32_t first = first_block_of(segment_number(node)) * step;
  NodeId up = tree.node(node).is_checkpoint() ? tree.parent(node) : node;
  if (tree.node(up).is_root()) return {};
  while (tree.node(up).units() > first) up = tree.parent(up);
  return tree.key(up);
}

uint64_t ObjectDescriber::extent_bytes(NodeId node) const {
  return kSsdBlockBytes + object_bytes(cache_->store().presence().plan_of(node));
}

std::vector<model::SlotId> ObjectDescriber::slots_of(NodeId node) const {
  const cache::Presence& presence = cache_->store().presence();
  std::vector<model::SlotId> slots;
  for (model::SlotId slot = presence.first_page(node); slot.valid();
       slot = presence.next_page(slot)) {
    slots.push_back(slot);
  }
  return slots;
}

RunHeader ObjectDescriber::run_header(NodeId first, const RunName& run) const {
  const cache::Root& root = root_of(first);
  RunHeader header;
  header.name = run;
  header.written_at_s = static_cast<uint64_t>(std::time(nullptr));
  header.weights_epoch = root.key.weights_epoch;
  header.root = root.hash;
  header.layout_digest = root.layout->digest;
  header.segment = segment_of(first);
  copy_name(header.domain, cache_->names().domain_name(root.key.domain));
  copy_name(header.tenant, root.key.tenant);
  copy_name(header.namespace_name, root.key.namespace_name);
  return header;
}

ExtentHeader ObjectDescriber::extent_header(NodeId node) const {
  const cache::PrefixTree& tree = cache_->store().tree();
  const Node& link = tree.node(node);
  const Node& above = tree.node(tree.parent(node));
  const cache::Root& root = root_of(node);
  ExtentHeader header;
  header.kind = static_cast<uint8_t>(link.kind());
  header.units = link.units();
  header.parent_units = above.units();
  header.owner_tag = link.owner_tag();
  header.kept = link.is_checkpoint() && link.is_kept() ? 1 : 0;
  std::memcpy(header.instance.data(), &writer_, sizeof(writer_));
  header.root = root.hash;
  header.key = tree.key(node);
  // What stands below the root has it as its parent, whose key is nobody's hash.
  header.parent_key = above.is_root() ? root.hash : tree.key(tree.parent(node));
  header.layout_digest = root.layout->digest;
  header.weights_epoch = root.key.weights_epoch;
  copy_name(header.domain, cache_->names().domain_name(root.key.domain));
  copy_name(header.tenant, root.key.tenant);
  copy_name(header.namespace_name, root.key.namespace_name);
  const model::PagePlan& plan = cache_->store().presence().plan_of(node);
  header.page_count = static_cast<uint8_t>(plan.pages.size());
  for (size_t p = 0; p < plan.pages.size(); ++p) {
    header.pages[p] = {.stored_bytes = plan.pages[p].bytes,
                       .group = plan.pages[p].group,
                       .tail = plan.pages[p].tail ? uint8_t{1} : uint8_t{0}};
  }
  return header;
}

bool ObjectDescriber::is_header_of(NodeId node, const ExtentHeader& header) const {
  const cache::PrefixTree& tree = cache_->store().tree();
  const Node& link = tree.node(node);
  const cache::Root& root = root_of(node);
  const model::PagePlan& plan = cache_->store().presence().plan_of(node);
  const bool identity =
      check(header).ok() && header.root == root.hash && header.key == tree.key(node) &&
      header.kind == static_cast<uint8_t>(link.kind()) && header.units == link.units() &&
      header.layout_digest == root.layout->digest &&
      header.weights_epoch == root.key.weights_epoch && header.page_count == plan.pages.size();
  if (!identity) return false;
  for (size_t p = 0; p < plan.pages.size(); ++p) {
    const StoredPage& stored = header.pages[p];
    if (stored.stored_bytes != plan.pages[p].bytes || stored.group != plan.pages[p].group ||
        stored.tail != (plan.pages[p].tail ? 1 : 0) ||
        stored.codec != static_cast<uint8_t>(CodecId::kNone)) {
      return false;
    }
  }
  return true;
}

}  // namespace quire::tiering
