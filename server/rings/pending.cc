#include "server/rings/pending.h"

#include <algorithm>

#include "model/check.h"

namespace quire::server {

using model::DomainId;
using model::FillId;

namespace {

uint32_t index_of(FillId fill) { return static_cast<uint32_t>(fill.value); }
uint32_t index_of(PendingId id) { return static_cast<uint32_t>(id.value); }

// Whose time may be over. Who has its turn anyway, or is copied, ends by itself.
bool keeps_deadline(WaitsFor what) {
  return what == WaitsFor::kBehind || what == WaitsFor::kMemory || what == WaitsFor::kCopyJob ||
         what == WaitsFor::kParent || what == WaitsFor::kSearch;
}
bool is_of_queue(WaitsFor what) {
  return what == WaitsFor::kTurn || what == WaitsFor::kBehind || what == WaitsFor::kMemory ||
         what == WaitsFor::kCopyJob || what == WaitsFor::kSearch;
}

}  // namespace

model::Result<PendingTable> PendingTable::create(uint32_t max_count) {
  constexpr auto kSmall = allocator::ReservedMemory::Pages::kSmall;
  PendingTable table;
  table.max_count_ = max_count;
  table.records_ = QUIRE_TRY(allocator::FlatArray<Record>::reserve(max_count, kSmall));
  table.of_fill_ = QUIRE_TRY(allocator::FlatArray<List>::reserve(cache::kMaxFills, kSmall));
  table.deadlines_ = QUIRE_TRY(DeadlineHeap::create(max_count));
  return table;
}

PendingTable::Record& PendingTable::at(PendingId id) {
  QUIRE_CHECK(is_live(id));
  return records_[index_of(id)];
}

const PendingTable::Record& PendingTable::at(PendingId id) const {
  QUIRE_CHECK(is_live(id));
  return records_[index_of(id)];
}

bool PendingTable::is_live(PendingId id) const {
  // The tiers and workers name records long after these ended: the generation says so.
  if (!id.valid() || index_of(id) >= used_end_) return false;
  return records_[index_of(id)].generation == static_cast<uint32_t>(id.value >> 32);
}

bool PendingTable::is_under_way(PendingId id) const { return !is_of_queue(at(id).wait.what); }

PendingId PendingTable::id_of(uint32_t plus_one) const {
  if (plus_one == 0) return {};
  return PendingId{uint64_t{records_[plus_one - 1].generation} << 32 | (plus_one - 1)};
}

template <PendingTable::Links PendingTable::Record::*links>
void PendingTable::append(List& list, uint32_t index) {
  records_[index].*links = {.previous = list.last, .next = 0};
  (list.last == 0 ? list.first : (records_[list.last - 1].*links).next) = index + 1;
  list.last = index + 1;
}

template <PendingTable::Links PendingTable::Record::*links>
void PendingTable::unlink(List& list, uint32_t index) {
  const Links& at = records_[index].*links;
  (at.previous == 0 ? list.first : (records_[at.previous - 1].*links).next) = at.next;
  (at.next == 0 ? list.last : (records_[at.next - 1].*links).previous) = at.previous;
  records_[index].*links = {};
}

PendingTable::List* PendingTable::list_of(Record& record) {
  if (record.lists == nullptr) return nullptr;
  if (is_of_queue(record.wait.what)) {
    return &record.lists->queues[record.request.submission.verb];
  }
  return &record.lists->under_way;
}

// Those that one event wakes, or that end together.
PendingTable::List* PendingTable::event_of(const Record& record) {
  switch (record.wait.what) {
    case WaitsFor::kMemory:
    case WaitsFor::kParent:
      return &of_fill_[index_of(record.wait.fill)];
    case WaitsFor::kCopyJob:
      return &of_jobs_[record.request.domain.value];
    case WaitsFor::kTurn:
    case WaitsFor::kBehind:
    case WaitsFor::kCopy:
    case WaitsFor::kTier:
    case WaitsFor::kCheck:
    case WaitsFor::kSearch:
      return nullptr;
  }
  return nullptr;
}

// kNoDeadline: the table keeps none for it.
int64_t PendingTable::deadline_of(const Record& record) {
  if (!keeps_deadline(record.wait.what)) return kNoDeadline;
  const bool searches = record.wait.what == WaitsFor::kSearch;
  return searches ? std::min(record.request.deadline_ns, record.wait.until_ns)
                  : record.request.deadline_ns;
}

void PendingTable::begin_wait(uint32_t index, const Wait& wait) {
  Record& record = records_[index];
  record.wait = wait;
  ++by_kind_[static_cast<size_t>(wait.what)];
  if (List* event = event_of(record); event != nullptr) append<&Record::of_event>(*event, index);
  if (const int64_t deadline = deadline_of(record); deadline != kNoDeadline) {
    deadlines_.add(index, deadline);
  }
  if (wait.what == WaitsFor::kTurn) {
    record.lists->ready_verbs |= 1u << record.request.submission.verb;
  }
}

void PendingTable::end_wait(uint32_t index) {
  Record& record = records_[index];
  --by_kind_[static_cast<size_t>(record.wait.what)];
  if (List* event = event_of(record); event != nullptr) unlink<&Record::of_event>(*event, index);
  deadlines_.remove(index);
}

uint32_t PendingTable::take_free() {
  if (free_head_ == 0) return used_end_++;
  const uint32_t index = free_head_ - 1;
  free_head_ = records_[index].next_free;
  return index;
}

PendingId PendingTable::add(PendingLists& lists, const PendingRequest& request, const Wait& wait) {
  QUIRE_CHECK(!is_full());
  const uint32_t index = take_free();
  Record& record = records_[index];
  record.request = request;
  record.lists = &lists;
  ++record.generation;
  ++count_;
  ++by_domain_[request.domain.value];
  // What is under way stands in a list of its own and is behind nobody.
  const bool behind = is_of_queue(wait.what) && lists.is_waiting(request.submission.verb);
  record.wait.what = wait.what;  // says which list
  append<&Record::of_attachment>(*list_of(record), index);
  begin_wait(index, behind ? Wait{WaitsFor::kBehind, {}} : wait);
  return id_of(index + 1);
}

// Out of its attachment's list. Who stood behind it in a queue is the first now, and ready.
void PendingTable::leave_list(uint32_t index) {
  Record& record = records_[index];
  List* list = list_of(record);
  if (list == nullptr) return;
  const bool was_first = list->first == index + 1;
  unlink<&Record::of_attachment>(*list, index);
  if (!is_of_queue(record.wait.what) || !was_first) return;
  record.lists->ready_verbs &= ~(1u << record.request.submission.verb);
  if (list->first == 0) return;
  end_wait(list->first - 1);
  // It waited for nothing but this one. It has its turn now, which no deadline ends.
  begin_wait(list->first - 1, {WaitsFor::kTurn, {}});
}

void PendingTable::wait(PendingId id, const Wait& wait) {
  Record& record = at(id);
  const uint32_t index = index_of(id);
  // To the end of the event's list it would lose its place to those that came later.
  if (record.wait.what == wait.what && record.wait.fill == wait.fill &&
      wait.what != WaitsFor::kTurn) {
    return;
  }
  const bool starts = !is_of_queue(wait.what) && is_of_queue(record.wait.what);
  end_wait(index);
  // Out of the verb's queue before the new wait says which list it is in.
  if (starts) {
    leave_list(index);
    append<&Record::of_attachment>(record.lists->under_way, index);
  }
  begin_wait(index, wait);
}

void PendingTable::drop_deadline(PendingId id) {
  at(id).request.deadline_ns = kNoDeadline;
  at(id).wait.until_ns = kNoDeadline;
  deadlines_.remove(index_of(id));
}

void PendingTable::drop_deadlines_to(PendingId id) {
  const Record& last = at(id);
  uint32_t next = last.lists->queues[last.request.submission.verb].first;
  while (next != 0) {
    drop_deadline(id_of(next));
    if (next == index_of(id) + 1) return;
    next = records_[next - 1].of_attachment.next;
  }
}

void PendingTable::make_ready(PendingId id) {
  Record& record = at(id);
  // Only the first of a verb waits for an event; those behind wait for it.
  QUIRE_CHECK(record.lists->queues[record.request.submission.verb].first == index_of(id) + 1);
  record.lists->ready_verbs |= 1u << record.request.submission.verb;
}

PendingRequest PendingTable::end(PendingId id) {
  Record& record = at(id);
  const uint32_t index = index_of(id);
  end_wait(index);
  leave_list(index);
  record.lists = nullptr;
  // Even while it is free: an id that somebody kept finds nothing.
  ++record.generation;
  record.next_free = free_head_;
  free_head_ = index + 1;
  --count_;
  --by_domain_[record.request.domain.value];
  return record.request;
}

void PendingTable::detach(PendingId id) {
  Record& record = at(id);
  QUIRE_CHECK(!is_of_queue(record.wait.what));
  leave_list(index_of(id));
  record.lists = nullptr;
  record.request.attachment = nullptr;
}

PendingId PendingTable::take_ready(PendingLists& lists, uint16_t verb) {
  QUIRE_CHECK((lists.ready_verbs >> verb & 1) != 0);
  lists.ready_verbs &= ~(1u << verb);
  return id_of(lists.queues[verb].first);
}

PendingId PendingTable::first_of(const PendingLists& lists) const {
  for (const List& queue : lists.queues) {
    if (queue.first != 0) return id_of(queue.first);
  }
  return id_of(lists.under_way.first);
}

// A list by index may be that of an older fill's successor: records know whose they are.
PendingId PendingTable::first_for(FillId fill) const {
  const PendingId first = id_of(of_fill_[index_of(fill)].first);
  return first.valid() && waits(first).fill == fill ? first : PendingId{};
}

PendingId PendingTable::first_for_copy_job(DomainId domain) const {
  return id_of(of_jobs_[domain.value].first);
}

PendingId PendingTable::due(int64_t now_ns) const {
  if (deadlines_.earliest_ns() > now_ns || deadlines_.size() == 0) return {};
  return id_of(deadlines_.earliest() + 1);
}

void PendingTable::check_invariants(const PendingLists& lists) const {
  deadlines_.check_invariants();
  for (uint16_t verb = 0; verb < model::kVerbCount; ++verb) {
    uint32_t previous = 0;
    for (uint32_t at = lists.queues[verb].first; at != 0;) {
      const Record& record = records_[at - 1];
      QUIRE_CHECK(record.lists == &lists && record.request.submission.verb == verb);
      QUIRE_CHECK(record.of_attachment.previous == previous);
      QUIRE_CHECK((previous == 0) == (record.wait.what != WaitsFor::kBehind));
      QUIRE_CHECK(deadlines_.holds(at - 1) == (deadline_of(record) != kNoDeadline));
      previous = at;
      at = record.of_attachment.next;
    }
    QUIRE_CHECK(lists.queues[verb].last == previous);
    QUIRE_CHECK(previous != 0 || (lists.ready_verbs >> verb & 1) == 0);
  }
}

}  // namespace quire::server
