#include "tests/support/lingering_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "model/check.h"

namespace quire::tests {

using model::FdGuard;

namespace {

constexpr int kLingerSeconds = 1000;  // far beyond the patience of a test

}  // namespace

LingeringSocket make_lingering_socket() {
  const FdGuard listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  // The less both ends hold, the less of the machine goes into what the daemon never sees.
  const int small = 4096;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  QUIRE_CHECK(::bind(listener.get(), any, length) == 0 && ::listen(listener.get(), 1) == 0);
  QUIRE_CHECK(::getsockname(listener.get(), any, &length) == 0);
  LingeringSocket made{FdGuard(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), FdGuard()};
  ::setsockopt(made.fd.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
  QUIRE_CHECK(::connect(made.fd.get(), any, length) == 0);
  made.peer = FdGuard(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const linger lasting{1, kLingerSeconds};
  QUIRE_CHECK(::setsockopt(made.fd.get(), SOL_SOCKET, SO_LINGER, &lasting, sizeof(lasting)) == 0);
  const std::vector<char> bytes(16 << 10);
  while (::send(made.fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
  }
  return made;
}

}  // namespace quire::tests
