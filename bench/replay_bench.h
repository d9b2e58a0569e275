// Which part of a trace's prompts a cache of a size would have served, by policy, beside what an
// infinite one and one that knows the future would have.
#pragma once

#include <span>
#include <string_view>

namespace quire::bench {

// replay --trace FILE|mixed [--policy NAME,...|all] [--capacity PERCENT,...] [--requests N]
// [--window_hours H] [--seed N] [--simulate] [--json]. Without --simulate the real daemon does it.
int run_replay_bench(std::span<const std::string_view> arguments);

}  // namespace quire::bench
