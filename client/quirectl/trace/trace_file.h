// A trace of requests as a file of JSON Lines, as Mooncake publishes its own: one object a line,
// in the order of time.
//
//   {"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [0, 1, 2, 46]}
//
// timestamp: ms since the trace began. hash_ids: one number a block of the prompt; an id stands for
// the block and all before it, so it always has the same predecessor. What a recording of Quire's
// says beyond that stands behind these and may be left out: block_tokens (512 if it does not say),
// output_hash_ids (blocks that the request wrote behind its prompt), hit_tokens, conversation,
// tenant (numbers of this trace), cut_blocks (of the prompt, behind the last id), lost_before
// (records that came before this one and are not here).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace quire::client {

inline constexpr uint32_t kMooncakeBlockTokens = 512;

struct TraceLine {
  int64_t timestamp_ms = 0;
  uint32_t input_tokens = 0;
  uint32_t output_tokens = 0;
  uint32_t block_tokens = kMooncakeBlockTokens;
  std::vector<uint32_t> ids;
  std::vector<uint32_t> output_ids;
  uint32_t hit_tokens = 0;
  uint32_t conversation = 0;  // 0: it does not say
  uint32_t tenant = 0;        // likewise
  uint32_t cut_blocks = 0;
  uint64_t lost_before = 0;
};

// kInvalidArgument: it is no request. Says what is wrong, not where.
model::Result<TraceLine> parse_trace_line(std::string_view text);
// With the line's end.
std::string to_text(const TraceLine& line);

// Calls `visit` for each request of a file, or of a .zst (by zstd), in its order, until that
// answers false. Empty lines are none. kIoError: it cannot be read. kInvalidArgument names file and
// line: it is no request; or the file holds none.
model::Result<void> for_each_trace_line(const std::string& path,
                                        const std::function<bool(TraceLine line)>& visit);

}  // namespace quire::client
