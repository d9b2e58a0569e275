#include "tiering/rebuild/ssd_rebuild_scan.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "cache/tree/prefix_tree.h"

namespace quire::tiering {

using cache::NodeKind;
using model::Result;

namespace {

constexpr uint64_t kReadBytes = 1 << 20;
// A region of large slots has few headers.
constexpr uint64_t kFirstReadBytes = 256 << 10;

bool ends_with_zero(const ExtentHeader& header) {
  return header.domain.back() == '\0' && header.tenant.back() == '\0' &&
         header.namespace_name.back() == '\0';
}

bool is_object(const ExtentHeader& header) {
  const auto kind = static_cast<NodeKind>(header.kind);
  return (kind == NodeKind::kSpan || kind == NodeKind::kCheckpoint) && ends_with_zero(header);
}

}  // namespace

Result<FoundHeaders> RebuildScan::run(SsdDirectory& directory) {
  allocator::ReservedMemory buffer = QUIRE_TRY(allocator::ReservedMemory::reserve(kReadBytes));
  RebuildScan scan(directory, std::move(buffer));
  const std::vector<uint32_t> numbers = QUIRE_TRY(directory.data_files().list());
  for (const uint32_t number : numbers) QUIRE_TRY(scan.scan_file(number));
  scan.settle_parts();
  return std::move(scan.found_);
}

Result<void> RebuildScan::scan_file(uint32_t number) {
  const int fd = QUIRE_TRY(directory_.data_files().open(number, false));
  const Superblock& superblock = directory_.superblock();
  // A region that the file holds only in part would not be restored.
  const uint64_t whole = directory_.data_files().bytes(number) / superblock.region_bytes;
  const uint64_t first = number * superblock.regions_per_file;
  ++found_.files;
  for (uint64_t i = 0; i < std::min(whole, superblock.regions_per_file); ++i) {
    if (first + i >= kMaxRegions) break;
    scan_region(fd, static_cast<uint32_t>(first + i));
  }
  return {};
}

uint64_t RebuildScan::header_bytes() const {
  const uint64_t slot_bytes = slot_bytes_ != 0 ? slot_bytes_ : kSsdBlockBytes;
  return slot_geometry(directory_.superblock().region_bytes, slot_bytes).slots_offset;
}

void RebuildScan::scan_region(int fd, uint32_t region) {
  ++found_.regions;
  region_objects_.clear();
  last_generation_ = 0;
  slot_bytes_ = 0;
  const auto* memory = static_cast<const std::byte*>(buffer_.data());
  uint64_t step = kFirstReadBytes;
  for (uint64_t at = 0; at < header_bytes();) {
    const uint64_t wanted = std::min(header_bytes() - at, step);
    const uint64_t got = read(fd, directory_.offset_of(region) + at, wanted);
    for (uint64_t block = 0; block < got && at + block < header_bytes(); block += kSsdBlockBytes) {
      const auto index = static_cast<uint32_t>((at + block) / kSsdBlockBytes);
      look_at(memory + block, SsdSlot::of(region, index));
    }
    at += got;
    // Block by block past what the device refuses.
    if (got == 0 && step == kSsdBlockBytes) {
      found_.unreadable_bytes += kSsdBlockBytes;
      at += kSsdBlockBytes;
    }
    step = got < wanted ? kSsdBlockBytes : kReadBytes;
  }
  for (const ScannedObject& object : region_objects_) {
    if (object.slot_bytes == slot_bytes_) {
      found_.objects.push_back(object);
    } else {
      ++found_.left_over;
    }
  }
}

// Returns how many whole blocks came; what the device refuses ends a read.
uint64_t RebuildScan::read(int fd, uint64_t offset, uint64_t bytes) {
  auto* memory = static_cast<std::byte*>(buffer_.data());
  uint64_t have = 0;
  while (have < bytes) {
    const ssize_t count =
        ::pread(fd, memory + have, bytes - have, static_cast<off_t>(offset + have));
    if (count < 0 && errno == EINTR) continue;
    if (count < static_cast<ssize_t>(kSsdBlockBytes)) break;
    have += static_cast<uint64_t>(count) / kSsdBlockBytes * kSsdBlockBytes;
  }
  return have;
}

void RebuildScan::look_at(const std::byte* block, SsdSlot slot) {
  const auto& header = *reinterpret_cast<const ExtentHeader*>(block);
  if (header.magic != kExtentMagic) return;
  if (!check(header).ok() || !is_object(header)) {
    ++found_.damaged;
    return;
  }
  if (header.instance != directory_.superblock().instance) {
    ++found_.foreign;
    return;
  }
  const uint64_t stored = stored_slot_bytes({header.pages.data(), header.page_count});
  const bool encoded = header.slot_bytes != 0;
  const uint64_t slot_bytes = encoded ? header.slot_bytes : stored;
  const uint64_t region_bytes = directory_.superblock().region_bytes;
  const bool possible = stored <= slot_bytes && slot_bytes % kSsdBlockBytes == 0 &&
                        header.slot == slot.value &&
                        header.more_count == more_regions(region_bytes, slot_bytes);
  if (!possible || slot.index() >= slot_geometry(region_bytes, slot_bytes).slot_count) {
    ++found_.misplaced;
    return;
  }
  ++found_.headers;
  if (header.generation >= last_generation_) {
    last_generation_ = header.generation;
    slot_bytes_ = slot_bytes;
  }
  region_objects_.push_back({.key = header.key,
                             .parent_key = header.parent_key,
                             .generation = header.generation,
                             .slot_bytes = slot_bytes,
                             .encoded = encoded,
                             .more = {header.more.begin(), header.more.begin() + header.more_count},
                             .slot = slot,
                             .root = root_of(header),
                             .units = header.units,
                             .parent_units = header.parent_units,
                             .owner_tag = header.owner_tag,
                             .kind = header.kind,
                             .kept = header.kept != 0,
                             .retention = header.retention});
  region_objects_.back().retention.back() = 0;  // a text, whatever the header says
}

// Data of a large object has written over what stood at the start of its other regions, but headers
// further behind may be left, and those of regions that were given to others since are later.
void RebuildScan::settle_parts() {
  std::vector<ScannedObject>& objects = found_.objects;
  std::unordered_map<uint32_t, uint64_t> latest;  // generation, by region
  std::vector<const ScannedObject*> large;
  for (const ScannedObject& object : objects) {
    uint64_t& generation = latest[object.slot.region()];
    generation = std::max(generation, object.generation);
    if (!object.more.empty()) large.push_back(&object);
  }
  if (large.empty()) return;
  std::sort(large.begin(), large.end(),
            [](const auto* a, const auto* b) { return a->generation > b->generation; });
  std::unordered_set<uint32_t> parts;        // regions that belong to one of them
  std::unordered_map<uint32_t, bool> whole;  // by slot
  for (const ScannedObject* object : large) {
    const bool fits = std::all_of(object->more.begin(), object->more.end(), [&](uint16_t region) {
      const auto other = latest.find(region);
      return region != object->slot.region() && !parts.contains(region) &&
             (other == latest.end() || other->second < object->generation);
    });
    whole[object->slot.value] = fits;
    if (!fits) continue;
    parts.insert(object->more.begin(), object->more.end());
  }
  found_.left_over += std::erase_if(objects, [&](const ScannedObject& object) {
    return parts.contains(object.slot.region()) ||
           (!object.more.empty() && !whole.at(object.slot.value));
  });
}

uint32_t RebuildScan::root_of(const ExtentHeader& header) {
  const auto next = static_cast<uint32_t>(found_.roots.size());
  const auto [at, added] = root_indexes_.try_emplace(header.root, next);
  if (added) {
    found_.roots.push_back({.id = next + 1,
                            .hash = header.root,
                            .layout_digest = header.layout_digest,
                            .weights_epoch = header.weights_epoch,
                            .domain = header.domain.data(),
                            .tenant = header.tenant.data(),
                            .namespace_name = header.namespace_name.data()});
  }
  return at->second;
}

}  // namespace quire::tiering
