#include "bench/replay_trace.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

namespace quire::bench {

void ReplayTrace::path(const ReplayRequest& request, std::vector<uint32_t>& blocks) const {
  blocks.resize(request.block_count);
  uint32_t block = request.last_block;
  for (size_t i = blocks.size(); i-- > 0; block = parents[block]) blocks[i] = block;
}

// Blocks are numbered as they come only within one scope, so what is left is numbered anew.
void ReplayTrace::cut(size_t count) {
  if (count == 0 || count >= requests.size()) return;
  requests.resize(count);
  std::vector<uint32_t> renamed(parents.size(), kNoParent);
  std::vector<uint32_t> kept;
  std::vector<uint32_t> blocks;
  references = 0;
  for (ReplayRequest& request : requests) {
    path(request, blocks);
    references += blocks.size();
    for (size_t i = 0; i < blocks.size(); ++i) {
      uint32_t& kept_as = renamed[blocks[i]];
      if (kept_as != kNoParent) continue;
      kept_as = static_cast<uint32_t>(kept.size());
      kept.push_back(i == 0 ? kNoParent : renamed[blocks[i - 1]]);
    }
  }
  for (ReplayRequest& request : requests) request.last_block = renamed[request.last_block];
  parents = std::move(kept);
}

ReplayTraceBuilder::ReplayTraceBuilder(std::string name, uint32_t block_tokens) {
  trace_.name = std::move(name);
  trace_.block_tokens = block_tokens;
}

void ReplayTraceBuilder::begin_scope() { blocks_.clear(); }

bool ReplayTraceBuilder::add(int64_t time_us, const std::vector<uint32_t>& ids) {
  uint32_t above = ReplayTrace::kNoParent;
  for (const uint32_t id : ids) {
    if (id >= blocks_.size()) blocks_.resize(id + size_t{1} + id / 2);
    uint32_t& block = blocks_[id];
    if (block == 0) {
      trace_.parents.push_back(above);
      block = static_cast<uint32_t>(trace_.parents.size());
    } else if (trace_.parents[block - 1] != above) {
      return false;
    }
    above = block - 1;
  }
  trace_.references += ids.size();
  if (ids.empty()) return true;
  trace_.requests.push_back(
      {.time_us = time_us, .last_block = above, .block_count = static_cast<uint32_t>(ids.size())});
  return true;
}

ReplayTrace ReplayTraceBuilder::finish() {
  std::stable_sort(
      trace_.requests.begin(), trace_.requests.end(),
      [](const ReplayRequest& a, const ReplayRequest& b) { return a.time_us < b.time_us; });
  return std::move(trace_);
}

namespace {

// One kind of session of mixed_trace().
struct Habit {
  uint32_t share;         // of ten
  uint32_t most_turns;    // 1 .. so many
  uint32_t first_blocks;  // of the first prompt, half of it at least
  uint32_t turn_blocks;   // added by a turn, at most
  uint32_t pause_s;       // before the next, a mean
};

}  // namespace

ReplayTrace mixed_trace(uint32_t sessions, uint64_t seed) {
  constexpr Habit kHabits[] = {
      {.share = 5, .most_turns = 8, .first_blocks = 24, .turn_blocks = 6, .pause_s = 120},
      {.share = 2, .most_turns = 60, .first_blocks = 60, .turn_blocks = 4, .pause_s = 12},
      {.share = 3, .most_turns = 1, .first_blocks = 160, .turn_blocks = 1, .pause_s = 1}};
  constexpr uint32_t kSystemPrompts = 4;
  constexpr uint32_t kSystemBlocks = 8;
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t bound) { return static_cast<uint32_t>(random() % bound); };
  ReplayTraceBuilder builder("mixed", 256);
  uint32_t next_id = kSystemPrompts * kSystemBlocks;
  for (uint32_t s = 0; s < sessions; ++s) {
    const uint32_t draw = below(10);
    const Habit& habit = draw < 5 ? kHabits[0] : draw < 7 ? kHabits[1] : kHabits[2];
    std::vector<uint32_t> ids(kSystemBlocks);
    std::iota(ids.begin(), ids.end(), below(kSystemPrompts) * kSystemBlocks);
    const auto grow = [&](uint32_t by) {
      for (uint32_t i = 0; i < by; ++i) ids.push_back(next_id++);
    };
    grow(habit.first_blocks / 2 + below(habit.first_blocks / 2));
    int64_t time = static_cast<int64_t>(below(3600)) * 1'000'000;
    const uint32_t turns = 1 + below(habit.most_turns);
    for (uint32_t turn = 0; turn < turns; ++turn) {
      (void)builder.add(time, ids);  // ids are new: they have one predecessor
      time += (int64_t{habit.pause_s} * 500'000) + below(habit.pause_s * 1'000'000u);
      grow(1 + below(habit.turn_blocks));
    }
  }
  return builder.finish();
}

}  // namespace quire::bench
