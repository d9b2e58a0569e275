// The two copies of a directory's superblock, each with its checksum (ssd_format.h). The later good
// one is believed; a directory of earlier versions has one. Threads: any, write() one at a time.
// Lifetime: the descriptor outlives it. It decides nothing of what a superblock says.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "model/result.h"
#include "tiering/disk/ssd_format.h"

namespace quire::tiering {

// Sizes that a directory may have: region_bytes a multiple of 1 MiB, 1 MiB..1 GiB.
bool valid_geometry(uint64_t region_bytes, uint64_t regions_per_file);

class Superblocks {
 public:
  // Where they lie in the directory; the first is written last.
  static constexpr std::array<const char*, 2> kNames = {"superblock", "superblock.2"};

  Superblocks() = default;
  // `path`: of the directory, for texts.
  Superblocks(int directory, std::string path) : directory_(directory), path_(std::move(path)) {}

  // The copy to believe. kNotFound: there is none. kUnsupportedVersion: one is of a later format,
  // or has a feature that this daemon must know. kCorrupt: none can be trusted. Others: it cannot
  // be read.
  model::Result<Superblock> read();
  // Both copies, durable. Precondition: sealed. Errors of replace_file(): at least one good copy is
  // left, the old or the new.
  model::Result<void> write(const Superblock& block) const;
  // What read() found wrong with the copy that it did not believe; empty: nothing.
  const std::string& damage() const { return damage_; }

 private:
  model::Result<Superblock> read_copy(const std::string& name) const;

  int directory_ = -1;
  std::string path_;
  std::string damage_;
};

}  // namespace quire::tiering
