// Questions about a prefix that change nothing: positions and locate. The submission's words are
// checked here; the answers come from cache/serve. Threads: core only.
#pragma once

#include "cache/cache.h"
#include "model/ring_frames.h"
#include "server/rings/session.h"

namespace quire::server {

// kInvalidArgument: hashes or entries beyond the session's areas, no entry asked for or more than
// kMaxPositions. Entries beyond descriptor_index are the client's room, as with a load.
model::Completion answer_positions(cache::Cache& cache, Attachment& attachment,
                                   const model::Submission& submission);
model::Completion answer_locate(cache::Cache& cache, Attachment& attachment,
                                const model::Submission& submission);

}  // namespace quire::server
