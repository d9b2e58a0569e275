// A client that is billed: one turn after the other, over daemons that come and go, and a log of
// its own of what it asked for and was given. What a ledger says is compared with that.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tests/process/test_process.h"

namespace quire::tests {

// The name by which its sessions are billed.
inline constexpr const char* kMeteredModel = "priced";

// What the client knows of one turn.
struct MeteredTurn {
  uint32_t prompt_tokens = 0;
  std::optional<uint32_t> exact_tokens;   // the match was answered
  std::optional<uint32_t> output_tokens;  // it was about to say so, and where it resumed
  int64_t matched_us = 0;                 // wall clock, once the match was answered
  int64_t closed_us = 0;                  // once something was answered that ended the turn; 0: not
  // Before it asked what was answered last of it: the daemon did that between this and what is
  // above, however late the client came to write it down.
  int64_t asked_us = 0;
};

struct MeteredLife {
  std::string socket_path;
  std::string log_path;
  std::string tenant;
  uint32_t number = 0;  // of the client: its requests are numbered from number << 32 on

  // Until the channel has something to say. The exit code: 0, or how many checks failed.
  int run(Channel& channel) const;
};

// By request id.
std::map<uint64_t, MeteredTurn> read_metered_log(const std::string& log_path);

}  // namespace quire::tests
