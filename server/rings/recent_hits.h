// What the turns that ended within the last minute asked for and were given: the hit rate of now.
// Threads: core only. No allocation.
#pragma once

#include <array>
#include <cstdint>

#include "model/metrics.h"

namespace quire::server {

struct RecentFigures {
  model::Gauge prompt_tokens{"recent_prompt_tokens", "Of turns that ended within the last minute"};
  model::Gauge hit_tokens{"recent_hit_tokens", "Of these, tokens that engines resumed from"};
};

class RecentHits {
 public:
  static constexpr int64_t kPartNs = 5'000'000'000;
  static constexpr int64_t kParts = 12;

  void add(int64_t now_ns, uint64_t prompt_tokens, uint64_t hit_tokens) {
    const int64_t number = now_ns / kPartNs;
    Part& part = parts_[static_cast<size_t>(number % kParts)];
    if (part.number != number) part = {.number = number};
    part.prompt_tokens += prompt_tokens;
    part.hit_tokens += hit_tokens;
  }
  RecentFigures sum(int64_t now_ns) const {
    RecentFigures figures;
    for (const Part& part : parts_) {
      if (part.number <= now_ns / kPartNs - kParts) continue;
      figures.prompt_tokens = figures.prompt_tokens + part.prompt_tokens;
      figures.hit_tokens = figures.hit_tokens + part.hit_tokens;
    }
    return figures;
  }

 private:
  struct Part {
    int64_t number = -kParts;  // of its time; none yet
    uint64_t prompt_tokens = 0;
    uint64_t hit_tokens = 0;
  };
  std::array<Part, kParts> parts_{};
};

}  // namespace quire::server
