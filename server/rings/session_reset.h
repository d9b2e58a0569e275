// A session goes on with another prompt: what is left is what one that was just opened has. Its
// lane, its token, who pays and what is reserved for it stay, so a prompt costs no open and close.
//
//   kBusy: other processes are in the session (they have the old prompt's hashes), or it still has
//   a lease, a fill, or a request of this process that is not answered, or another host goes by its
//   prompt. kStaleHandle: its namespace moved to a later epoch. Then nothing has changed.
//
// The turn is closed, and its receipt written. Threads: core only.
#pragma once

#include "cache/cache.h"
#include "model/result.h"
#include "model/ring_frames.h"
#include "server/rings/session.h"
#include "server/rings/turn_meter.h"

namespace quire::server {

model::Errc reset_session(cache::Cache& cache, TurnMeter& turns, Attachment& attachment,
                          const model::ResetArgs& args);

}  // namespace quire::server
