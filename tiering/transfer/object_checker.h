// What workers do with the pages of a transfer, and what follows from it: nothing is written that
// is not what was sealed, nothing is served that is not what was written (law 4).
//
//   write: prepare --worker: CRC32C, or encode--> judge_write --> seal_header --> device
//   read:  device --> prepare --worker: CRC32C, or decode--> judge_read
//
// No state: it asks the cache who an object is, and looks at the transfer. Threads: core only, but
// for the work, which knows its task alone.
#pragma once

#include <array>
#include <cstdint>

#include "cache/cache.h"
#include "tiering/space/ssd_files.h"
#include "tiering/transfer/ssd_transfer.h"
#include "tiering/transfer/stored_forms.h"

namespace quire::tiering {

class ObjectChecker {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    const SsdFiles* files = nullptr;
    const StoredForms* forms = nullptr;
    std::array<uint8_t, 16> instance{};  // of the directory
  };
  explicit ObjectChecker(const Parts& parts) : parts_(parts) {}

  // Fills in the object's task: its pages, and what is done with them. False: it is encoded, and
  // the header that says where its pages are is not this object's; it is corrupt.
  bool prepare(Transfer& transfer, uint32_t object) const;
  // The task of an object that was read is done. kGood, kCorrupt.
  ObjectState judge_read(const Transfer& transfer, uint32_t object) const;
  // That of one to be written. kWaiting: it may be; kCorrupt, kTooLarge.
  ObjectState judge_write(const Transfer& transfer, uint32_t object) const;
  // Of one that may be written: what its header says of its pages, and its checksum.
  void seal_header(Transfer& transfer, uint32_t object) const;

 private:
  bool header_matches(const Transfer& transfer, uint32_t object) const;
  bool header_fits_pages(const Transfer& transfer, uint32_t object) const;
  bool pages_match(const Transfer& transfer, uint32_t object) const;

  Parts parts_;
};

}  // namespace quire::tiering
