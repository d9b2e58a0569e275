#include "server/rings/waiting_commits.h"

#include "model/check.h"

namespace quire::server {

using model::FillId;

namespace {
uint32_t index_of(FillId fill) { return static_cast<uint32_t>(fill.value); }
}  // namespace

model::Result<WaitingCommits> WaitingCommits::create() {
  WaitingCommits waiting;
  waiting.records_ = QUIRE_TRY(allocator::FlatArray<Record>::reserve(cache::kMaxFills));
  waiting.heap_.reserve(cache::kMaxFills);
  return waiting;
}

void WaitingCommits::add(FillId fill, const WaitingCommit& commit) {
  const uint32_t index = index_of(fill);
  Record& record = records_[index];
  QUIRE_CHECK(record.place == 0);
  uint32_t& first = commit.attachment->first_waiting_commit;
  record = {.commit = commit, .fill = fill, .next = first};
  if (first != 0) records_[first - 1].previous = index + 1;
  first = index + 1;
  heap_.push_back(index);
  sift_up(heap_.size() - 1, index);
}

std::optional<WaitingCommit> WaitingCommits::take(FillId fill) {
  Record& record = records_[index_of(fill)];
  if (record.place == 0 || record.fill != fill) return std::nullopt;
  const size_t place = record.place - 1;
  record.place = 0;
  const uint32_t last = heap_.back();
  heap_.pop_back();
  if (place < heap_.size()) {
    sift_down(place, last);
    sift_up(records_[last].place - 1, last);
  }
  if (record.commit.attachment != nullptr) unlink(record);
  return record.commit;
}

std::optional<FillId> WaitingCommits::due(int64_t now_ns) const {
  if (heap_.empty()) return std::nullopt;
  const Record& earliest = records_[heap_.front()];
  if (earliest.commit.deadline_ns > now_ns) return std::nullopt;
  return earliest.fill;
}

void WaitingCommits::forget(Attachment& attachment) {
  for (uint32_t index = attachment.first_waiting_commit; index != 0;) {
    Record& record = records_[index - 1];
    index = record.next;
    record.commit.attachment = nullptr;
    record.previous = record.next = 0;
  }
  attachment.first_waiting_commit = 0;
}

void WaitingCommits::unlink(Record& record) {
  if (record.next != 0) records_[record.next - 1].previous = record.previous;
  if (record.previous != 0) {
    records_[record.previous - 1].next = record.next;
  } else {
    record.commit.attachment->first_waiting_commit = record.next;
  }
}

void WaitingCommits::put(size_t place, uint32_t index) {
  heap_[place] = index;
  records_[index].place = static_cast<uint32_t>(place) + 1;
}

void WaitingCommits::sift_up(size_t place, uint32_t index) {
  while (place > 0 && is_earlier(index, heap_[(place - 1) / 2])) {
    put(place, heap_[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put(place, index);
}

void WaitingCommits::sift_down(size_t place, uint32_t index) {
  for (size_t child = 2 * place + 1; child < heap_.size(); child = 2 * place + 1) {
    if (child + 1 < heap_.size() && is_earlier(heap_[child + 1], heap_[child])) ++child;
    if (!is_earlier(heap_[child], index)) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, index);
}

}  // namespace quire::server
