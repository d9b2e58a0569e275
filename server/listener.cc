#include "server/listener.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

namespace quire::server {

using model::Errc;
using model::errno_error;
using model::FdGuard;
using model::make_error;

namespace {

constexpr int kBacklog = 128;
constexpr int kAcceptsPerTurn = 16;  // a storm of connections must not starve the rings

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

bool somebody_listens(const sockaddr_un& address) {
  const FdGuard probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
             0 ||
         errno == EAGAIN;
}

model::Result<void> make_parent(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (parent.empty() || std::filesystem::exists(parent, error)) return {};
  std::filesystem::create_directories(parent, error);
  if (error) {
    return make_error(Errc::kIoError, "cannot make " + parent.string() + ": " + error.message());
  }
  ::chmod(parent.c_str(), 0750);
  return {};
}

}  // namespace

model::Result<std::unique_ptr<Listener>> Listener::create(const std::string& path, uint32_t mode,
                                                          EventLoop* loop,
                                                          std::function<void(FdGuard)> on_accept) {
  QUIRE_TRY(make_parent(path));
  const sockaddr_un address = address_of(path);
  if (somebody_listens(address)) {
    return make_error(Errc::kAlreadyExists, "another daemon listens on " + path);
  }
  ::unlink(path.c_str());
  std::unique_ptr<Listener> listener(new Listener(path, loop, std::move(on_accept)));
  FdGuard fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno_error("socket");
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return errno_error("bind to " + path);
  }
  if (::chmod(path.c_str(), mode) != 0) return errno_error("chmod of " + path);
  if (::listen(fd.get(), kBacklog) != 0) return errno_error("listen");
  QUIRE_TRY(loop->add(fd.get(), EPOLLIN, listener.get()));
  listener->fd_ = std::move(fd);
  return listener;
}

Listener::~Listener() {
  if (!fd_.valid()) return;
  if (!paused_) loop_->remove(fd_.get());
  ::unlink(path_.c_str());
}

void Listener::on_event(uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    FdGuard client(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (client.valid()) {
      on_accept_(std::move(client));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE) {
      paused_ = true;  // level-triggered: it would spin until a descriptor is free
      loop_->remove(fd_.get());
    }
    return;
  }
}

void Listener::resume() {
  if (paused_ && loop_->add(fd_.get(), EPOLLIN, this).ok()) paused_ = false;
}

}  // namespace quire::server
