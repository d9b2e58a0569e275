// The verb by which operators and billing pipelines read the ledger: blocks, or sums by minute and
// hour, through a pipe (model/receipts/ledger_stream.h). What they make of it is theirs.
// Threads: core only.
#pragma once

#include "model/result.h"
#include "server/control/verb_call.h"
#include "server/metering/ledger.h"

namespace quire::server {

class MeterVerbs {
 public:
  // Null: receipts are not kept.
  explicit MeterVerbs(Ledger* ledger) : ledger_(ledger) {}

  // MeterRequest; a ReplyStatus with the pipe's read end. kInvalidArgument: no such thing is kept.
  // kNotFound: there is no ledger. kBusy: it has as many readers as it serves.
  model::Result<void> meter(const VerbCall& call);

 private:
  Ledger* ledger_;
};

}  // namespace quire::server
