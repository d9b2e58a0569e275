// Completions as every verb starts them.
#pragma once

#include <cstdint>

#include "model/result.h"
#include "model/ring_frames.h"

namespace quire::server {

// All other words are zero: nothing of the daemon's memory reaches a client.
inline model::Completion reply_to(uint64_t user_data, model::Verb verb, model::Errc code) {
  model::Completion completion{};
  completion.user_data = user_data;
  completion.code = static_cast<int32_t>(code);
  completion.verb = static_cast<uint16_t>(verb);
  return completion;
}

inline model::Completion reply_to(const model::Submission& submission,
                                  model::Errc code = model::Errc::kOk) {
  return reply_to(submission.user_data, static_cast<model::Verb>(submission.verb), code);
}

}  // namespace quire::server
