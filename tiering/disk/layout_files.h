// DIR/layouts: each layout in a file that has the SHA-256 of its encoding for a name, so that what
// hashes to its name is whole. Threads: after open() any, they use nothing but a descriptor and
// constants. Lifetime: a directory's.
#pragma once

#include <string>
#include <vector>

#include "model/fd_guard.h"
#include "model/hash256.h"
#include "model/layout.h"
#include "model/result.h"

namespace quire::tiering {

class LayoutFiles {
 public:
  // Of the directory `path`. read_only: stores nothing, and finds nothing where none were made.
  // kCorrupt: something else stands in their place.
  model::Result<void> open(int directory, const std::string& path, bool read_only);

  // Durable when it returns; present and whole already: only its name is synced. Digest = SHA-256
  // of the encoding, otherwise kInvalidArgument. kUnsupportedVersion: read_only.
  model::Result<void> store(const model::Hash256& digest, const model::Layout& layout) const;
  // kNotFound; kCorrupt when its bytes do not hash to its name.
  model::Result<model::Layout> load(const model::Hash256& digest) const;
  std::vector<model::Hash256> list() const;

 private:
  std::string path_;  // of the directory, for texts
  bool read_only_ = false;
  model::FdGuard files_;  // none: read_only_ and never made
};

}  // namespace quire::tiering
