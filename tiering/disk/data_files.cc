#include "tiering/disk/data_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <utility>

#include "model/check.h"
#include "tiering/disk/ssd_format.h"
#include "tiering/io/durable_file.h"

namespace quire::tiering {

using model::Errc;
using model::FdGuard;
using model::make_error;
using model::Result;

namespace {

constexpr size_t kNameDigits = 6;
constexpr uint64_t kStatBlockBytes = 512;  // st_blocks counts these, whatever the file system's are

std::string name_of(uint32_t number) {
  const std::string digits = std::to_string(number);
  return std::string(kDataPrefix) + std::string(kNameDigits - digits.size(), '0') + digits;
}

std::optional<uint32_t> number_of(std::string_view name) {
  if (!name.starts_with(kDataPrefix) || name.size() != kDataPrefix.size() + kNameDigits) return {};
  uint32_t number = 0;
  const auto [end, error] =
      std::from_chars(name.data() + kDataPrefix.size(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return {};
  return number;
}

std::optional<struct stat> stat_of(int directory, uint32_t number) {
  struct stat status {};
  // What the manifest says of numbers is not trusted: a name has six digits.
  if (number >= kMaxRegions) return {};
  if (::fstatat(directory, name_of(number).c_str(), &status, 0) != 0) return {};
  return status;
}

}  // namespace

Result<FdGuard> DataFiles::open_named(const std::string& name, bool create) const {
  const int flags = (options_.direct_io ? O_DIRECT : 0) | (options_.read_only ? O_RDONLY : O_RDWR) |
                    (create && !options_.read_only ? O_CREAT : 0);
  Result<FdGuard> file = open_regular(options_.directory, name, flags);
  if (file.ok()) return file;
  if (file.code() != Errc::kNotFound) {
    return make_error(file.code(), options_.path + "/" + file.error().text);
  }
  return make_error(Errc::kNotFound, "no data file " + options_.path + "/" + name);
}

Result<int> DataFiles::open(uint32_t number, bool create) {
  if (number >= kMaxRegions) {
    return make_error(Errc::kInvalidArgument,
                      "data files are numbered below " + std::to_string(kMaxRegions));
  }
  if (number < files_.size() && files_[number].valid()) return files_[number].get();
  FdGuard file = QUIRE_TRY(open_named(name_of(number), create));
  if (files_.size() <= number) files_.resize(number + 1);
  files_[number] = std::move(file);
  return files_[number].get();
}

// The old one goes when the new one is there: a file that cannot be opened stays readable.
Result<int> DataFiles::reopen(uint32_t number) {
  QUIRE_CHECK(number < files_.size() && files_[number].valid());
  FdGuard file = QUIRE_TRY(open_named(name_of(number), false));
  files_[number] = std::move(file);
  return files_[number].get();
}

// Where the file system knows no files without a name, one is made and its name taken away.
Result<FdGuard> DataFiles::nameless() const {
  const int flags = O_RDWR | O_CLOEXEC | (options_.direct_io ? O_DIRECT : 0);
  FdGuard file(::openat(options_.directory, ".", flags | O_TMPFILE, S_IRUSR | S_IWUSR));
  if (file.valid()) return file;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) {
    return file_error("make a file in " + options_.path);
  }
  const std::string name = "quire.probe." + std::to_string(::getpid());
  file = FdGuard(
      ::openat(options_.directory, name.c_str(), flags | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR));
  if (!file.valid()) return file_error("make " + options_.path + "/" + name);
  if (::unlinkat(options_.directory, name.c_str(), 0) != 0) return file_error("unlink " + name);
  return file;
}

Result<std::vector<uint32_t>> DataFiles::list() const {
  if (options_.directory < 0) return std::vector<uint32_t>();
  const std::vector<std::string> names = QUIRE_TRY(list_names(options_.directory));
  std::vector<uint32_t> numbers;
  for (const std::string& name : names) {
    const std::optional<uint32_t> number = number_of(name);
    if (!number || *number >= kMaxRegions) continue;
    if (const auto other = other_than_file(options_.directory, name); !other.empty()) {
      return make_error(Errc::kCorrupt, options_.path + "/" + name + " is not a file but " +
                                            std::string(other) + ": move it away");
    }
    numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

uint64_t DataFiles::bytes(uint32_t number) const {
  const auto status = stat_of(options_.directory, number);
  return status ? static_cast<uint64_t>(status->st_size) : 0;
}

uint64_t DataFiles::blocks(uint32_t number) const {
  const auto status = stat_of(options_.directory, number);
  return status ? static_cast<uint64_t>(status->st_blocks) * kStatBlockBytes : 0;
}

}  // namespace quire::tiering
