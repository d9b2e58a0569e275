#include "tests/ssd/directory_rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/ssd/scratch_directory.h"

namespace quire::tests {

Opened open_at(const std::string& path) { return tiering::SsdDirectory::open({.path = path}); }

void make_at(const std::string& path) {
  const Opened directory = open_at(path);
  ASSERT_TRUE(directory.ok()) << directory.error().text;
}

tiering::Superblock superblock_at(const std::string& path) {
  const std::string bytes = read_bytes(path + "/superblock");
  tiering::Superblock block;
  EXPECT_EQ(bytes.size(), sizeof(block));
  std::memcpy(static_cast<void*>(&block), bytes.data(), std::min(bytes.size(), sizeof(block)));
  return block;
}

void write_superblock(const std::string& path, tiering::Superblock block) {
  tiering::seal(block);
  write_bytes(path, std::string(reinterpret_cast<const char*>(&block), sizeof(block)));
}

}  // namespace quire::tests
