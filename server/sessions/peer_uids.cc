#include "server/sessions/peer_uids.h"

#include <fstream>
#include <iterator>
#include <sstream>

namespace quire::server {

namespace {

constexpr uint64_t kAllUids = 4'294'967'295;  // the last one, -1, is nobody's

std::string contents_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

PeerUids PeerUids::read() {
  return parse(contents_of("/proc/self/uid_map"), contents_of("/proc/sys/kernel/overflowuid"));
}

PeerUids PeerUids::parse(const std::string& uid_map, const std::string& overflow_uid) {
  PeerUids uids;
  uint64_t mapped = 0;
  std::istringstream lines(uid_map);
  uint64_t inside = 0;
  uint64_t outside = 0;
  uint64_t count = 0;
  while (lines >> inside >> outside >> count) mapped += count;  // ranges do not overlap
  // With every uid mapped the overflow uid is one ordinary user.
  uids.maps_all_ = mapped >= kAllUids;
  std::istringstream number(overflow_uid);
  uint32_t parsed = 0;
  if (number >> parsed) uids.overflow_uid_ = parsed;
  return uids;
}

}  // namespace quire::server
