// A client without the library: speaks frames and writes rings by hand, so that it can misbehave.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/fd_guard.h"
#include "model/hash256.h"
#include "model/layout.h"
#include "model/session_shm.h"
#include "model/wire.h"

namespace quire::tests {

// A whole frame with a header of the given type and version.
std::string frame_bytes(uint16_t type, uint16_t version, std::string_view payload);
// A connection that said nothing yet.
model::FdGuard connect_raw(const std::string& socket_path);
// Status of the next reply; kClosed when the daemon hung up instead.
model::Errc read_error(int fd);
// Connects, sends bytes, reads the status of the first reply; kClosed when there is none.
model::Errc send_and_read_error(const std::string& socket_path, std::string_view bytes);
// Connects and sends `count` descriptors with one byte.
model::Errc send_descriptors(const std::string& socket_path, int count);

struct RawShape {
  uint32_t ring_entries = 8;
  uint32_t max_units = 64;
  uint32_t max_load_pages = 64;
  uint64_t staging_bytes = 1 << 16;
};

class RawSession {
 public:
  // `staging`: none, where nothing is committed.
  RawSession(std::vector<model::FdGuard> descriptors, const model::OpenSessionReply& reply,
             model::FdGuard staging, uint64_t staging_bytes);

  int fd(model::SessionDescriptor which) const {
    return descriptors_[static_cast<size_t>(which)].get();
  }
  // Publishes whether or not there is room, and rings.
  void submit(const model::Submission& submission);
  void submit_noop(uint64_t user_data);
  model::Completion wait_completion();
  // Fills everything it can write with bytes of this seed, and rings.
  void scribble(uint64_t seed);
  // True when the daemon marks the session closed.
  bool wait_closed();
  std::byte* control() { return control_.data(); }
  // The chain hash after `units` units, as the client claims it.
  void set_hash(uint32_t units, const model::Hash256& hash);
  std::byte* staging() { return staging_.data(); }
  uint64_t staging_bytes() const { return staging_.bytes(); }
  int staging_fd() const { return staging_fd_.get(); }
  const model::OpenSessionReply& reply() const { return reply_; }

 private:
  void ring();

  std::vector<model::FdGuard> descriptors_;
  model::OpenSessionReply reply_;
  model::FdGuard staging_fd_;
  model::Mapping control_;
  model::Mapping staging_;
  model::Mapping replies_;
  uint32_t tail_ = 0;
  uint32_t head_ = 0;
};

class RawClient {
 public:
  explicit RawClient(const std::string& socket_path);

  // Registers the layout and opens a session; those with equal staging_bytes share an area.
  RawSession open_session(const model::Layout& layout, const RawShape& shape = {});
  void send(model::FrameType type, std::string_view payload);
  // Payload of the next frame; descriptors are appended.
  std::string receive(std::vector<model::FdGuard>* descriptors = nullptr);
  int fd() const { return fd_.get(); }

 private:
  struct Staging {
    uint64_t id = 0;
    uint64_t bytes = 0;
    model::FdGuard fd;
  };
  const Staging& staging_of(uint64_t bytes);

  model::FdGuard fd_;
  std::vector<Staging> staging_;
};

}  // namespace quire::tests
