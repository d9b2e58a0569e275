// What one session of a model takes on each tier, and how many of them fit: arithmetic over a
// layout, without a daemon. What it counts is what a daemon stores (page_plan.h): each page in
// whole blocks of 4 KiB, on SSD a header of one block an object more. Pure, but for
// find_layout_file().
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoint_policy.h"
#include "model/layout.h"
#include "model/result.h"

namespace quire::client {

struct PlanQuestion {
  uint64_t ram_bytes = 0;  // 0: not asked
  uint64_t ssd_bytes = 0;
  uint64_t ssd_bandwidth = 0;  // bytes a second
  uint32_t context_tokens = 0;
  model::CheckpointPolicy checkpoints;
};

// A group's part of one session.
struct PlannedGroup {
  std::string name;
  model::GroupKind kind = model::GroupKind::kAppend;
  uint64_t page_bytes = 0;
  uint64_t span_pages = 0;        // of whole blocks
  uint64_t checkpoint_pages = 0;  // windows, states, and tails of blocks that a checkpoint cuts
  uint64_t bytes = 0;             // of all of them, in whole blocks of 4 KiB
};

// Of one session, at the end of a prompt of context_tokens.
struct SessionPlan {
  uint32_t context_tokens = 0;
  uint64_t spans = 0;
  std::vector<uint32_t> checkpoints;  // positions, ascending
  std::vector<PlannedGroup> groups;
  uint64_t span_bytes = 0;        // of all spans, as RAM holds them
  uint64_t checkpoint_bytes = 0;  // of all checkpoints
  uint64_t ram_bytes = 0;         // spans and checkpoints
  uint64_t ssd_bytes = 0;
  uint64_t table_bytes = 0;  // the daemon's own memory for them, beside the pool
  uint64_t load_bytes = 0;   // to resume at the last checkpoint: all spans, and that one alone
};

// kInvalidArgument: a context of less than a block, or of more than 2^24 units.
model::Result<SessionPlan> plan_session(const model::Layout& layout, const PlanQuestion& question);
uint64_t sessions_in(uint64_t capacity_bytes, uint64_t session_bytes);
// Milliseconds, rounded up, from a device that gives so many bytes a second.
uint64_t load_ms(uint64_t bytes, uint64_t bandwidth);

void write_plan_table(const model::Layout& layout, const SessionPlan& plan,
                      const PlanQuestion& question, std::ostream& out);
void write_plan_json(const model::Layout& layout, const SessionPlan& plan,
                     const PlanQuestion& question, std::ostream& out);
// A row a tier.
void write_plan_csv(const model::Layout& layout, const SessionPlan& plan,
                    const PlanQuestion& question, std::ostream& out);

// "128K", "1M", "200000": K is 1024, as in the names of models' contexts.
model::Result<uint32_t> parse_tokens_count(std::string_view text);
// A path as it is, or the name of a shipped layout: the first `<directory>/<name>.toml` that is
// there. kInvalidArgument names the places that were looked at.
model::Result<std::string> find_layout_file(const std::string& path,
                                            const std::vector<std::string>& directories);

}  // namespace quire::client
