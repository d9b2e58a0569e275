#include "tests/attacks/attack_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "tests/support/raw_client.h"

namespace quire::tests {

using model::FdGuard;
using model::FrameType;

std::optional<AttackClient> AttackClient::connect(const std::string& socket_path) {
  FdGuard fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  if (!fd.valid() ||
      ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return std::nullopt;
  }
  AttackClient client(std::move(fd));
  if (!client.send(FrameType::kHello, model::struct_bytes(model::HelloRequest{}))) {
    return std::nullopt;
  }
  const auto reply = client.receive();
  if (!reply) return std::nullopt;
  const auto hello = model::read_struct<model::HelloReply>(*reply);
  if (!hello.ok() || hello->status.code != 0) return std::nullopt;
  return client;
}

AttackClient AttackClient::insist(const std::string& socket_path) {
  for (;;) {
    if (auto client = connect(socket_path)) return std::move(*client);
    ::poll(nullptr, 0, 1);
  }
}

bool AttackClient::send(FrameType type, std::string_view payload) {
  return send_bytes(frame_bytes(static_cast<uint16_t>(type), model::kProtocolVersion, payload));
}

bool AttackClient::send_bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool AttackClient::send_some(std::string_view bytes, size_t& sent) {
  const ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  sent = count > 0 ? static_cast<size_t>(count) : 0;
  return count >= 0 || errno == EAGAIN;
}

bool AttackClient::send_descriptors(std::span<const int> descriptors) {
  std::vector<char> control(CMSG_SPACE(descriptors.size_bytes()));
  char byte = 'x';
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
  std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  return ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL) == 1;
}

bool AttackClient::drain() {
  std::array<char, 64 << 10> scrap;
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), scrap.data(), scrap.size(), MSG_DONTWAIT);
    if (got > 0) continue;
    return got < 0 && (errno == EAGAIN || errno == EINTR);
  }
}

bool AttackClient::receive_exactly(char* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t got = ::recv(fd_.get(), data, bytes, 0);
    if (got <= 0) return false;
    data += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

std::optional<std::string> AttackClient::receive() {
  model::FrameHeader header;
  if (!receive_exactly(reinterpret_cast<char*>(&header), sizeof(header))) return std::nullopt;
  std::string payload(header.payload_bytes, '\0');
  if (!receive_exactly(payload.data(), payload.size())) return std::nullopt;
  return payload;
}

}  // namespace quire::tests
