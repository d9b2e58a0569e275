#include "bench/replay_bound.h"

#include <algorithm>
#include <set>

namespace quire::bench {

uint64_t ceiling_hits(const ReplayTrace& trace) {
  std::vector<bool> seen(trace.parents.size());
  uint64_t unique = 0;
  for (const ReplayRequest& request : trace.requests) {
    // A block that came before has all its prefix behind it.
    for (uint32_t block = request.last_block; block != ReplayTrace::kNoParent && !seen[block];
         block = trace.parents[block]) {
      seen[block] = true;
      ++unique;
    }
  }
  return trace.references - unique;
}

ReplayBound::ReplayBound(const ReplayTrace& trace) : stretches_(trace.requests.size()) {
  std::vector<uint32_t> next(trace.parents.size(), kNever);
  for (size_t i = trace.requests.size(); i-- > 0;) {
    const ReplayRequest& request = trace.requests[i];
    std::vector<Stretch>& found = stretches_[i];
    uint32_t block = request.last_block;
    for (uint32_t end = request.block_count; end > 0; --end, block = trace.parents[block]) {
      if (found.empty() || found.back().next != next[block]) found.push_back({end, next[block]});
      next[block] = static_cast<uint32_t>(i);
    }
    std::reverse(found.begin(), found.end());
  }
}

// Resident blocks by the request that uses them next: positions [begin, end) of its path.
class ReplayBound::Residents {
 public:
  explicit Residents(size_t requests) : ranges_(requests) {}

  uint64_t count() const { return count_; }
  uint32_t end(uint32_t request) const { return ranges_[request].end; }
  void take(uint32_t request) {
    Range& range = ranges_[request];
    count_ -= range.end - range.begin;
    range = {};
    waiting_.erase(request);
  }
  void add(uint32_t request, uint32_t begin, uint32_t end) {
    Range& range = ranges_[request];
    count_ -= range.end - range.begin;
    range = {begin, std::max(range.end, end)};
    count_ += range.end - range.begin;
    waiting_.insert(request);
  }
  void shrink_to(uint64_t capacity) {
    while (count_ > capacity) {
      const uint32_t last = *waiting_.rbegin();
      Range& range = ranges_[last];
      const uint64_t over = count_ - capacity;
      if (range.end - range.begin <= over) {
        take(last);
      } else {
        range.end -= static_cast<uint32_t>(over);
        count_ -= over;
      }
    }
  }

 private:
  struct Range {
    uint32_t begin = 0;
    uint32_t end = 0;
  };
  std::vector<Range> ranges_;
  std::set<uint32_t> waiting_;
  uint64_t count_ = 0;
};

BoundFigures ReplayBound::at(uint64_t capacity_blocks) const {
  BoundFigures figures;
  Residents residents(stretches_.size());
  for (uint32_t i = 0; i < stretches_.size(); ++i) {
    const uint32_t found = residents.end(i);
    figures.hits += found;
    residents.take(i);
    uint32_t begin = 0;
    for (const Stretch& stretch : stretches_[i]) {
      if (stretch.next != kNever) residents.add(stretch.next, begin, stretch.end);
      begin = stretch.end;
    }
    residents.shrink_to(capacity_blocks);
    // New ones that did not stay were never written.
    begin = 0;
    for (const Stretch& stretch : stretches_[i]) {
      const uint32_t fresh = std::max(begin, found);
      begin = stretch.end;
      if (stretch.next == kNever) continue;
      const uint32_t kept = std::min(stretch.end, residents.end(stretch.next));
      figures.inserts += kept > fresh ? kept - fresh : 0;
    }
  }
  return figures;
}

}  // namespace quire::bench
