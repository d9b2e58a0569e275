#include "tests/http/http_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>

#include "model/check.h"
#include "tests/support/patience.h"

namespace quire::tests {

HttpPeer::HttpPeer(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval patience{.tv_sec = kPatienceMs / 1000, .tv_usec = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  QUIRE_CHECK(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
}

bool HttpPeer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool HttpPeer::read_more() {
  std::array<char, 16384> some;
  ssize_t got;
  do {  // a ring that this thread closed a while ago interrupts what has a time limit
    got = ::recv(fd_.get(), some.data(), some.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return false;
  unread_.append(some.data(), static_cast<size_t>(got));
  return true;
}

HttpReply HttpPeer::receive(bool head) {
  size_t end = 0;
  while ((end = unread_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return {};
  }
  HttpReply reply;
  std::string top = unread_.substr(0, end + 2);
  unread_.erase(0, end + 4);
  reply.status = static_cast<unsigned>(std::stoul(top.substr(top.find(' ') + 1, 3)));
  for (size_t at = top.find("\r\n") + 2; at < top.size();) {
    const size_t line_end = top.find("\r\n", at);
    const size_t colon = top.find(':', at);
    std::string name = top.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    reply.headers[name] = top.substr(colon + 2, line_end - colon - 2);
    at = line_end + 2;
  }
  const size_t length = head ? 0 : std::stoul(reply.headers.at("content-length"));
  while (unread_.size() < length) {
    if (!read_more()) return {};
  }
  reply.body = unread_.substr(0, length);
  unread_.erase(0, length);
  return reply;
}

bool HttpPeer::is_closed() {
  while (read_more()) {
  }
  return true;
}

bool HttpPeer::is_reset() {
  pollfd one{.fd = fd_.get(), .events = 0, .revents = 0};
  return ::poll(&one, 1, static_cast<int>(kPatienceMs)) == 1 && (one.revents & POLLERR) != 0;
}

void HttpPeer::set_receive_buffer(int bytes) {
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

HttpReply http_get(uint16_t port, std::string_view path, std::string_view header,
                   std::string_view method) {
  HttpPeer peer(port);
  std::string request = std::string(method) + ' ' + std::string(path) + " HTTP/1.1\r\n";
  if (header.find("Host:") == std::string_view::npos) request += "Host: localhost\r\n";
  request.append(header).append("\r\n");
  peer.send(request);
  return peer.receive(method == "HEAD");
}

}  // namespace quire::tests
