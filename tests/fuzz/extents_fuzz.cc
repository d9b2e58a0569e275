// What lies in a data file's headers, as a rebuild of the manifest reads it: a real directory whose
// first data file holds what the fuzzer wrote.
//
// Input: headers of 4 KiB, the last one cut short; a byte before each says whether its checksum,
// and the names of its instance and slot, are made right, so that more than the checksum is
// reached.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "model/check.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/rebuild/ssd_rebuild_scan.h"

namespace {

using namespace quire::tiering;

constexpr uint64_t kRegionBytes = 1 << 20;
constexpr uint32_t kRegions = 2;
constexpr uint32_t kMaxHeaders = 6;  // three in each region

class Directory {
 public:
  Directory() {
    std::string pattern = "/tmp/quire-fuzz-XXXXXX";
    QUIRE_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
    auto opened = SsdDirectory::open({.path = path_ + "/ssd",
                                      .region_bytes = kRegionBytes,
                                      .regions_per_file = kRegions,
                                      .direct_io = false});
    QUIRE_CHECK(opened.ok());
    directory_ = std::move(opened).value();
    const auto file = directory_->data_files().open(0, true);
    QUIRE_CHECK(file.ok());
    file_ = *file;
    QUIRE_CHECK(::ftruncate(file_, kRegions * kRegionBytes) == 0);
  }
  ~Directory() { std::filesystem::remove_all(path_); }

  void put(uint32_t number, ExtentHeader& header, uint8_t mended) {
    const uint32_t region = number % kRegions;
    const uint32_t index = number / kRegions;
    if ((mended & 1) != 0) header.magic = kExtentMagic;
    if ((mended & 2) != 0) header.instance = directory_->superblock().instance;
    if ((mended & 4) != 0) header.slot = SsdSlot::of(region, index).value;
    if ((mended & 8) != 0) header.format = kSsdFormatMajor;
    if ((mended & 16) != 0) seal(header);
    const auto at = static_cast<off_t>(region * kRegionBytes + index * kSsdBlockBytes);
    QUIRE_CHECK(::pwrite(file_, &header, sizeof(header), at) == sizeof(header));
  }
  // Every object that was found has a slot of its own, in a region that can hold it.
  void scan() {
    const auto found = RebuildScan::run(*directory_);
    QUIRE_CHECK(found.ok());
    for (const ScannedObject& object : found->objects) {
      QUIRE_CHECK(object.slot.region() < kRegions && object.root < found->roots.size());
      QUIRE_CHECK(object.slot.index() < slot_geometry(kRegionBytes, object.slot_bytes).slot_count);
    }
  }

 private:
  std::string path_;
  std::unique_ptr<SsdDirectory> directory_;
  int file_ = -1;
};

void look_at_superblock(const uint8_t* data, size_t size) {
  Superblock block;
  std::memcpy(static_cast<void*>(&block), data, std::min(size, sizeof(block)));
  (void)check(block);
  seal(block);
  (void)check(block);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Directory directory;
  look_at_superblock(data, size);
  for (uint32_t number = 0; number < kMaxHeaders; ++number) {
    ExtentHeader header;
    std::memset(static_cast<void*>(&header), 0, sizeof(header));
    uint8_t mended = 0;
    if (size > 0) {
      mended = *data++;
      const size_t bytes = std::min(--size, sizeof(header));
      std::memcpy(static_cast<void*>(&header), data, bytes);
      data += bytes;
      size -= bytes;
    }
    directory.put(number, header, mended);
  }
  directory.scan();
  return 0;
}
