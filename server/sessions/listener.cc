#include "server/sessions/listener.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <system_error>

#include "server/runtime/log.h"

namespace quire::server {

using model::Errc;
using model::errno_error;
using model::FdGuard;
using model::make_error;

namespace {

constexpr int kBacklog = 128;
constexpr int kAcceptsPerTurn = 16;  // a storm of connections must not starve the rings
// Nobody is charged for what is refused, and who is refused may ask again at once: his storm waits
// in the backlog.
constexpr int kAcceptsOfARefusal = 8;

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

std::optional<struct stat> file_at(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return std::nullopt;
  return found;
}

FileIdentity identity_of(const struct stat& file) { return {file.st_dev, file.st_ino}; }

model::Error held_elsewhere(const std::string& path) {
  return make_error(Errc::kAlreadyExists, "another daemon listens on " + path);
}

std::string lock_path_of(const std::string& path) { return path + ".lock"; }

// The lock file is removed by its owner while it is locked, so what was locked here may be a file
// that no longer has the name: then it is nobody's, and the next try makes a new one.
model::Result<FdGuard> lock_path(const std::string& path) {
  const std::string lock_path = lock_path_of(path);
  while (true) {
    FdGuard lock(
        ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (!lock.valid()) return errno_error("cannot open the lock file " + lock_path);
    struct stat locked {};
    if (::fstat(lock.get(), &locked) != 0) return errno_error("fstat of " + lock_path);
    if (!S_ISREG(locked.st_mode)) {
      return make_error(Errc::kInvalidArgument,
                        lock_path + " is not a regular file; the socket's lock needs that name");
    }
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      return errno == EWOULDBLOCK ? held_elsewhere(path) : errno_error("flock of " + lock_path);
    }
    const auto named = file_at(lock_path);
    if (named && identity_of(*named) == identity_of(locked)) return lock;
  }
}

// Holding the lock. A daemon of an earlier version holds no lock: it answers.
model::Result<void> remove_stale_socket(const std::string& path) {
  const auto present = file_at(path);
  if (!present) return {};
  if (!S_ISSOCK(present->st_mode)) {
    return make_error(Errc::kInvalidArgument,
                      path + " is not a socket; it was left as it is: name another --socket");
  }
  // Nobody of this version binds between this look and the unlink: it would hold the lock.
  if (somebody_listens(address_of(path))) return held_elsewhere(path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return errno_error("cannot remove the stale socket " + path);
  }
  return {};
}

int socket_option(int fd, int option) {
  int value = -1;
  socklen_t length = sizeof(value);
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

bool is_listening_unix_socket(int fd) {
  return socket_option(fd, SO_DOMAIN) == AF_UNIX && socket_option(fd, SO_TYPE) == SOCK_STREAM &&
         socket_option(fd, SO_ACCEPTCONN) == 1;
}

// For people; an abstract name begins with "@" as the service manager writes it.
std::string path_of(int fd) {
  sockaddr_un address{};
  socklen_t length = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "";
  const size_t bytes = length - std::min<size_t>(length, offsetof(sockaddr_un, sun_path));
  std::string path(address.sun_path, bytes);
  if (!path.empty() && path[0] == '\0') return "@" + path.substr(1);
  return path.substr(0, path.find('\0'));
}

}  // namespace

model::Result<std::unique_ptr<Listener>> Listener::create(const std::string& path, uint32_t mode,
                                                          EventLoop* loop,
                                                          std::function<bool(FdGuard)> on_accept) {
  QUIRE_TRY(make_parent(path));
  std::unique_ptr<Listener> listener(new Listener(path, loop, std::move(on_accept)));
  // The lock before the socket: of two starts one goes on, and may remove what is stale.
  listener->lock_ = QUIRE_TRY(lock_path(path));
  QUIRE_TRY(remove_stale_socket(path));
  QUIRE_TRY(listener->bind_and_listen(mode));
  QUIRE_TRY(loop->add(listener->fd_.get(), EPOLLIN, listener.get()));
  listener->paused_ = false;
  return listener;
}

model::Result<std::unique_ptr<Listener>> Listener::adopt(int fd, EventLoop* loop,
                                                         std::function<bool(FdGuard)> on_accept) {
  if (!is_listening_unix_socket(fd)) {
    return make_error(Errc::kInvalidArgument,
                      "descriptor " + std::to_string(fd) +
                          " of the service manager is no listening unix stream socket: the socket "
                          "unit needs ListenStream=/PATH and Accept=no");
  }
  std::unique_ptr<Listener> listener(new Listener(path_of(fd), loop, std::move(on_accept)));
  listener->fd_ = FdGuard(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!listener->fd_.valid()) return errno_error("fcntl of the service manager's socket");
  // accept() must not wait for a client that has gone again.
  if (::fcntl(listener->fd_.get(), F_SETFL, O_NONBLOCK) != 0) return errno_error("fcntl");
  // Whoever connects is told which process listened last: this one, not the manager.
  if (::listen(listener->fd_.get(), kBacklog) != 0) return errno_error("listen");
  QUIRE_TRY(loop->add(listener->fd_.get(), EPOLLIN, listener.get()));
  listener->paused_ = false;
  return listener;
}

model::Result<void> Listener::bind_and_listen(uint32_t mode) {
  const sockaddr_un address = address_of(path_);
  fd_ = FdGuard(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_.valid()) return errno_error("socket");
  if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return errno_error("bind to " + path_);
  }
  const auto bound = file_at(path_);
  if (!bound) return errno_error("lstat of " + path_);
  // Kept, so that the end removes this very socket, not one that a successor bound to the name.
  bound_ = identity_of(*bound);
  if (::chmod(path_.c_str(), mode) != 0) return errno_error("chmod of " + path_);
  if (::listen(fd_.get(), kBacklog) != 0) return errno_error("listen");
  return {};
}

// While fd_ is open the kernel keeps the inode, so its number is not another file's.
bool Listener::owns_socket_file() const {
  const auto present = file_at(path_);
  return bound_ != FileIdentity{} && present && S_ISSOCK(present->st_mode) &&
         identity_of(*present) == bound_;
}

Listener::~Listener() {
  if (fd_.valid() && !paused_) loop_->remove(fd_.get());
  if (owns_socket_file()) ::unlink(path_.c_str());
  if (!lock_.valid()) return;  // adopted, or never bound
  // The socket goes before the lock: who gets the lock next finds the path free.
  const auto lock_file = file_at(lock_path_of(path_));
  struct stat locked {};
  if (lock_file && ::fstat(lock_.get(), &locked) == 0 &&
      identity_of(*lock_file) == identity_of(locked)) {
    ::unlink(lock_path_of(path_).c_str());
  }
}

void Listener::on_event(uint32_t) {
  for (int left = kAcceptsPerTurn; left > 0;) {
    FdGuard client(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (client.valid()) {
      // Level-triggered: who is left in the backlog is reported with the loop's next turn.
      left -= on_accept_(std::move(client)) ? 1 : kAcceptsOfARefusal;
      continue;
    }
    // Of this process, of the machine, or of memory.
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      log(LogKind::kConnectionRefused, LogLevel::kWarning,
          "connections wait: " + errno_error("accept").text);
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
