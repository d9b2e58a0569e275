// Who a node of the tree is on the cluster: its name, its segment, what its headers say.
// Threads: core only. No state.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/cache.h"
#include "tiering/cluster/cluster_format.h"

namespace quire::tiering {

class ObjectDescriber {
 public:
  ObjectDescriber(cache::Cache* cache, uint64_t writer) : cache_(cache), writer_(writer) {}

  ObjectName name_of(model::NodeId node) const;
  const cache::Root& root_of(model::NodeId node) const;
  // Number of its segment: from the root, from 0.
  uint32_t segment_number(model::NodeId node) const;
  // Key of the first span of its segment; zeros: it stands above the first span.
  model::Hash256 segment_of(model::NodeId node) const;
  // Its header and its pages, in whole blocks.
  uint64_t extent_bytes(model::NodeId node) const;
  std::vector<model::SlotId> slots_of(model::NodeId node) const;  // precondition: in RAM

  // But for objects, bytes and checksum.
  RunHeader run_header(model::NodeId first, const RunName& run) const;
  // But for what it says of pages' checksums, and its own.
  ExtentHeader extent_header(model::NodeId node) const;
  // That a header which was read is this node's.
  bool is_header_of(model::NodeId node, const ExtentHeader& header) const;

 private:
  cache::Cache* cache_;
  uint64_t writer_;
};

}  // namespace quire::tiering
