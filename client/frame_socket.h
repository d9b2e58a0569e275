// Frames of model/wire.h over a non-blocking unix stream socket.
//
// 1. A frame is returned whole or not at all; a partial one waits inside for the next call, so a
//    short read loses nothing.
// 2. Descriptors belong to the frame in whose bytes they came; they close with it unless taken.
// 3. After an error from receive(), or from a send that wrote a part, the stream has no frame
//    boundary any more: the connection is over.
// Threads: one at a time.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/deadline.h"
#include "model/fd_guard.h"
#include "model/result.h"
#include "model/wire.h"

namespace quire::client {

struct Frame {
  model::FrameHeader header;
  std::string payload;
  std::vector<model::FdGuard> descriptors;  // at most kMaxDescriptorsPerFrame
  bool descriptors_lost = false;  // the kernel dropped some: this process is at its open-file limit
};

class FrameSocket {
 public:
  // kUnavailable when nobody listens, kPermissionDenied, kInvalidArgument for a path that is too
  // long, kDeadlineExceeded while the backlog stays full.
  static model::Result<FrameSocket> connect(const std::string& path, Deadline deadline);
  // Takes over a connected stream socket and makes it non-blocking.
  explicit FrameSocket(model::FdGuard fd);

  // kFrameTooLarge above kMaxFrameBytes (nothing was sent); kDeadlineExceeded, kUnavailable.
  model::Result<void> send(model::FrameType type, uint32_t sequence, std::string_view payload,
                           Deadline deadline);
  // The next frame; nullopt when none is complete at the deadline. kUnavailable after a hang-up,
  // kMalformedFrame, kUnsupportedVersion, kFrameTooLarge, kUnexpectedDescriptors.
  model::Result<std::optional<Frame>> receive(Deadline deadline);

  int fd() const { return fd_.get(); }
  // The peer sees the end at once; this side's descriptor stays, readable, until destruction.
  void shut_down();

 private:
  enum class Read { kProgress, kNothingYet };

  model::Result<std::optional<Frame>> receive_ready();
  model::Result<Read> read_some(char* target, size_t bytes, size_t& done);
  model::Result<void> accept_header();
  model::Result<void> wait_for(short events, Deadline deadline);

  model::FdGuard fd_;
  Frame partial_;
  size_t header_done_ = 0;
  size_t payload_done_ = 0;
};

}  // namespace quire::client
