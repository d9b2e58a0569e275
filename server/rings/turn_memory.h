// What the last turns asked for and were told, so that an operator can ask why later.
//
// A ring of records in fixed memory: the newest takes the oldest one's place, whosever it is. A
// record is found by its sequence number, which is never used again. What a miss was due to is
// found in the turn itself (cache/serve/miss.h), because afterwards the engine commits what it
// missed. Names are copies: roots and sessions go before their turns are asked about.
// Threads: core only. No allocation but at creation. Bounds: kMostTurns; a question looks at each.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "cache/serve/miss.h"
#include "model/hash256.h"
#include "model/ids.h"
#include "model/ring_frames.h"
#include "model/wire.h"

namespace quire::server {

struct RememberedTurn {
  uint64_t sequence = 0;    // 0: the place is free
  uint64_t request_id = 0;  // the engine's; 0: it gave none
  uint64_t session = 0;
  uint64_t conversation = 0;
  uint32_t turn = 0;
  uint32_t uid = 0;
  int64_t at_ns = 0;  // of its last match
  bool open = false;  // more may be delivered

  // Its root.
  model::WireName tenant{};  // empty in a shared namespace
  model::WireName namespace_name{};
  model::WireName salt{};
  uint64_t epoch = 0;
  model::LayoutId layout;
  uint64_t layout_digest = 0;  // a word of it: the id may be another layout's by now
  uint32_t unit_tokens = 1;
  model::RootId root;
  model::Hash256 root_hash;
  model::Hash256 first_block;  // chain hash at its end; of a prompt that has one
  uint64_t content = 0;        // likewise, whatever the root (MatchArgs::content)

  // What was asked, and said.
  uint32_t prompt_tokens = 0;
  uint32_t exact_tokens = 0;
  uint32_t span_tokens = 0;
  model::TierTokens announced{};
  cache::Miss miss;

  // What came of it.
  model::TierTokens delivered{};
  uint64_t undelivered_tokens = 0;
  bool late = false;
};

class TurnMemory {
 public:
  static constexpr uint64_t kMostTurns = 2048;

  // As many turns as fit, one at least.
  explicit TurnMemory(uint64_t bytes);

  // A fresh record in the oldest one's place.
  RememberedTurn& add();
  // Null: it was forgotten.
  RememberedTurn* find(uint64_t sequence);
  // From the newest on, until visit(const RememberedTurn&) returns true: that one. Null: none.
  template <typename Visit>
  const RememberedTurn* find_newest(Visit&& visit) const;
  size_t capacity() const { return turns_.size(); }
  uint64_t held_bytes() const { return turns_.size() * sizeof(RememberedTurn); }

 private:
  std::vector<RememberedTurn> turns_;  // by sequence % capacity
  uint64_t last_ = 0;                  // sequence of the newest; 0: none
};

template <typename Visit>
const RememberedTurn* TurnMemory::find_newest(Visit&& visit) const {
  for (uint64_t n = 0; n < turns_.size() && n < last_; ++n) {
    const RememberedTurn& turn = turns_[(last_ - n) % turns_.size()];
    if (visit(turn)) return &turn;
  }
  return nullptr;
}

}  // namespace quire::server
