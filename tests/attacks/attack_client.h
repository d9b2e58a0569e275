// A socket to the daemon for attackers: refusals and hang-ups are answers, never failures.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/fd_guard.h"
#include "model/wire.h"

namespace quire::tests {

class AttackClient {
 public:
  // Connected and greeted, or nullopt when the daemon would not have it.
  static std::optional<AttackClient> connect(const std::string& socket_path);
  // The same, but trying again until it is in.
  static AttackClient insist(const std::string& socket_path);

  // False once the daemon has hung up. May block while the daemon does not read.
  bool send(model::FrameType type, std::string_view payload);
  bool send_bytes(std::string_view bytes);
  bool send_descriptors(std::span<const int> descriptors);
  // As much as the socket takes now; false once the daemon has hung up.
  bool send_some(std::string_view bytes, size_t& sent);
  // Throws away what the daemon has answered so far; false once it has hung up.
  bool drain();
  // Payload of the next frame; nullopt once the daemon has hung up.
  std::optional<std::string> receive();
  int fd() const { return fd_.get(); }

 private:
  explicit AttackClient(model::FdGuard fd) : fd_(std::move(fd)) {}
  bool receive_exactly(char* data, size_t bytes);

  model::FdGuard fd_;
};

}  // namespace quire::tests
