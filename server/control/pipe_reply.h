// A verb that answers with a pipe: what it has to tell is longer than a frame, or goes on for a
// while. Its reply is a frame as any other and carries one descriptor, the pipe's read end.
//
//   verb:    PipeReply::create --> take_writer() to a helper thread (runtime/pipe_writer.h)
//            send(): the reply with the read end, which the daemon keeps no longer
//   client:  Attachment::call --> take_pipe (client/reply_pipe.h) --> reads until its end
//
// The writer is handed over before the reply goes out, so that a verb may still refuse. The write
// end never blocks, whatever the reader does with its own end. Threads: core only.
#pragma once

#include <string_view>

#include "model/fd_guard.h"
#include "model/result.h"
#include "server/control/verb_call.h"

namespace quire::server {

class PipeReply {
 public:
  // kResourceExhausted, kIoError: no descriptors are left.
  static model::Result<PipeReply> create();

  // Non-blocking; once.
  model::FdGuard take_writer() { return std::move(write_end_); }
  // The verb's answer: `bytes` begin with a ReplyStatus. May end the connection. A frame that has
  // to wait keeps a read end of its own until it is sent or the connection ends.
  void send(const VerbCall& call, std::string_view bytes);

 private:
  PipeReply(model::FdGuard read_end, model::FdGuard write_end)
      : read_end_(std::move(read_end)), write_end_(std::move(write_end)) {}

  model::FdGuard read_end_;
  model::FdGuard write_end_;
};

}  // namespace quire::server
