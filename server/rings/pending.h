// Requests that were taken from a ring and are not answered yet (DESIGN section 12.4): one record
// each, found by its deadline, by its attachment and by what it waits for. Nothing is retried: an
// event makes a record ready, and its attachment's next turn goes on with it.
//
//   add --> queue of its verb --ready, handled--> end, exactly once
//              \-- its copy or load started --> under way --> end
//
// 1. Of a ring's requests of one verb the first waits for something, and those behind it for their
//    turn: they are answered in order. Other verbs go on, above all what frees memory.
// 2. Under way are commits and loads: they hold up nothing. Such a record may outlive its
//    attachment, since the object that is written may serve others (detach).
// 3. One heap holds every deadline that this table has to keep. A copy has none: it ends by itself.
//    What a tier brings has one of its own there (tiering/loads.h): what came by then is delivered.
//    A search has the earlier of two, and its request is answered then, with what is known.
//
// Bounds: max_count records; a domain keeps no more waiting than it leaves free. Attachments and
// sessions are not looked into, only handed back. Threads: core only. No allocation per request.
#pragma once

#include <array>
#include <cstdint>

#include "allocator/flat_array.h"
#include "cache/fill/fill_table.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/ring_frames.h"
#include "server/rings/deadline_heap.h"

namespace quire::server {

class Attachment;
struct Session;

enum class WaitsFor : uint8_t {
  kTurn,     // nothing: goes on with the attachment's next turn
  kBehind,   // one of its verb, which came before it
  kMemory,   // of a fill that reserves
  kCopyJob,  // of its domain
  kCopy,     // under way on the copy workers
  kParent,   // of a sealed fill
  kTier,     // under way from a lower tier, or being delivered in pieces
  kCheck,    // under way on the copy workers: its pages, before they are delivered
  kSearch,   // of a match: what a tier says that it holds of the prompt
};
inline constexpr size_t kWaitKinds = 9;

struct Wait {
  WaitsFor what = WaitsFor::kTurn;
  model::FillId fill;            // kMemory, kParent
  int64_t until_ns = INT64_MAX;  // kSearch: it waits no longer, whatever its deadline
};

using PendingId = model::Id<struct PendingTag, uint64_t>;  // carries a generation

struct PendingRequest {
  Attachment* attachment = nullptr;  // null: it ended, nobody is told
  Session* session = nullptr;        // stays as long as its fills
  model::DomainId domain;
  int64_t deadline_ns = kNoDeadline;
  int64_t taken_ns = 0;  // RequestTimes::turn_ns()
  model::Submission submission;
};

// An attachment's: its records, in order. Zero at first; the table's to change.
struct PendingLists {
  struct List {
    uint32_t first = 0;  // index + 1
    uint32_t last = 0;
  };
  std::array<List, model::kVerbCount> queues{};
  List under_way;
  uint32_t ready_verbs = 0;  // bit v: the first of verb v may go on
  uint32_t next_verb = 0;    // whose turn it is, so that none is always the last

  bool is_waiting(uint16_t verb) const { return queues[verb].first != 0; }
};

class PendingTable {
 public:
  static constexpr uint32_t kMaxPending = 1 << 18;
  // kResourceExhausted: no address space. Memory follows the most that waited at a time.
  static model::Result<PendingTable> create(uint32_t max_count = kMaxPending);

  // For one more that waits, of this domain.
  bool has_room(model::DomainId domain) const {
    return by_domain_[domain.value] + count_ < max_count_ / 2;  // the rest is for what must wait
  }
  // Not even for what cannot be refused: nothing may be taken from a ring.
  bool is_full() const { return count_ == max_count_; }

  // Under way (kCopy, kParent, kTier, kCheck), or behind those of its verb, and it waits for `wait`
  // if it is the first of them. Precondition: not full.
  PendingId add(PendingLists& lists, const PendingRequest& request, const Wait& wait);
  // The first of its verb goes on waiting, for something else maybe. What waits for the same thing
  // keeps its place. It may be under way from now on.
  void wait(PendingId id, const Wait& wait);
  // It will come to its end in some turns, as it would have done in one.
  void drop_deadline(PendingId id);
  // Nor do those of its verb that it is behind. Precondition: waits in the queue of its verb.
  void drop_deadlines_to(PendingId id);
  // What it waited for may be there. Precondition: the first of its verb.
  void make_ready(PendingId id);
  // Answered. The next one of its verb is ready now.
  PendingRequest end(PendingId id);
  // Its attachment ends, and it goes on without. Precondition: under way.
  void detach(PendingId id);

  // Of ready_verbs; it is not ready any more.
  PendingId take_ready(PendingLists& lists, uint16_t verb);
  // Any of them; invalid: none is left.
  PendingId first_of(const PendingLists& lists) const;
  // The first of its verb; invalid: none waits.
  PendingId front(const PendingLists& lists, uint16_t verb) const {
    return id_of(lists.queues[verb].first);
  }
  // The first that waits for this, in order of arrival; invalid: none.
  PendingId first_for(model::FillId fill) const;
  PendingId first_for_copy_job(model::DomainId domain) const;
  // Its deadline passed, and earlier than others'; invalid: none did.
  PendingId due(int64_t now_ns) const;
  // kNoDeadline: none is kept.
  int64_t next_deadline_ns() const { return deadlines_.earliest_ns(); }

  // False for an id whose request was answered, however old it is.
  bool is_live(PendingId id) const;
  // Precondition of this and the next two: live.
  bool is_under_way(PendingId id) const;
  const PendingRequest& request(PendingId id) const { return at(id).request; }
  const Wait& waits(PendingId id) const { return at(id).wait; }
  uint32_t count() const { return count_; }
  uint32_t count(WaitsFor what) const { return by_kind_[static_cast<size_t>(what)]; }
  void check_invariants(const PendingLists& lists) const;

 private:
  using List = PendingLists::List;
  struct Links {
    uint32_t previous;  // index + 1
    uint32_t next;
  };
  struct Record {
    PendingRequest request;
    Wait wait;
    PendingLists* lists;  // null: detached, or free
    Links of_attachment;
    Links of_event;
    uint32_t generation;  // odd while in use
    uint32_t next_free;   // index + 1
  };
  Record& at(PendingId id);
  const Record& at(PendingId id) const;
  PendingId id_of(uint32_t plus_one) const;
  uint32_t take_free();
  List* list_of(Record& record);
  List* event_of(const Record& record);
  template <Links Record::*links>
  void append(List& list, uint32_t index);
  template <Links Record::*links>
  void unlink(List& list, uint32_t index);
  static int64_t deadline_of(const Record& record);
  void begin_wait(uint32_t index, const Wait& wait);
  void end_wait(uint32_t index);
  void leave_list(uint32_t index);

  uint32_t max_count_ = 0;
  allocator::FlatArray<Record> records_;
  allocator::FlatArray<List> of_fill_;              // by the fill's index
  std::array<List, cache::kMaxDomains> of_jobs_{};  // by domain
  DeadlineHeap deadlines_;
  std::array<uint32_t, cache::kMaxDomains> by_domain_{};
  std::array<uint32_t, kWaitKinds> by_kind_{};
  uint32_t free_head_ = 0;  // index + 1
  uint32_t used_end_ = 0;
  uint32_t count_ = 0;
};

}  // namespace quire::server
