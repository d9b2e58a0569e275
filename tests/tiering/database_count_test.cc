#include "tiering/database/database_count.h"

#include <gtest/gtest.h>

namespace quire::tiering::database_count_test {
namespace {

TEST(DatabaseCount, BytesSayWhatTheyWereMadeOf) {
  for (const uint64_t count : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40, UINT64_MAX}) {
    EXPECT_EQ(parse_count_file(count_file_bytes(count)), count);
  }
}

// Directories of earlier versions hold these.
TEST(DatabaseCount, BytesAreThoseOnDisk) {
  const std::string bytes = count_file_bytes(0x0102'0304);
  ASSERT_EQ(bytes.size(), 24u);
  EXPECT_EQ(bytes.substr(0, 8), std::string("QUIRECT\0", 8));
  EXPECT_EQ(bytes.substr(8, 8), std::string("\x04\x03\x02\x01\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(20, 4), std::string(4, '\0'));
}

TEST(DatabaseCount, AnyDamagedBitSaysNothing) {
  const std::string good = count_file_bytes(77);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(parse_count_file(bad)) << "bit " << bit;
  }
}

TEST(DatabaseCount, AnyOtherLengthSaysNothing) {
  const std::string good = count_file_bytes(77);
  for (size_t bytes = 0; bytes < good.size(); ++bytes) {
    EXPECT_FALSE(parse_count_file(good.substr(0, bytes))) << bytes;
  }
  EXPECT_FALSE(parse_count_file(good + '\0'));
}

}  // namespace
}  // namespace quire::tiering::database_count_test
