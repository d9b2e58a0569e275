#include "tiering/disk/manifest_count.h"

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

bool sync_parent(rocksdb::Env* env, const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::unique_ptr<rocksdb::Directory> directory;
  return env->NewDirectory(parent, &directory).ok() && directory->Fsync().ok();
}

}  // namespace

std::optional<uint64_t> read_manifest_count(rocksdb::Env* env, const std::string& manifest_path) {
  std::string bytes;
  if (!rocksdb::ReadFileToString(env, manifest_path + kManifestCountSuffix, &bytes).ok()) return {};
  CountFile file;
  if (bytes.size() != sizeof(file)) return {};
  std::memcpy(&file, bytes.data(), sizeof(file));
  if (file.magic != kMagic || file.crc32c != crc_of(file)) return {};
  return file.count;
}

bool write_manifest_count(rocksdb::Env* env, const std::string& manifest_path, uint64_t count) {
  CountFile file;
  file.count = count;
  file.crc32c = crc_of(file);
  const std::string name = manifest_path + kManifestCountSuffix;
  const rocksdb::Slice bytes(reinterpret_cast<const char*>(&file), sizeof(file));
  // The name is not synced: an earlier count is a bound as well, only a weaker one.
  return rocksdb::WriteStringToFile(env, bytes, name + ".new", /*should_sync=*/true).ok() &&
         env->RenameFile(name + ".new", name).ok();
}

bool remove_manifest_count(rocksdb::Env* env, const std::string& manifest_path) {
  const std::string name = manifest_path + kManifestCountSuffix;
  if (env->FileExists(name).IsNotFound()) return true;
  return env->DeleteFile(name).ok() && sync_parent(env, name);
}

}  // namespace quire::tiering
