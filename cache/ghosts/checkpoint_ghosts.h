// What each checkpoint policy would have cost and brought: the prompts that were really asked for,
// gone through once under every policy at the same time.
//
//   prompt, and how far its spans reached --> where it would resume under each policy
//                                         --> which checkpoints would be wanted then, in bytes
//                                         --> CheckpointPlaces, CheckpointWindows
//
// Assumed: what is asked for is written, at once; a checkpoint lives as long as the span before it,
// or until a later turn of its conversation supersedes it (TurnEnds' rule, with its exceptions).
// Intervals are not remembered one by one: up to the end of the spans all of them are there, for
// whoever computed the spans passed them. Behind it, inside the last block, only those of the end
// of a prompt are known: where prompts part inside a block a policy whose intervals cut blocks is
// told less than it would bring, by less than a block.
// Threads: one owner. Work of a call: the units of the prompt, one look-up each.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "cache/ghosts/checkpoint_places.h"
#include "cache/ghosts/checkpoint_windows.h"
#include "model/checkpoint_policy.h"
#include "model/layout.h"

namespace quire::cache {

// What is told of a prompt besides its length and hashes; travels as words.
struct CheckpointFacts {
  uint64_t bytes = 0;         // of a checkpoint at a block end
  uint64_t tail_bytes = 0;    // of one that cuts a block
  uint32_t unit_tokens = 0;   // 0: of a layout without checkpoints, and nothing else counts
  uint32_t own_step = 0;      // the least interval that the layout itself declares; 0: none
  uint32_t exact_tokens = 0;  // announced
  uint32_t tail_tokens = 0;   // as CacheSession
  uint32_t owner = 0;         // CacheSession::owner_tag
  uint32_t diverged = 0;      // 1: an earlier session went on otherwise behind the spans
};

struct CheckpointPrompt {
  int64_t time_us = 0;
  std::span<const uint64_t> keys;  // a word of each whole unit's chain hash, from the first on
  uint32_t block_tokens = 0;
  uint32_t prompt_tokens = 0;  // at least one
  uint32_t span_tokens = 0;    // present from token 0 on
  CheckpointFacts facts;
};

class CheckpointGhosts {
 public:
  using Exact = std::array<uint32_t, kAdvisedPolicies>;
  // none, branch, turn_ends, every:16384, every:4096, every:1024, all: the more the later.
  static const std::array<model::CheckpointPolicy, kAdvisedPolicies>& policies();

  CheckpointGhosts();

  void matched(const CheckpointPrompt& prompt);
  // A checkpoint became visible.
  void wrote(uint64_t bytes, int64_t time_us);
  const CheckpointWindows& windows() const { return windows_; }

 private:
  void take_layout(const CheckpointPrompt& prompt);
  // Where the prompt would resume under each policy.
  Exact resume_points(const CheckpointPrompt& prompt);
  // Returns the bytes. Adds to `ended` a policy under which the turn end is a new checkpoint.
  uint64_t write(const CheckpointPrompt& prompt, size_t policy, uint32_t exact, uint8_t& ended);
  bool add(const CheckpointPrompt& prompt, size_t policy, const model::WantedCheckpoint& one);
  void meet_before_tail(const CheckpointPrompt& prompt);
  // TurnEnds' rule, under all policies of the mask at once.
  void supersede(const CheckpointPrompt& prompt, uint8_t ended, const Exact& exact);
  bool is_protected(const CheckpointPrompt& prompt, uint32_t tokens);

  // A place on the path of the present prompt, up to the end of its spans; the deepest first.
  struct Met {
    uint32_t tokens;
    CheckpointPlaces::Place* place;
  };

  model::Layout layout_;  // of the present prompt, as far as positions depend on it
  std::vector<Met> met_;
  CheckpointPlaces places_;
  CheckpointWindows windows_;
};

}  // namespace quire::cache
