// Requests of a session from submission until their outcome was picked up: a fixed number of slots,
// found by the request id that travels as user_data.
//
//   free -> in flight -> done -> free                  outcome is all in the completion
//                          |---> held -> free          a fill or pages wait to be taken
//                          '---> settled -> free       a duplicate fill: may be taken, holds
//                          nothing
//   in flight -> free                                  discarded: the caller stopped waiting
//
// An id is slot index and generation, so an id of an earlier use of the slot finds nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "client/quire.h"
#include "model/ring_frames.h"

namespace quire::client {

enum class RequestState : uint8_t { kFree, kInFlight, kDone, kHeld, kSettled };

// Part of the staging area (bytes) or of the descriptor area (entries).
struct AreaRun {
  uint64_t offset = 0;
  uint64_t length = 0;  // 0: none
};

struct Request {
  RequestId id = 0;
  RequestState state = RequestState::kFree;
  model::Verb verb = model::Verb::kNoop;
  bool awaited = false;                            // a blocking call picks the outcome up itself
  bool discarded = false;                          // nobody will
  model::FillKind kind = model::FillKind::kSpan;   // begin_fill
  uint32_t end_tokens = 0;                         // begin_fill
  uint64_t groups = 0;                             // begin_fill
  uint64_t object = 0;                             // lease of a load, fill of a commit or abort
  uint64_t staging_offset = 0;                     // commit or abort: which part, owned by the fill
  AreaRun run;                                     // staging of a begin_fill, descriptors of a load
  uint8_t progress_slot = 0;                       // load: 1..kLoadProgressSlots while in flight
  uint32_t ready = 0;                              // load: the highest count seen in that slot
  model::LoadForm form = model::LoadForm::kPages;  // load
  uint32_t first_block = 0;                        // load
  uint32_t view_buffer = 0;                        // load: 1 + index in HeldLease::loads; 0 = none
  model::Completion completion{};
};

class RequestTable {
 public:
  explicit RequestTable(uint32_t slots);

  // A fresh request in flight; nullptr when every slot is taken. Id and verb are set.
  Request* add(model::Verb verb);
  // nullptr unless `id` is a present use of its slot.
  Request* find(RequestId id);
  // The slot is free, also when it was settled before.
  void remove(Request& request);
  // The slot may be reused, but until then find() still knows it.
  void settle(Request& request);

  // Requests done and waiting for poll_completions, oldest first.
  void push_ready(const Request& request);
  Request* pop_ready();
  bool has_ready() const { return ready_.size() != 0; }
  std::vector<Request>& slots() { return slots_; }

 private:
  // Slot indexes first in, first out; each index at most once, so it never overflows.
  class SlotQueue {
   public:
    explicit SlotQueue(uint32_t slots) : entries_(slots) {}
    void push(uint32_t index) { entries_[(head_ + size_++) % entries_.size()] = index; }
    uint32_t pop();
    uint32_t size() const { return size_; }

   private:
    std::vector<uint32_t> entries_;
    uint32_t head_ = 0;
    uint32_t size_ = 0;
  };
  static uint32_t index_of(const Request& request) { return static_cast<uint32_t>(request.id); }

  std::vector<Request> slots_;
  SlotQueue free_;
  SlotQueue ready_;
};

}  // namespace quire::client
