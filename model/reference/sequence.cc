#include "model/reference/sequence.h"

#include <algorithm>

#include "model/check.h"
#include "model/reference/attention.h"
#include "model/reference/experts.h"
#include "model/reference/projection.h"

namespace quire::reference {
namespace {

// Aborts on options that break their contract.
void check_options(const PrefillOptions& options, uint32_t begin, uint32_t end, uint32_t unit) {
  QUIRE_CHECK(options.chunk_tokens >= 1);
  uint32_t last = begin;
  for (uint32_t at : options.checkpoints) {
    QUIRE_CHECK(at > last && at <= end && at % unit == 0);
    last = at;
  }
  uint32_t next = begin;
  for (uint32_t at : options.logits_at) {
    QUIRE_CHECK(at >= next && at < end);
    next = at + 1;
  }
}

bool contains(std::span<const uint32_t> ascending, uint32_t value) {
  return std::binary_search(ascending.begin(), ascending.end(), value);
}

}  // namespace

Sequence::Sequence(Decoder& decoder, PageSink& sink)
    : decoder_(decoder),
      sink_(sink),
      pages_(decoder.geometry().append_page_bytes()),
      step_(decoder.config()),
      scratch_(decoder.team().size(), WorkerScratch(decoder.config())) {
  for (LayerKind kind : decoder.config().layers) layers_.emplace_back(decoder.config(), kind);
}

LayerWork Sequence::work_on(uint32_t layer) {
  return {decoder_, layer, layers_[layer], pages_, step_};
}

void Sequence::resume(const ResumePoint& point) {
  const KvGeometry& geometry = decoder_.geometry();
  const bool has_tail = point.position % geometry.block_tokens() != 0;
  QUIRE_CHECK(position_ == 0 && point.position > 0);
  QUIRE_CHECK(point.position % geometry.unit_tokens() == 0);
  QUIRE_CHECK(point.sealed_pages.size() == point.position / geometry.block_tokens());
  QUIRE_CHECK(point.window_page != nullptr);
  QUIRE_CHECK(point.state_page != nullptr || geometry.state_page_bytes() == 0);
  QUIRE_CHECK(has_tail == (point.tail_page != nullptr));
  for (const std::byte* page : point.sealed_pages) pages_.seal(page);
  if (has_tail) std::copy_n(point.tail_page, pages_.open().size(), pages_.open().data());
  position_ = point.position;
  const auto layers = static_cast<uint32_t>(layers_.size());
  decoder_.team().run(layers, [&](uint32_t layer, uint32_t) { restore_layer(point, layer); });
}

void Sequence::restore_layer(const ResumePoint& point, uint32_t layer) {
  const KvGeometry& geometry = decoder_.geometry();
  LayerCache& cache = layers_[layer];
  cache.window.restore(position_, geometry.window_section(layer), point.window_page);
  if (!cache.index_keys) return;
  const std::byte* state = point.state_page + geometry.state_offset(layer);
  cache.compressor->restore_overlap(position_, state);
  cache.index_compressor->restore_overlap(position_, state + cache.compressor->overlap_bytes());
  restore_index_keys(layer);
}

void Sequence::restore_index_keys(uint32_t layer) {
  const Section& section = decoder_.geometry().index_section(layer);
  const uint32_t rows = position_ / decoder_.config().csa_ratio;
  IndexKeys& keys = *layers_[layer].index_keys;
  keys.grow((rows + section.rows - 1) / section.rows * section.rows);
  for (uint32_t row = 0; row < rows; ++row) {
    keys.put(row, section, row % section.rows, pages_.page(row / section.rows));
  }
}

PrefillResult Sequence::prefill(std::span<const uint32_t> tokens, const PrefillOptions& options) {
  const uint32_t begin = position_;
  const auto end = begin + static_cast<uint32_t>(tokens.size());
  QUIRE_CHECK(!tokens.empty() && end > begin);
  for (uint32_t token : tokens) QUIRE_CHECK(token < decoder_.config().vocab);
  check_options(options, begin, end, decoder_.geometry().unit_tokens());
  PrefillResult result;
  while (position_ < end) {
    const uint32_t chunk_end = position_ + std::min(options.chunk_tokens, end - position_);
    while (position_ < chunk_end) {
      const uint32_t stop = step_end(chunk_end, options);
      run_step(tokens.subspan(position_ - begin, stop - position_));
      close_step(options, &result);
    }
    if (options.on_chunk) options.on_chunk(position_);
  }
  result.logits = logits_of(end - 1);
  return result;
}

// A step ends with the chunk, with its block, or where a checkpoint is wanted.
uint32_t Sequence::step_end(uint32_t chunk_end, const PrefillOptions& options) const {
  const uint32_t block_tokens = decoder_.geometry().block_tokens();
  uint32_t end = std::min(chunk_end, (position_ / block_tokens + 1) * block_tokens);
  const auto next =
      std::upper_bound(options.checkpoints.begin(), options.checkpoints.end(), position_);
  if (next != options.checkpoints.end()) end = std::min(end, *next);
  return end;
}

void Sequence::run_step(std::span<const uint32_t> tokens) {
  step_.start = position_;
  step_.end = position_ + static_cast<uint32_t>(tokens.size());
  step_.tokens = tokens;
  const auto layers = static_cast<uint32_t>(layers_.size());
  for (uint32_t layer = 0; layer <= layers; ++layer) {
    decoder_.team().run(step_.run_count(),
                        [&](uint32_t run, uint32_t worker) { run_layers(layer, run, worker); });
    if (layer < layers) compress_layer(layer);
  }
}

// Ends layer - 1 and begins `layer` for one run: between the two a run needs nobody else's rows.
void Sequence::run_layers(uint32_t layer, uint32_t run_number, uint32_t worker) {
  const TokenRun run = step_.run(run_number);
  WorkerScratch* scratch = &scratch_[worker];
  if (layer == 0) {
    embed_run(decoder_, run, &step_);
  } else {
    attend_run(work_on(layer - 1), run, scratch);
    apply_experts(work_on(layer - 1), run, scratch);
  }
  if (layer < layers_.size()) project_run(work_on(layer), run, scratch);
}

void Sequence::compress_layer(uint32_t layer) {
  const LayerWork work = work_on(layer);
  if (work.cache.index_keys) {
    work.cache.index_keys->grow((pages_.sealed_count() + 1) *
                                decoder_.geometry().index_section(layer).rows);
  }
  std::byte* open_page = pages_.open().data();
  decoder_.team().run(compress_item_count(work),
                      [&](uint32_t item, uint32_t) { compress_item(work, item, open_page); });
}

void Sequence::close_step(const PrefillOptions& options, PrefillResult* result) {
  for (uint32_t at = step_.start; at < step_.end; ++at) {
    if (contains(options.logits_at, at)) result->logits_at.push_back(logits_of(at));
  }
  position_ = step_.end;
  if (position_ % decoder_.geometry().block_tokens() == 0) {
    pages_.seal(sink_.block_complete(pages_.sealed_count(), pages_.open()));
  }
  if (contains(options.checkpoints, position_)) emit_checkpoint();
}

void Sequence::emit_checkpoint() {
  const KvGeometry& geometry = decoder_.geometry();
  std::vector<std::byte> window(geometry.window_page_bytes());
  std::vector<std::byte> state(geometry.state_page_bytes());
  for (uint32_t layer = 0; layer < layers_.size(); ++layer) {
    const LayerCache& cache = layers_[layer];
    cache.window.save(position_, geometry.window_section(layer), window.data());
    if (!cache.index_keys) continue;
    std::byte* at = state.data() + geometry.state_offset(layer);
    cache.compressor->save_overlap(position_, at);
    cache.index_compressor->save_overlap(position_, at + cache.compressor->overlap_bytes());
  }
  const bool has_tail = position_ % geometry.block_tokens() != 0;
  sink_.checkpoint({.position = position_,
                    .window_page = window,
                    .state_page = state,
                    .tail_page = has_tail ? pages_.open() : std::span<std::byte>{}});
}

// Of a token of the last step.
std::vector<float> Sequence::logits_of(uint32_t position) {
  const DecoderConfig& config = decoder_.config();
  const Weights& weights = decoder_.weights();
  const float* hidden = step_.hidden.data() + size_t{step_.index_of(position)} * config.hidden;
  std::vector<float> norm(config.hidden);
  std::vector<float> logits(weights.logits.columns);
  decoder_.kernels().rms_norm(hidden, weights.final_norm.data(), config.hidden, norm.data());
  multiply(decoder_.kernels(), norm.data(), 1, weights.logits, logits.data());
  logits.resize(config.vocab);
  return logits;
}

void Sequence::check_invariants() const {
  const KvGeometry& geometry = decoder_.geometry();
  QUIRE_CHECK(pages_.sealed_count() == position_ / geometry.block_tokens());
  QUIRE_CHECK(pages_.open().size() == geometry.append_page_bytes());
  QUIRE_CHECK(layers_.size() == decoder_.config().layers.size());
  const uint32_t open_tokens = position_ % geometry.block_tokens();
  for (uint32_t layer = 0; layer < layers_.size(); ++layer) {
    QUIRE_CHECK(layers_[layer].index_keys.has_value() ==
                layers_[layer].index_compressor.has_value());
    if (!layers_[layer].compressor) continue;
    const Section& section = geometry.main_section(layer);
    for (uint32_t row = open_tokens / layers_[layer].compressor->ratio(); row < section.rows;
         ++row) {
      const auto data = pages_.open().subspan(section.data_offset(row), section.format.data_bytes);
      for (std::byte byte : data) QUIRE_CHECK(byte == std::byte{0});  // not complete, not written
    }
  }
}

}  // namespace quire::reference
