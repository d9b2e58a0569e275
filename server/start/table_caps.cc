#include "server/start/table_caps.h"

#include <algorithm>

#include "cache/tree/namespace_table.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/disk/ssd_format.h"

namespace quire::server {

namespace {

// A chunk takes 16 slot ids whatever it holds, and at least a granule of a segment.
constexpr uint64_t kGranuleBytes = 4096;
constexpr uint64_t kSlotsPerGranule = 16;
// 2^31 slots are 32 GiB of addresses. One bit of a link stays free (allocator::kLastPageTag).
constexpr uint64_t kMaxSlots = (1ull << 31) - kSlotsPerGranule;
// On SSD an object takes a block, and one for its header. Twice as many nodes: ids are given out in
// runs that stay partly empty (cache::NodeRuns).
constexpr uint64_t kNodesPerObject = 2;
constexpr uint64_t kObjectBytesOnSsd = 2 * tiering::kSsdBlockBytes;
// A page entry, and a sixteenth of a chunk's record.
constexpr uint64_t kBytesPerSlot = 16 + 2;
// Link, key, both levels of the index, runs, and the SSD's policy.
constexpr uint64_t kBytesPerNode = 32 + 32 + 20 + 2;
// Tables of a fixed size: fills, leases, copy jobs, waiting commits.
constexpr uint64_t kFixedBytes = 64ull << 20;

uint64_t ssd_bytes(const Options& options) {
  if (options.ssd_path.empty()) return 0;
  const auto there = tiering::SsdDirectory::look(
      {.path = options.ssd_path, .region_bytes = options.ssd_region_bytes});
  if (!there.ok()) return options.ssd_bytes;  // it does not open either
  // A directory that holds more than is asked for is restored whole before it shrinks.
  return std::max(options.ssd_bytes,
                  there->file_count * there->regions_per_file * there->region_bytes);
}

}  // namespace

TableCaps table_caps(const Options& options) {
  const uint64_t slots = options.ram_bytes / kGranuleBytes * kSlotsPerGranule;
  const uint64_t nodes =
      slots + ssd_bytes(options) / kObjectBytesOnSsd * kNodesPerObject + cache::kMaxRoots;
  return {.slots = std::min(slots, kMaxSlots), .nodes = std::min(nodes, options.max_nodes)};
}

uint64_t table_bytes(const TableCaps& caps) {
  return caps.slots * kBytesPerSlot + caps.nodes * (kBytesPerNode + kPolicyBytesPerNode) +
         kFixedBytes;
}

}  // namespace quire::server
