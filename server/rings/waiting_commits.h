// Commits whose pages are copied and whose parent span is still being written: who is told, and
// when waiting ends. A fixed record by fill, so that neither a copy job nor staging is held.
//
// Bounds: one record a fill (cache::kMaxFills), and a commit keeps its place in its ring's
// completions. Invariants: a record's fill is sealed and waits; the heap holds each record once,
// the earliest deadline first. Threads: core only. No allocation per request.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "allocator/flat_array.h"
#include "cache/serve/fill_table.h"
#include "model/ids.h"
#include "model/result.h"
#include "server/rings/session.h"

namespace quire::server {

struct WaitingCommit {
  Session* session = nullptr;        // stays as long as its fills
  Attachment* attachment = nullptr;  // null: its process ended, the object may serve others
  uint64_t user_data = 0;
  int64_t deadline_ns = 0;
};

class WaitingCommits {
 public:
  static model::Result<WaitingCommits> create();

  void add(model::FillId fill, const WaitingCommit& commit);
  // The fill does not wait any more. nullopt: it was not here.
  std::optional<WaitingCommit> take(model::FillId fill);
  // The fill with the earliest deadline, when that has passed.
  std::optional<model::FillId> due(int64_t now_ns) const;
  // Nobody is told of the attachment's any more; their deadlines stay.
  void forget(Attachment& attachment);
  size_t count() const { return heap_.size(); }

 private:
  struct Record {
    WaitingCommit commit;
    model::FillId fill;
    uint32_t place = 0;     // in the heap + 1; 0 = not in use
    uint32_t previous = 0;  // index + 1; the attachment's list
    uint32_t next = 0;
  };
  bool is_earlier(uint32_t a, uint32_t b) const {
    return records_[a].commit.deadline_ns < records_[b].commit.deadline_ns;
  }
  void put(size_t place, uint32_t index);
  void sift_up(size_t place, uint32_t index);
  void sift_down(size_t place, uint32_t index);
  void unlink(Record& record);

  allocator::FlatArray<Record> records_;  // by the fill's index
  std::vector<uint32_t> heap_;            // record indexes
};

}  // namespace quire::server
