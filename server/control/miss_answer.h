// What is said of a remembered turn: the one reason why its hit went no further, and the facts.
//
// What the turn itself found out (cache/serve/miss.h) comes first. Of content that was never stored
// under its root it is then asked whether an earlier turn had the same under another one: another
// epoch, salt or tenant. Only turns are compared that the asker may see, so nobody learns what
// others stored. Threads: core only; a question looks at each remembered turn once.
#pragma once

#include <cstdint>
#include <string_view>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "server/rings/turn_memory.h"

namespace quire::server {

// In the place of a sequence: what is explained is no turn, but a prompt that was asked about now.
inline constexpr uint64_t kNoTurn = UINT64_MAX;

struct MissAnswerParts {
  cache::Cache* cache = nullptr;
  const TurnMemory* memory = nullptr;  // null: turns are not remembered
  const model::Clock* clock = nullptr;
};

// Whose turns count for the answer.
struct Asker {
  uint32_t uid = 0;
  bool sees_all = false;

  bool may_see(const RememberedTurn& turn) const { return sees_all || turn.uid == uid; }
};

void describe_miss(const MissAnswerParts& parts, const RememberedTurn& turn, const Asker& asker,
                   model::MetricSink& sink);

}  // namespace quire::server
