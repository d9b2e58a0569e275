#include "tiering/database/database_count.h"

#include <rocksdb/env.h>

#include <cstring>
#include <memory>
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

std::optional<uint64_t> read_count(rocksdb::Env* env, const std::string& path) {
  std::string bytes;
  if (!rocksdb::ReadFileToString(env, path + kDatabaseCountSuffix, &bytes).ok()) return {};
  return parse_count_file(bytes);
}

bool write_count(rocksdb::Env* env, const std::string& path, uint64_t count) {
  const std::string name = path + kDatabaseCountSuffix;
  // The name is not synced: an earlier count is a bound as well, only a weaker one.
  return rocksdb::WriteStringToFile(env, count_file_bytes(count), name + ".new",
                                    /*should_sync=*/true)
             .ok() &&
         env->RenameFile(name + ".new", name).ok();
}

bool remove_count(rocksdb::Env* env, const std::string& path) {
  const std::string name = path + kDatabaseCountSuffix;
  if (env->FileExists(name).IsNotFound()) return true;
  return env->DeleteFile(name).ok() && sync_parent(env, name).ok();
}

rocksdb::Status sync_parent(rocksdb::Env* env, const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::unique_ptr<rocksdb::Directory> directory;
  const rocksdb::Status status = env->NewDirectory(parent, &directory);
  return status.ok() ? directory->Fsync() : status;
}

}  // namespace quire::tiering
