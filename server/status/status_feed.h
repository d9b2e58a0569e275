// The whole status for a reader that is no client: another thread of the daemon asks, the core
// fills a tape in bounded steps of its turns (StatusDesk), and the thread prints it itself.
//
//   reader: ask() --kAsked--> core: StatusDesk fills tape() --kFilled--> reader: reads tape() ...
//
// One tape, which the state gives to one of the two: from ask() to filled() it is the core's, else
// the reader's. So the core never waits, takes no lock and, once the tape has grown, allocates
// nothing; a reader that is slow has an old tape and costs nobody anything.
//
// Pairing: ask() stores kAsked (seq_cst) before it looks whether the core sleeps, which the core
// says (seq_cst) before it looks for kAsked: one sees the other. filled() stores kFilled (release)
// after the last write to the tape; the reader loads it (acquire) before it reads any.
//
// It also says when the core turned last, which needs no answer of it. Threads: as each function
// says. Lifetime: it outlives core and reader.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "model/fd_guard.h"
#include "model/result.h"
#include "server/runtime/event_loop.h"
#include "server/status/metric_tape.h"

namespace quire::server {

class StatusFeed {
 public:
  // `waker`: of the core; outlives the feed. kIoError, kResourceExhausted.
  static model::Result<std::unique_ptr<StatusFeed>> create(Waker* waker);

  // --- reader: one thread ---
  // The next one, of a time after this call. Precondition: is_readers().
  void ask();
  // The tape is the reader's: nothing was asked, or the answer is there.
  bool is_readers() const { return state_.load(std::memory_order_acquire) != State::kAsked; }
  // Becomes readable with each answer; read it to empty it.
  int filled_fd() const { return filled_event_.get(); }
  // Of the turn that the core began last, on the daemon's clock; 0: none yet. Any thread.
  int64_t turned_ns() const { return turned_ns_.load(std::memory_order_relaxed); }

  // --- core ---
  bool is_asked() const { return state_.load(std::memory_order_seq_cst) == State::kAsked; }
  // The tape goes back to the reader. Precondition: is_asked().
  void filled();
  void note_turn(int64_t now_ns) { turned_ns_.store(now_ns, std::memory_order_relaxed); }

  // --- whose it is ---
  MetricTape& tape() { return tape_; }

 private:
  enum class State : uint8_t { kIdle, kAsked, kFilled };

  StatusFeed(Waker* waker, model::FdGuard filled_event)
      : waker_(waker), filled_event_(std::move(filled_event)) {}

  Waker* waker_;
  model::FdGuard filled_event_;  // eventfd: the core writes, the reader reads
  MetricTape tape_;
  std::atomic<State> state_{State::kIdle};
  alignas(64) std::atomic<int64_t> turned_ns_{0};  // written each turn: in a line of its own
};

}  // namespace quire::server
