// The verb by which operators record what is asked for (server/runtime/trace_recorder.h): answered
// by a pipe. A recording is a line of the log, with who began it, and ends with its connection.
// Threads: core only.
#pragma once

#include "model/result.h"
#include "server/control/verb_call.h"
#include "server/runtime/trace_recorder.h"

namespace quire::server {

class TraceVerbs {
 public:
  explicit TraceVerbs(TraceRecorder* recorder) : recorder_(recorder) {}

  // kInvalidArgument: no such user. kBusy: too many recordings.
  model::Result<void> trace(const VerbCall& call);
  void forget(const Connection& connection) { recorder_->forget(&connection); }

 private:
  TraceRecorder* recorder_;
};

}  // namespace quire::server
