#include "client/request_table.h"

#include "model/check.h"

namespace quire::client {

RequestTable::RequestTable(uint32_t slots) : slots_(slots), free_(slots), ready_(slots) {
  for (uint32_t i = 0; i < slots; ++i) {
    slots_[i].id = i;
    free_.push(i);
  }
}

uint32_t RequestTable::SlotQueue::pop() {
  QUIRE_CHECK(size_ > 0);
  const uint32_t index = entries_[head_];
  head_ = static_cast<uint32_t>((head_ + 1) % entries_.size());
  --size_;
  return index;
}

Request* RequestTable::add(model::Verb verb) {
  if (free_.size() == 0) return nullptr;
  Request& request = slots_[free_.pop()];
  // Generation in the upper half, from 1 on: an id is never 0.
  const RequestId next = request.id + (RequestId{1} << 32);
  request = Request{};
  request.id = next;
  request.state = RequestState::kInFlight;
  request.verb = verb;
  return &request;
}

// Ids come back through the daemon and from callers: old and made-up ones find nothing.
Request* RequestTable::find(RequestId id) {
  const uint32_t index = static_cast<uint32_t>(id);
  if (index >= slots_.size()) return nullptr;
  Request& request = slots_[index];
  return request.id == id && request.state != RequestState::kFree ? &request : nullptr;
}

void RequestTable::remove(Request& request) {
  QUIRE_CHECK(request.state != RequestState::kFree);
  const bool listed = request.state == RequestState::kSettled;  // is in the free list already
  request.state = RequestState::kFree;
  if (!listed) free_.push(index_of(request));
}

void RequestTable::settle(Request& request) {
  QUIRE_CHECK(request.state == RequestState::kDone);
  request.state = RequestState::kSettled;
  // To the end of the queue: it stays known for as long as others are free.
  free_.push(index_of(request));
}

void RequestTable::push_ready(const Request& request) { ready_.push(index_of(request)); }

Request* RequestTable::pop_ready() { return has_ready() ? &slots_[ready_.pop()] : nullptr; }

}  // namespace quire::client
