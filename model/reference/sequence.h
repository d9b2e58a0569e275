// One context being computed: starts empty or at a resume point, takes tokens, hands out pages.
//
// Law: logits and page bytes depend on the tokens and the config alone. Chunk size, thread count,
// checkpoints and the place of a resume leave no trace in any bit (one machine, one kernel table).
// Lifetime: decoder and sink outlive the sequence; so do the pages given to resume() and returned
// by the sink, which are read in place. Threads: one caller; the decoder's team works inside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/reference/decoder.h"
#include "model/reference/page_sink.h"
#include "model/reference/step.h"

namespace quire::reference {

// A prefix as an engine finds it in a cache. Page sizes and layouts: kv_geometry.h.
struct ResumePoint {
  uint32_t position = 0;  // h > 0, a multiple of unit_tokens
  std::span<const std::byte* const> sealed_pages =
      {};                                  // of blocks 0 .. h / block_tokens - 1, in place
  const std::byte* tail_page = nullptr;    // of block h / block_tokens, copied; null if h cuts none
  const std::byte* window_page = nullptr;  // copied
  const std::byte* state_page = nullptr;   // copied
};

struct PrefillOptions {
  uint32_t chunk_tokens = 1024;  // on_chunk granularity; at least 1
  // Positions h at which the sink's checkpoint() is called: ascending multiples of unit_tokens in
  // (position before the call, position after it].
  std::span<const uint32_t> checkpoints = {};
  // Tokens whose logits are wanted besides the last one's: ascending positions of new tokens.
  std::span<const uint32_t> logits_at = {};
  std::function<void(uint32_t position)> on_chunk = {};  // tokens computed so far; may be empty
};

struct PrefillResult {
  std::vector<float> logits;                  // [vocab], after the last token
  std::vector<std::vector<float>> logits_at;  // as asked for
};

class Sequence {
 public:
  Sequence(Decoder& decoder, PageSink& sink);
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  // Tokens computed or resumed so far.
  uint32_t position() const { return position_; }

  // Only on an empty sequence. A point that breaks its own contract is a bug and aborts; the pages'
  // bytes may be anything: wrong bytes give wrong logits, never undefined behaviour.
  void resume(const ResumePoint& point);

  // Appends tokens (each < vocab, at least one); also the way to decode, one token a call.
  PrefillResult prefill(std::span<const uint32_t> tokens, const PrefillOptions& options = {});

  // Aborts unless pages, position and caches agree. Slow: for tests.
  void check_invariants() const;

 private:
  LayerWork work_on(uint32_t layer);
  void restore_layer(const ResumePoint& point, uint32_t layer);
  void restore_index_keys(uint32_t layer);
  uint32_t step_end(uint32_t chunk_end, const PrefillOptions& options) const;
  void run_step(std::span<const uint32_t> tokens);
  void run_layers(uint32_t layer, uint32_t run_number, uint32_t worker);
  void compress_layer(uint32_t layer);
  void close_step(const PrefillOptions& options, PrefillResult* result);
  void emit_checkpoint();
  std::vector<float> logits_of(uint32_t position);

  Decoder& decoder_;
  PageSink& sink_;
  uint32_t position_ = 0;
  AppendPages pages_;
  std::vector<LayerCache> layers_;
  StepBuffers step_;
  std::vector<WorkerScratch> scratch_;  // one per worker of the team
};

}  // namespace quire::reference
