// Whether a peer's uid says who the peer is.
//
// In a user namespace that does not map all uids, the kernel shows each uid without a number there
// as one and the same overflow uid (65534): strangers would share a domain. Read once at start; the
// maps of a namespace never change after they are set.
#pragma once

#include <cstdint>
#include <string>

namespace quire::server {

class PeerUids {
 public:
  // From /proc/self/uid_map and /proc/sys/kernel/overflowuid. What cannot be read counts as a
  // namespace that maps nothing else.
  static PeerUids read();
  static PeerUids parse(const std::string& uid_map, const std::string& overflow_uid);

  // False: this number may stand for several users.
  bool is_one_user(uint32_t uid) const { return maps_all_ || uid != overflow_uid_; }

 private:
  bool maps_all_ = false;
  uint32_t overflow_uid_ = 65534;
};

}  // namespace quire::server
