#include "tiering/ssd/run_describer.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace quire::tiering {

using cache::Node;
using model::NodeId;

void RunDescriber::begin_run(Transfer& transfer, NodeId first, uint32_t count) {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const Node& link = tree.node(first);
  const Node& above = tree.node(tree.parent(first));
  const cache::Root& root = parts_.cache->names().root(link.root());
  RunRecord& run = transfer.run;
  run.key = {.root = parts_.roots->number(link.root()),
             .units = link.units(),
             .kind = static_cast<uint8_t>(link.kind()),
             .slot = transfer.first};
  run.generation = next_generation_;
  next_generation_ += count;
  run.unit_step = root.layout->units_per_block;
  run.parent_units = above.units();
  // What stands below the root has it as its parent, whose key is nobody's hash.
  run.parent_key = above.is_root() ? root.hash : tree.key(tree.parent(first));
  run.owner_tag = link.owner_tag();
  run.kept = link.is_checkpoint() && link.is_kept();
  run.retention = parts_.cache->names().retentions().name_of(root.tenant, link.retention());
  run.slot_bytes = transfer.stored_slot_bytes;
  const auto more = parts_.space->more_regions(transfer.first.region());
  run.more.assign(more.begin(), more.end());
}

void RunDescriber::add(Transfer& transfer, uint32_t object) {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const NodeId node = transfer.objects[object].node;
  const Node& link = tree.node(node);
  const Node& above = tree.node(tree.parent(node));
  const cache::Root& root = parts_.cache->names().root(link.root());
  const bool below_root = above.is_root();
  ExtentHeader& header = transfer.headers[object];
  // The record of transfers is used again: nothing of its last object may reach the device.
  header = ExtentHeader{};
  header.kind = static_cast<uint8_t>(link.kind());
  header.generation = transfer.run.generation + object;
  header.slot = transfer.first.value + object;
  header.units = link.units();
  header.parent_units = above.units();
  header.owner_tag = transfer.run.owner_tag;
  header.kept = transfer.run.kept ? 1 : 0;
  header.more_count = static_cast<uint32_t>(transfer.run.more.size());
  std::copy(transfer.run.more.begin(), transfer.run.more.end(), header.more.begin());
  header.instance = parts_.instance;
  header.root = root.hash;
  header.key = tree.key(node);
  header.parent_key = below_root ? root.hash : tree.key(tree.parent(node));
  header.layout_digest = root.layout->digest;
  header.weights_epoch = root.key.weights_epoch;
  const auto copy_name = [](auto& field, const std::string& name) {
    std::memcpy(field.data(), name.data(), std::min(name.size(), field.size() - 1));
  };
  copy_name(header.domain, parts_.cache->names().domain_name(root.key.domain));
  copy_name(header.tenant, root.key.tenant);
  copy_name(header.namespace_name, root.key.namespace_name);
  copy_name(header.retention, transfer.run.retention);
  transfer.run.keys.push_back(header.key);
}

}  // namespace quire::tiering
