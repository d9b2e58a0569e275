// The daemon's half of one session for tests: memory, rings and verbs over a store of whole
// objects. A position identifies an object (all fake sessions share one context), so no hashes are
// checked.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "model/fd_guard.h"
#include "model/layout.h"
#include "model/ring.h"
#include "model/session_shm.h"
#include "model/wire.h"

namespace quire::client {

struct FakeSegment {
  model::FdGuard fd;  // sealed
  model::Mapping memory;
  uint64_t used = 0;
};

// Spans and checkpoints, with the descriptors of their pages.
struct FakeStore {
  using Key = std::pair<model::FillKind, uint32_t>;  // kind, end_tokens

  uint64_t segment_bytes = 1 << 20;
  std::vector<FakeSegment> segments;  // index = segment id
  std::map<Key, std::vector<model::PageDescriptor>> objects;
  model::Errc next_commit = model::Errc::kOk;  // the next commit answers this
  // How the next load ends, and after how many of its blocks.
  struct LoadEnd {
    model::Errc code = model::Errc::kOk;
    uint32_t blocks = ~0u;
    bool checkpoint = true;
  };
  LoadEnd next_load;
  // Done to each run of the next load in runs, which tells a run of one page for each page.
  std::function<void(model::PageRun&)> next_runs;
  bool loads_held = false;  // loads are taken, but complete only when this ends
  // What came last.
  model::OpenSessionRequest last_open;
  model::MatchArgs last_match{};
  model::LoadArgs last_load{};
  model::ResumedArgs last_resumed{};
  model::BeginFillArgs last_fill{};

  // Copies a page in, opening a segment when the last is full.
  model::PageDescriptor put(const std::byte* data, uint64_t bytes, uint16_t group);
};

struct FakeStaging {
  model::FdGuard fd;
  model::Mapping memory;

  explicit FakeStaging(uint64_t bytes);
};

class FakeSession {
 public:
  // `staging`: what its client commits from.
  FakeSession(const model::OpenSessionReply& numbers, model::Layout layout, FakeStore& store,
              std::byte* staging);

  // In the order of SessionDescriptor; still owned here.
  std::vector<int> descriptors() const;
  int doorbell_fd() const { return doorbell_.get(); }
  // Answers what is in the ring. False when the ring's index is impossible.
  bool serve();
  // Before and after the serving thread sleeps. prepare: false when there is work.
  bool prepare_sleep();
  void woke();
  void end();
  // Writes the first `ready` descriptors of each load that is held and counts them in its slot.
  void advance_loads(uint32_t ready);
  void scribble_completion_index();
  void scribble_load_ready(uint32_t count);
  void ask_for_checkpoints(uint32_t shared_word) { progress().checkpoints.store(shared_word); }
  const std::set<uint64_t>& leases() const { return leases_; }
  const std::map<uint64_t, model::BeginFillArgs>& fills() const { return fills_; }

 private:
  model::Completion answer(const model::Submission& submission);
  model::Errc positions(const model::PositionsArgs& args, model::PositionsResult& result);
  model::Errc match(const model::MatchArgs& args, model::MatchResult& result);
  model::Errc load(const model::LoadArgs& args, model::LoadResult& result);
  std::vector<model::PageDescriptor> collect(const model::LoadArgs& args,
                                             const FakeStore::LoadEnd& end,
                                             model::LoadResult& result);
  void write_runs(const model::LoadArgs& args, const std::vector<model::PageDescriptor>& pages,
                  model::LoadResult& result);
  void finish_held_loads();
  void count_ready(const model::LoadArgs& args, uint32_t ready);
  model::Errc begin_fill(const model::BeginFillArgs& args, model::BeginFillResult& result);
  model::Errc commit(const model::CommitArgs& args, model::CommitResult& result);
  uint32_t span_end(uint32_t prompt_tokens) const;
  model::ControlHeader& control() {
    return *reinterpret_cast<model::ControlHeader*>(control_.data());
  }
  model::ReplyHeader& reply() { return *reinterpret_cast<model::ReplyHeader*>(reply_.data()); }
  model::ProgressHeader& progress() {
    return *reinterpret_cast<model::ProgressHeader*>(progress_.data());
  }

  model::Layout layout_;
  FakeStore& store_;
  std::byte* staging_;
  std::array<model::FdGuard, 3> memfds_;
  model::Mapping control_, reply_, progress_;
  model::FdGuard doorbell_, wakeup_event_, wakeup_epoll_;
  model::RingConsumer<model::Submission> submissions_;
  model::RingProducer<model::Completion> completions_;
  model::PageDescriptor* descriptors_ = nullptr;
  uint64_t next_id_ = 100;
  std::set<uint64_t> leases_;
  std::map<uint64_t, std::pair<uint32_t, uint32_t>> hits_;  // lease -> exact, span
  std::map<uint64_t, model::BeginFillArgs> fills_;
  std::vector<model::Submission> held_loads_;
};

}  // namespace quire::client
