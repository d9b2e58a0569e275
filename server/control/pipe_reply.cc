#include "server/control/pipe_reply.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

namespace quire::server {

namespace {

// What Linux lets anyone have. A reader that is late for some milliseconds costs nothing then.
constexpr int kPipeBytes = 1 << 20;

}  // namespace

model::Result<PipeReply> PipeReply::create() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return model::errno_error("pipe2");
  model::FdGuard read_end(ends[0]);
  model::FdGuard write_end(ends[1]);
  // Of this end alone: how the reader waits is its own affair.
  if (::fcntl(write_end.get(), F_SETFL, O_NONBLOCK) != 0) return model::errno_error("fcntl");
  // Where the user's pipes have used up their pages it stays as it is, and is only smaller.
  (void)::fcntl(write_end.get(), F_SETPIPE_SZ, kPipeBytes);
  return PipeReply(std::move(read_end), std::move(write_end));
}

void PipeReply::send(const VerbCall& call, std::string_view bytes) {
  const std::array descriptors{read_end_.get()};
  call.reply(bytes, descriptors);
  // A read end here would hide from the writer that the client has gone.
  read_end_.reset();
}

}  // namespace quire::server
