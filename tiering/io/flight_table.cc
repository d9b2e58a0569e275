#include "tiering/io/flight_table.h"

#include <algorithm>
#include <cerrno>

#include "model/check.h"

namespace quire::tiering {
namespace {

bool moves_bytes(const IoOp& op) { return op.kind == IoKind::kRead || op.kind == IoKind::kWrite; }

}  // namespace

FlightTable::FlightTable(uint32_t places) : places_(places) {
  free_.reserve(places);
  for (uint32_t place = places; place > 0; --place) free_.push_back(place - 1);
}

uint64_t FlightTable::add(IoOp* op) {
  QUIRE_CHECK(!full());
  Place& place = places_[free_.back()];
  free_.pop_back();
  place.op = op;
  place.retries = 0;
  return next_id(&place);
}

FlightTable::Outcome FlightTable::complete(uint64_t id, int64_t result) {
  Place* place = find(id);
  if (place == nullptr) return {};
  if (result < 0) {
    const int error = static_cast<int>(-result);
    const bool passing = error == EINTR || error == EAGAIN;
    if (!passing || place->retries == kMaxRetries) return finish(place, error, 0);
    ++place->retries;
    return {Verdict::kRetry, place->op, next_id(place)};
  }
  if (!moves_bytes(*place->op)) return finish(place, 0, 0);
  // More than asked for cannot be; it is no success either.
  const uint64_t moved = std::min(static_cast<uint64_t>(result), place->op->bytes);
  const bool whole = static_cast<uint64_t>(result) == place->op->bytes;
  return finish(place, whole ? 0 : ENODATA, moved);
}

FlightTable::Outcome FlightTable::fail(uint64_t id, int error) {
  Place* place = find(id);
  return place == nullptr ? Outcome{} : finish(place, error, 0);
}

FlightTable::Place* FlightTable::find(uint64_t id) {
  const uint64_t index = id & UINT32_MAX;
  Place* place = index < places_.size() ? &places_[index] : nullptr;
  if (place != nullptr && place->op != nullptr && place->generation == id >> 32) return place;
  ++stale_count_;
  return nullptr;
}

FlightTable::Outcome FlightTable::finish(Place* place, int error, uint64_t transferred) {
  IoOp* op = place->op;
  op->error = error;
  op->transferred = transferred;
  place->op = nullptr;
  free_.push_back(static_cast<uint32_t>(place - places_.data()));
  return {Verdict::kDone, op, 0};
}

uint64_t FlightTable::next_id(Place* place) {
  ++place->generation;
  return uint64_t{place->generation} << 32 | static_cast<uint64_t>(place - places_.data());
}

}  // namespace quire::tiering
