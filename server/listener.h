// The daemon's unix stream socket. Takes over a stale socket file, refuses a live one.
// Threads: core only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "model/fd_guard.h"
#include "model/result.h"
#include "server/event_loop.h"

namespace quire::server {

class Listener final : public EventHandler {
 public:
  // Makes the parent directory (0750) when it is missing. kAlreadyExists: a daemon answers there.
  static model::Result<std::unique_ptr<Listener>> create(
      const std::string& path, uint32_t mode, EventLoop* loop,
      std::function<void(model::FdGuard)> on_accept);
  ~Listener() override;  // stops listening and removes the socket file

  void on_event(uint32_t epoll_events) override;
  // After running out of descriptors: try again, now that some were closed.
  void resume();

 private:
  Listener(std::string path, EventLoop* loop, std::function<void(model::FdGuard)> on_accept)
      : path_(std::move(path)), loop_(loop), on_accept_(std::move(on_accept)) {}

  std::string path_;
  EventLoop* loop_;
  std::function<void(model::FdGuard)> on_accept_;
  model::FdGuard fd_;
  bool paused_ = false;
};

}  // namespace quire::server
