#include "allocator/available_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace quire::allocator {
namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

// The number behind `name` in a file of "name number ..." lines.
std::optional<uint64_t> read_field(const std::string& path, std::string_view name) {
  std::ifstream file(path);
  std::string word;
  uint64_t number = 0;
  while (file >> word) {
    if (word == name && file >> number) return number;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

// A file that holds one number; nullopt too for "max".
std::optional<uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

// "/a/b" of the line "0::/a/b"; empty when there is no version 2 hierarchy.
std::string own_cgroup() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("0::")) return line.substr(3);
  }
  return {};
}

uint64_t cgroup_room(const std::string& folder) {
  const std::optional<uint64_t> limit = read_number(folder + "/memory.max");
  const std::optional<uint64_t> used = read_number(folder + "/memory.current");
  if (!limit || !used) return kNoLimit;
  // Shared memory is on the anonymous lists, so these two are cache that can be dropped.
  const std::string stat = folder + "/memory.stat";
  const uint64_t cache =
      read_field(stat, "inactive_file").value_or(0) + read_field(stat, "active_file").value_or(0);
  const uint64_t held = *used > cache ? *used - cache : 0;
  return *limit > held ? *limit - held : 0;
}

}  // namespace

uint64_t available_memory_bytes() {
  uint64_t available = kNoLimit;
  if (const auto kib = read_field("/proc/meminfo", "MemAvailable:")) available = *kib * 1024;
  std::string group = own_cgroup();
  while (true) {
    available = std::min(available, cgroup_room("/sys/fs/cgroup" + group));
    const size_t slash = group.rfind('/');
    if (slash == std::string::npos) return available;
    group.resize(slash);
  }
}

}  // namespace quire::allocator
