// Data directories as tests of their files open, read and change them.
#pragma once

#include <memory>
#include <string>

#include "model/result.h"
#include "tiering/disk/ssd_directory.h"

namespace quire::tests {

using Opened = model::Result<std::unique_ptr<tiering::SsdDirectory>>;

Opened open_at(const std::string& path);
// One that was opened once and left.
void make_at(const std::string& path);
tiering::Superblock superblock_at(const std::string& path);
// Sealed, into the file at `path`.
void write_superblock(const std::string& path, tiering::Superblock block);

}  // namespace quire::tests
