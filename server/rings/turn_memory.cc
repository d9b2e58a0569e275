#include "server/rings/turn_memory.h"

#include <algorithm>

namespace quire::server {

TurnMemory::TurnMemory(uint64_t bytes)
    : turns_(std::clamp<uint64_t>(bytes / sizeof(RememberedTurn), 1, kMostTurns)) {}

RememberedTurn& TurnMemory::add() {
  ++last_;
  RememberedTurn& turn = turns_[last_ % turns_.size()];
  turn = RememberedTurn{};
  turn.sequence = last_;
  return turn;
}

RememberedTurn* TurnMemory::find(uint64_t sequence) {
  RememberedTurn& turn = turns_[sequence % turns_.size()];
  return sequence != 0 && turn.sequence == sequence ? &turn : nullptr;
}

}  // namespace quire::server
