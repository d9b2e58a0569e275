#include "tests/support/faulty_engine.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "model/check.h"

namespace quire::tests {
namespace {

using tiering::IoKind;
using tiering::IoOp;

bool moves_bytes(const IoOp& op) { return op.kind == IoKind::kRead || op.kind == IoKind::kWrite; }

void watch(int set, int fd) {
  epoll_event event = {};
  event.events = EPOLLIN;
  QUIRE_CHECK(::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
}

// Takes a random element out.
template <typename T>
T take_any(std::vector<T>& from, std::mt19937_64& random) {
  std::swap(from[random() % from.size()], from.back());
  T taken = from.back();
  from.pop_back();
  return taken;
}

}  // namespace

FaultyEngine::FaultyEngine(std::unique_ptr<tiering::IoEngine> inner, uint64_t seed)
    : random_(seed),
      flights_(inner->queue_depth()),
      own_wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      wake_set_(::epoll_create1(EPOLL_CLOEXEC)),
      inner_(std::move(inner)) {
  QUIRE_CHECK(own_wake_.valid() && wake_set_.valid());
  watch(wake_set_.get(), own_wake_.get());
  watch(wake_set_.get(), inner_->wake_fd());
  for (Flight& flight : flights_) free_.push_back(&flight);
}

bool FaultyEngine::submit(IoOp* op) {
  if (free_.empty()) {
    ++refused_[static_cast<size_t>(op->kind)];
    return false;
  }
  Flight* flight = free_.back();
  free_.pop_back();
  op->error = 0;
  op->transferred = 0;
  *flight = Flight{.inner = *op, .outer = op};
  flight->inner.tag = static_cast<uint64_t>(flight - flights_.data());
  queued_.push_back(flight);
  ++in_flight_;
  return true;
}

void FaultyEngine::flush() {
  for (Flight* flight : std::exchange(queued_, {})) {
    if (hook_) {
      inner_->flush();
      hook_(*flight->outer, next_index_);
    }
    go_on(flight);
  }
  inner_->flush();
  update_wake();
}

void FaultyEngine::go_on(Flight* flight) {
  const IoKind kind = flight->inner.kind;
  flight->index = next_index_++;
  ++counts_[static_cast<size_t>(kind)];
  flight->has_fault = choose_fault(kind, &flight->fault);
  if (flight->has_fault) ++faults_acted_;
  if (flight->has(FaultAction::kFail)) {
    flight->inner.error = flight->fault.error;
    finish(flight);
  } else if (flight->has(FaultAction::kDelay)) {
    delayed_.push_back(flight);
  } else if (!flight->has(FaultAction::kHang)) {
    forward(flight);
  }
}

// Every fault counts every operation of its kinds, whichever of them acts.
bool FaultyEngine::choose_fault(IoKind kind, Fault* chosen) {
  bool found = false;
  for (CountedFault& counted : faults_) {
    const Fault& fault = counted.fault;
    if ((fault.kinds & mask_of(kind)) == 0) continue;
    const uint64_t index = counted.matched++;
    const bool acts = fault.from_then_on ? index >= fault.nth : index == fault.nth;
    if (!acts || found) continue;
    *chosen = fault;
    found = true;
  }
  return found;
}

void FaultyEngine::forward(Flight* flight) {
  if (flight->has(FaultAction::kShorten) && moves_bytes(flight->inner)) {
    flight->inner.bytes = std::min(flight->fault.amount, flight->inner.bytes);
    if (flight->inner.bytes == 0) return finish(flight);
  }
  QUIRE_CHECK(inner_->submit(&flight->inner));
}

void FaultyEngine::collect() {
  std::array<IoOp*, 64> done;
  for (size_t count = done.size(); count == done.size();) {
    count = inner_->poll(done);
    for (size_t i = 0; i < count; ++i) finish(&flights_[done[i]->tag]);
  }
}

// Writes the result to the submitter's operation; from here on nothing but telling is left.
void FaultyEngine::finish(Flight* flight) {
  IoOp& op = *flight->outer;
  op.error = flight->inner.error;
  op.transferred = flight->inner.transferred;
  if (op.error == 0 && moves_bytes(op) && op.transferred < op.bytes) op.error = ENODATA;
  if (op.kind == IoKind::kRead && op.data != nullptr) {
    if (op.error != 0) {
      std::fill(op.data + op.transferred, op.data + op.bytes, kPoison);
    } else if (flight->has(FaultAction::kFlipBit)) {
      const uint64_t bit = flight->fault.amount;
      QUIRE_CHECK(bit / 8 < op.bytes);
      op.data[bit / 8] ^= std::byte{1} << (bit % 8);
    }
  }
  if (hold_all_ || flight->has(FaultAction::kHold)) {
    held_.push_back(flight);
  } else {
    ready_.push_back(flight);
  }
}

void FaultyEngine::release_held(size_t count) {
  collect();
  for (size_t i = 0; i < count && held_count() > 0; ++i) {
    if (random_() % held_count() < held_.size()) {
      ready_.push_back(take_any(held_, random_));
    } else {
      forward(take_any(delayed_, random_));
    }
  }
  inner_->flush();
  update_wake();
}

void FaultyEngine::release_oldest() {
  collect();
  const auto oldest =
      std::ranges::min_element(held_, {}, [](const Flight* flight) { return flight->index; });
  if (oldest != held_.end()) {
    ready_.push_back(*oldest);
    held_.erase(oldest);
  }
  update_wake();
}

size_t FaultyEngine::poll(std::span<IoOp*> done) {
  collect();
  const size_t count = std::min(done.size(), ready_.size());
  for (size_t i = 0; i < count; ++i) {
    done[i] = ready_[i]->outer;
    free_.push_back(ready_[i]);
  }
  ready_.erase(ready_.begin(), ready_.begin() + static_cast<ptrdiff_t>(count));
  in_flight_ -= count;
  update_wake();
  return count;
}

void FaultyEngine::update_wake() {
  eventfd_t ignored = 0;
  if (ready_.empty()) {
    ::eventfd_read(own_wake_.get(), &ignored);
  } else {
    QUIRE_CHECK(::eventfd_write(own_wake_.get(), 1) == 0);
  }
}

}  // namespace quire::tests
