// Turns the objects of a transfer into operations of the engine: headers first, then pages, or the
// stored form of encoded objects. What is adjacent on the device and in memory becomes one
// operation, up to merge_bytes: a device is paid by the operation as well as by the byte.
// No state but its options. Threads: core only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "tiering/io/io_port.h"
#include "tiering/space/ssd_files.h"
#include "tiering/transfer/ssd_transfer.h"

namespace quire::tiering {

class OpPlanner {
 public:
  OpPlanner(const SsdFiles* files, uint64_t merge_bytes)
      : files_(files), merge_bytes_(merge_bytes) {}

  // Of its objects that wait, in adjacent slots from `first` on. Sets ops (tag: transfer << 32 |
  // operation), how many each object waits for, and stored_bytes. Precondition: their region was
  // opened in SsdFiles.
  void plan(Transfer& transfer, IoClient* client) const;

 private:
  void add_headers(Transfer& transfer, IoKind kind) const;
  void add_pages(Transfer& transfer, IoKind kind, std::optional<uint32_t> first_layer) const;
  void add_stored(Transfer& transfer, IoKind kind) const;
  void add(Transfer& transfer, const IoOp& io, uint32_t object) const;
  struct Stretch {
    uint32_t object = 0;
    uint64_t offset = 0;  // in its slot
    std::span<std::byte> memory;
  };
  void add_stretch(Transfer& transfer, IoKind kind, Stretch stretch) const;

  const SsdFiles* files_;
  uint64_t merge_bytes_;
};

}  // namespace quire::tiering
