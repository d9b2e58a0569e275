// Makes segments ahead of need on a background thread, so that the daemon serves at once and never
// faults memory in on the core thread.
//
// Holds at most budget_bytes / segment_bytes segments alive: spare, given out, or given back and
// still kept by a client (SegmentRemains). A failure to create one (no memory, no descriptor) is
// kept for status, and tick() tries again: after a second, then after twice as long each time, up
// to half a minute, until one succeeds. Threads: take, give_back, take_gone, tick, status from the
// core thread; one private thread creates. `on_ready` runs on the private thread: it may only wake
// the core (write an eventfd).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "allocator/segment.h"
#include "model/metrics.h"

namespace quire::allocator {

inline constexpr int64_t kFirstRetryNs = 1'000'000'000;
inline constexpr int64_t kLastRetryNs = 30'000'000'000;

// 16 TiB of the smallest segments; only bounds the lists.
inline constexpr uint32_t kMaxSegments = 1 << 18;

struct SegmentSupplyOptions {
  uint64_t budget_bytes = 0;
  uint64_t segment_bytes = 64ull << 20;  // 64 MiB..1 GiB, multiple of 2 MiB
  HugePages huge_pages = HugePages::kAuto;
  Population population = Population::kEager;
  uint64_t memory_limit_bytes = 0;  // as memory_room() takes it
  std::function<void()> on_ready;   // there is news: see take_news()
  // No thread: segments are made and unmapped on whoever calls, at once (a simulation).
  bool on_caller = false;
};

struct SupplyFigures {
  model::Gauge max_segments{"segments_max", "Segments that the budget allows"};
  model::Gauge spare{"segments_spare", "Segments made ahead of need"};
  model::Gauge given_out{"segments_given_out", "Segments that domains hold"};
  model::Gauge kept{"segments_kept", "Segments given back whose memory another process holds"};
  model::Gauge huge_bytes{"huge_page_bytes",
                          "Memory of all segments that is backed by 2 MiB pages"};
};
struct SupplyStatus : SupplyFigures {
  std::string failure;  // why the last attempt failed; empty since one succeeded
};

enum class SupplyState : uint8_t {
  kReady,    // take() would succeed
  kPending,  // one is being made
  // The budget is given out or kept by clients, or creation failed and did not succeed since.
  kExhausted,
};

class SegmentSupply {
 public:
  explicit SegmentSupply(SegmentSupplyOptions options);
  ~SegmentSupply();  // stops and joins the thread

  SupplyState state() const;
  // A fresh zeroed segment, or null when state() is not kReady.
  std::unique_ptr<Segment> take();
  // Returns at once; the private thread closes the segment. Once nobody keeps its memory, its share
  // of the budget is free for a new one, and `owner` is among take_gone().
  void give_back(std::unique_ptr<Segment> segment, uint16_t owner = 0);
  // Owners of segments whose memory is gone, one entry a segment, since the last call.
  std::vector<uint16_t> take_gone();
  // Tells the time, of any monotonic clock; call it about once a second.
  void tick(int64_t now_ns);
  // A copy, under the lock.
  SupplyStatus status() const;
  uint64_t segment_bytes() const;
  uint32_t max_segments() const;
  // Whether state() may have changed by itself since it was asked last: a segment was made, or
  // could not be, or one that was given back is kept. Takes no lock.
  bool take_news();
  // Creation failed and did not succeed since: nothing may come for what is given back.
  bool has_failed() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quire::allocator
