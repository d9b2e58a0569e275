// What the daemon tells of a recording (model/trace_wire.h), put together to lines of a trace.
//
// A line is a request and what it became: the blocks that it wrote, and the tokens of its answer.
// Those come later, so a line waits for the end of its turn, and others wait behind it: lines are
// in the order of time. Ids are numbers in the order in which keys first come.
//
// Bounds: kMostWaiting lines and kMostWaitingIds ids wait; above that the oldest goes as far as it
// is known. What stays for the whole recording is 16 bytes a block that ever came, and its hash
// table's. Threads: one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "client/quirectl/trace/trace_file.h"
#include "model/trace_wire.h"

namespace quire::client {

struct TraceTotals {
  uint64_t requests = 0;
  uint64_t prompt_tokens = 0;
  uint64_t hit_tokens = 0;
  uint64_t cut_requests = 0;  // named their first blocks alone
  uint64_t lost_records = 0;
  bool complete = false;  // the daemon said that this was all
};

class TraceLines {
 public:
  static constexpr size_t kMostWaiting = 4096;
  static constexpr size_t kMostWaitingIds = 8 << 20;

  // `write` gets each line once.
  explicit TraceLines(std::function<void(const TraceLine&)> write) : write_(std::move(write)) {}

  // Bytes of the stream, cut anywhere. kMalformedFrame: they are no such records.
  model::Result<void> take(std::string_view bytes);
  // No more will come: what waits is written as it is.
  void finish();
  const TraceTotals& totals() const { return totals_; }

 private:
  using Turn = std::pair<uint64_t, uint32_t>;  // session, turn
  struct Waiting {
    TraceLine line;
    Turn turn;
    bool ended = false;
    std::map<uint32_t, uint32_t> written;  // id by block
  };

  void take_record(const model::TraceRecord& record, std::span<const uint64_t> keys);
  void take_request(const model::TraceRecord& record, std::span<const uint64_t> keys);
  Waiting* find(const model::TraceRecord& record);
  void write_front();
  static uint32_t number(std::unordered_map<uint64_t, uint32_t>& numbers, uint64_t key);

  std::function<void(const TraceLine&)> write_;
  std::string bytes_;
  std::deque<Waiting> waiting_;
  uint64_t written_count_ = 0;        // before waiting_.front()
  std::map<Turn, uint64_t> by_turn_;  // its place: waiting_[place - written_count_]
  size_t waiting_ids_ = 0;
  uint64_t untold_lost_ = 0;
  std::unordered_map<uint64_t, uint32_t> ids_;  // by key, as the next two
  std::unordered_map<uint64_t, uint32_t> tenants_;
  std::unordered_map<uint64_t, uint32_t> conversations_;
  TraceTotals totals_;
};

}  // namespace quire::client
