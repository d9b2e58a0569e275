#include "tiering/io/database_count.h"

#include <cstring>
#include <type_traits>

#include "tiering/io/crc_copy.h"

namespace quire::tiering {

namespace {

constexpr uint64_t kMagic = 0x5443'4552'4955'51ull;  // "QUIRECT"

struct CountFile {
  uint64_t magic = kMagic;
  uint64_t count = 0;
  uint32_t crc32c = 0;  // of the file with this field 0
  uint32_t zero = 0;
};
static_assert(sizeof(CountFile) == 24 && std::is_trivially_copyable_v<CountFile>);

uint32_t crc_of(CountFile file) {
  file.crc32c = 0;
  return crc32c(reinterpret_cast<const std::byte*>(&file), sizeof(file));
}

}  // namespace

std::string count_file_bytes(uint64_t count) {
  CountFile file;
  file.count = count;
  file.crc32c = crc_of(file);
  return std::string(reinterpret_cast<const char*>(&file), sizeof(file));
}

std::optional<uint64_t> parse_count_file(std::string_view bytes) {
  CountFile file;
  if (bytes.size() != sizeof(file)) return {};
  std::memcpy(&file, bytes.data(), sizeof(file));
  if (file.magic != kMagic || file.crc32c != crc_of(file)) return {};
  return file.count;
}

}  // namespace quire::tiering
