#include "cache/fill_table.h"

namespace quire::cache {

using model::Errc;
using model::FillId;

namespace {
uint32_t index_of(FillId id) { return static_cast<uint32_t>(id.value); }
uint32_t generation_of(FillId id) { return static_cast<uint32_t>(id.value >> 32); }
}  // namespace

model::Result<FillTable> FillTable::create() {
  FillTable table;
  table.fills_ = QUIRE_TRY(allocator::FlatArray<Fill>::reserve(kMaxFills));
  return table;
}

model::Result<FillId> FillTable::add(CacheSession& session) {
  if (session.fill_count >= kMaxFillsPerSession || count_ >= kMaxFills) {
    return model::make_error(Errc::kBusy, "too many fills are open; commit or abort some");
  }
  uint32_t index = used_end_;
  if (free_head_ != 0) {
    index = free_head_ - 1;
    free_head_ = fills_[index].next;
  } else {
    ++used_end_;
  }
  Fill& fill = fills_[index];
  const uint32_t generation = fill.generation + 1;
  fill = Fill{};
  fill.generation = generation;
  fill.session = &session;
  fill.state = FillState::kOpen;
  fill.next = session.first_fill;
  if (session.first_fill != 0) fills_[session.first_fill - 1].previous = index + 1;
  session.first_fill = index + 1;
  ++session.fill_count;
  ++count_;
  return id_of(fill);
}

Fill* FillTable::find(FillId id, const CacheSession& session) {
  const uint32_t index = index_of(id);
  if (index >= used_end_) return nullptr;
  Fill& fill = fills_[index];
  const bool live = (fill.generation & 1) != 0 && fill.generation == generation_of(id);
  return live && fill.session == &session ? &fill : nullptr;
}

Fill& FillTable::at(FillId id) {
  Fill& fill = fills_[index_of(id)];
  QUIRE_CHECK(fill.generation == generation_of(id));
  return fill;
}

FillId FillTable::id_of(const Fill& fill) const {
  const uint64_t index = static_cast<uint64_t>(&fill - fills_.data());
  return FillId{uint64_t{fill.generation} << 32 | index};
}

void FillTable::remove(FillId id) {
  Fill& fill = at(id);
  CacheSession& session = *fill.session;
  if (fill.previous != 0) {
    fills_[fill.previous - 1].next = fill.next;
  } else {
    session.first_fill = fill.next;
  }
  if (fill.next != 0) fills_[fill.next - 1].previous = fill.previous;
  --session.fill_count;
  ++fill.generation;
  fill.state = FillState::kFree;
  fill.session = nullptr;
  fill.previous = 0;
  fill.next = free_head_;
  free_head_ = index_of(id) + 1;
  --count_;
}

Fill* FillTable::first(const CacheSession& session) {
  return session.first_fill == 0 ? nullptr : &fills_[session.first_fill - 1];
}

Fill* FillTable::next(const Fill& fill) {
  return fill.next == 0 ? nullptr : &fills_[fill.next - 1];
}

}  // namespace quire::cache
