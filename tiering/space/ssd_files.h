// Where slots lie in the data files, and the files' descriptors in the engine. A file whose sync
// failed is sealed: the kernel may have dropped its dirty pages and call the next sync fine, so it
// takes no more writes until the next start (law 9); what was durable in it is still read.
// Threads: core only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/result.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/io/io_engine.h"
#include "tiering/space/ssd_space.h"

namespace quire::tiering {

class SsdFiles {
 public:
  SsdFiles(SsdDirectory* directory, const SsdSpace* space, IoEngine* engine)
      : directory_(directory), space_(space), engine_(engine) {}
  ~SsdFiles();

  struct Place {
    FileIndex file;
    uint64_t offset = 0;
  };
  // Opens the file of the region, and of those that its slot takes too, in the engine, making them
  // when `create`. Errors of DataFiles::open and IoEngine::add_file.
  model::Result<void> open(uint32_t region, bool create);
  // After the directory became writable: opens anew what is open. Precondition: nothing is in
  // flight.
  model::Result<void> reopen();
  // Files that open() was asked to make, also those that were there: only grows. The name of one is
  // durable after an SsdDirectory::sync_names() that came later.
  uint32_t made_count() const { return made_count_; }
  // Preconditions of these three: the region was opened.
  Place start(uint32_t region) const;
  Place header(SsdSlot slot) const;
  // Where byte `offset` of the slot lies, and how many adjacent ones from it on.
  struct Piece {
    Place place;
    uint64_t bytes = 0;
  };
  Piece data(SsdSlot slot, uint64_t offset) const;

  uint64_t slot_bytes(uint32_t region) const { return space_->slot_bytes(region); }
  std::span<const uint16_t> more_regions(uint32_t region) const {
    return space_->more_regions(region);
  }
  uint32_t number_of(uint32_t region) const { return directory_->file_of(region); }
  // Of the region's file, and of those of the regions that its slot takes too; ascending.
  std::vector<uint32_t> numbers_of(uint32_t region) const;
  std::string name_of(uint32_t region) const;
  FileIndex index_of(uint32_t number) const { return *files_[number]; }
  void seal(uint32_t number);
  bool is_sealed(uint32_t region) const;  // one of its files is
  uint32_t sealed_count() const { return sealed_count_; }

 private:
  model::Result<void> open_file(uint32_t number, bool create);
  void note_made(uint32_t number);

  SsdDirectory* directory_;
  const SsdSpace* space_;
  IoEngine* engine_;
  std::vector<std::optional<FileIndex>> files_;  // by file number
  std::vector<bool> made_;                       // likewise
  std::vector<bool> sealed_;
  uint32_t made_count_ = 0;
  uint32_t sealed_count_ = 0;
};

}  // namespace quire::tiering
