#include "allocator/available_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>

namespace quire::allocator {
namespace {

// Version 1 says "no limit" with the largest number of pages, a little below 2^63.
constexpr uint64_t kVersion1NoLimit = uint64_t{1} << 62;

// A memory hierarchy of control groups, as this process sees it.
struct Hierarchy {
  bool version2 = false;
  std::string mount;  // where it is mounted
  std::string group;  // of this process, below the mount; "" = the mount itself
};

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

bool has_word(std::string_view list, std::string_view word) {
  std::istringstream words{std::string(list)};
  for (std::string each; std::getline(words, each, ',');) {
    if (each == word) return true;
  }
  return false;
}

// "/a/b" of the line "0::/a/b" (version 2) or "4:memory:/a/b" (version 1) of /proc/self/cgroup.
std::optional<std::string> own_group(const std::string& root, bool version2) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool wanted = version2 ? controllers.empty() : has_word(controllers, "memory");
    if (wanted) return line.substr(second + 1);
  }
  return std::nullopt;
}

// A line of /proc/self/mountinfo: "36 35 98:0 ROOT MOUNT options ... - TYPE source SUPEROPTIONS".
std::optional<Hierarchy> hierarchy_of(const std::string& line, const std::string& root) {
  std::istringstream fields(line);
  std::string word;
  std::string mount_root;
  Hierarchy found;
  for (int i = 0; i < 3; ++i) fields >> word;
  fields >> mount_root >> found.mount;
  while (fields >> word && word != "-") {
  }
  std::string type;
  std::string options;
  fields >> type >> word >> options;
  found.version2 = type == "cgroup2";
  if (!found.version2 && (type != "cgroup" || !has_word(options, "memory"))) return std::nullopt;
  const auto group = own_group(root, found.version2);
  if (!group) return std::nullopt;
  // A container may see only its own part of the tree: that part's root is not in the mount.
  found.group = *group;
  if (mount_root != "/" && found.group.starts_with(mount_root)) {
    found.group.erase(0, mount_root.size());
  }
  if (found.group == "/" || found.group.find("..") != std::string::npos) found.group.clear();
  return found;
}

MemoryRoom group_room(const Hierarchy& hierarchy, const std::string& root,
                      const std::string& group) {
  const std::string named = hierarchy.mount + group;
  const std::string folder = root + named;
  const bool v2 = hierarchy.version2;
  const std::string limit_file = v2 ? "/memory.max" : "/memory.limit_in_bytes";
  const auto limit = read_number(folder + limit_file);
  const auto used = read_number(folder + (v2 ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!limit || !used || *limit >= kVersion1NoLimit) return {};
  // Shared memory is on the anonymous lists, so these two are cache that can be dropped.
  const std::string stat = folder + "/memory.stat";
  const std::string_view inactive = v2 ? "inactive_file" : "total_inactive_file";
  const std::string_view active = v2 ? "active_file" : "total_active_file";
  const uint64_t cache =
      read_field(stat, inactive).value_or(0) + read_field(stat, active).value_or(0);
  const uint64_t held = *used > cache ? *used - cache : 0;
  return {.bytes = *limit > held ? *limit - held : 0, .source = named + limit_file};
}

// Resident pages of this process, the segments that it mapped in among them.
uint64_t own_bytes(const std::string& root) {
  std::ifstream file(root + "/proc/self/statm");
  uint64_t all_pages = 0;
  uint64_t resident_pages = 0;
  file >> all_pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

void narrow(MemoryRoom& room, const MemoryRoom& other) {
  if (other.bytes < room.bytes) room = other;
}

}  // namespace

MemoryRoom memory_room(uint64_t limit_bytes, const std::string& root) {
  MemoryRoom room;
  if (const auto kib = read_field(root + "/proc/meminfo", "MemAvailable:")) {
    room = {.bytes = *kib * 1024, .source = "/proc/meminfo"};
  }
  if (limit_bytes > 0) {
    const uint64_t held = own_bytes(root);
    narrow(room, {.bytes = limit_bytes > held ? limit_bytes - held : 0,
                  .source = "--memory_limit_bytes=" + std::to_string(limit_bytes)});
  }
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const auto hierarchy = hierarchy_of(line, root);
    if (!hierarchy) continue;
    std::string group = hierarchy->group;
    // The limit of every group above holds too: the tightest one decides.
    while (true) {
      narrow(room, group_room(*hierarchy, root, group));
      const size_t slash = group.rfind('/');
      if (slash == std::string::npos) break;
      group.resize(slash);
    }
  }
  return room;
}

}  // namespace quire::allocator
