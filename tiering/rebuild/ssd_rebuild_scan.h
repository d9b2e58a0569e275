// Reads the extent headers of every data file, front to back, for a rebuild of the manifest.
//
// A region does not say its slot size; its headers do. It takes another size only when all of its
// slots are free, so the header of the highest generation decides, and headers of an earlier size
// are left over. An object of several regions is one of the latest of each, or left over too: its
// other regions held no later header and belong to no later such object. Trusts nothing: what does
// not check, or names another instance or place than its own, is skipped and counted. Reads no
// page. Threads: one; blocks.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "allocator/flat_array.h"
#include "model/hash256.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/disk/ssd_format.h"

namespace quire::tiering {

struct ScannedObject {
  model::Hash256 key;
  model::Hash256 parent_key;
  uint64_t generation = 0;
  uint64_t slot_bytes = 0;
  bool encoded = false;
  std::vector<uint16_t> more;  // regions that it takes beside its own
  SsdSlot slot;
  uint32_t root = 0;  // index of FoundHeaders::roots
  uint32_t units = 0;
  uint32_t parent_units = 0;
  uint32_t owner_tag = 0;
  uint8_t kind = 0;  // cache::NodeKind: span or checkpoint
  bool kept = false;
  std::array<char, model::kMaxRetentionBytes + 1> retention{};
};

struct FoundHeaders {
  std::vector<RootRecord> roots;  // id: its index + 1
  std::vector<ScannedObject> objects;
  uint64_t files = 0;
  uint64_t regions = 0;
  uint64_t headers = 0;           // that check
  uint64_t damaged = 0;           // begin like a header, and do not check
  uint64_t foreign = 0;           // of another directory
  uint64_t misplaced = 0;         // name another slot than their own
  uint64_t left_over = 0;         // of an earlier use of their region
  uint64_t unreadable_bytes = 0;  // the device failed
};

class RebuildScan {
 public:
  // kResourceExhausted: no memory to read into; errors of DataFiles::list() and open().
  static model::Result<FoundHeaders> run(SsdDirectory& directory);

 private:
  RebuildScan(SsdDirectory& directory, allocator::ReservedMemory buffer)
      : directory_(directory), buffer_(std::move(buffer)) {}
  model::Result<void> scan_file(uint32_t number);
  void scan_region(int fd, uint32_t region);
  uint64_t read(int fd, uint64_t offset, uint64_t bytes);
  // Adds to region_objects_ what the block says, when it is a header.
  void look_at(const std::byte* block, SsdSlot slot);
  void settle_parts();
  uint32_t root_of(const ExtentHeader& header);
  uint64_t header_bytes() const;

  SsdDirectory& directory_;
  allocator::ReservedMemory buffer_;
  FoundHeaders found_;
  std::unordered_map<model::Hash256, uint32_t, HashOfHash256> root_indexes_;
  // Of the present region.
  std::vector<ScannedObject> region_objects_;
  uint64_t last_generation_ = 0;
  uint64_t slot_bytes_ = 0;  // that of last_generation_; 0: no header yet
};

}  // namespace quire::tiering
