// The attention of one layer against plain loops in double that read the stored rows themselves.
#include "model/reference/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/reference/projection.h"
#include "tests/reference/decoder_fixture.h"

namespace quire::reference::attention_test {
namespace {

using Row = std::vector<float>;

// One layer, one step of `tokens` tokens from position 0, up to the point where attention starts.
class LayerBench {
 public:
  LayerBench(const DecoderConfig& config, uint32_t tokens)
      : decoder(config, 1),
        cache(config, config.layers[0]),
        pages(decoder.geometry().append_page_bytes()),
        step(config),
        scratch(config),
        text(make_text(tokens)),
        work{decoder, 0, cache, pages, step} {
    step.end = tokens;
    step.tokens = text;
    for (uint32_t i = 0; i < step.run_count(); ++i) {
      embed_run(decoder, step.run(i), &step);
      project_run(work, step.run(i), &scratch);
    }
    if (cache.index_keys) cache.index_keys->grow(decoder.geometry().index_section(0).rows);
    for (uint32_t i = 0; i < compress_item_count(work); ++i) {
      compress_item(work, i, pages.open().data());
    }
  }

  Decoder decoder;
  LayerCache cache;
  AppendPages pages;
  StepBuffers step;
  WorkerScratch scratch;
  std::vector<uint32_t> text;
  LayerWork work;
};

Row stored_row(const Section& section, uint32_t row, const std::byte* page) {
  Row out(section.format.dims);
  decode_row(section, row, page, out.data());
  return out;
}

std::vector<Row> window_rows(LayerBench& bench) {
  const KvGeometry& geometry = bench.decoder.geometry();
  Bytes page(geometry.window_page_bytes());
  bench.cache.window.save(bench.step.end, geometry.window_section(0), page.data());
  const uint32_t window = geometry.window_tokens();
  const uint32_t count = std::min(window, bench.step.end);
  std::vector<Row> rows;
  for (uint32_t i = window - count; i < window; ++i) {
    rows.push_back(stored_row(geometry.window_section(0), i, page.data()));
  }
  return rows;
}

// Scores every visible key and sorts all of them.
std::vector<uint32_t> naive_choice(LayerBench& bench, uint32_t position) {
  const DecoderConfig& config = bench.decoder.config();
  const Section& section = bench.decoder.geometry().index_section(0);
  const uint32_t visible = (position + 1) / config.csa_ratio;
  const size_t heads = config.index_heads;
  std::vector<double> scores(visible, 0.0);
  for (uint32_t row = 0; row < visible; ++row) {
    const Row key = stored_row(section, row, bench.pages.page(0));
    for (size_t h = 0; h < heads; ++h) {
      double dot = 0;
      for (size_t d = 0; d < key.size(); ++d) {
        dot += double{bench.step.index_query[(position * heads + h) * key.size() + d]} * key[d];
      }
      scores[row] += bench.step.index_weights[position * 16 + h] * std::max(dot, 0.0);
    }
  }
  std::vector<uint32_t> order(visible);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  order.resize(std::min(visible, config.index_top_k));
  return order;
}

std::vector<Row> visible_rows(LayerBench& bench, uint32_t position) {
  const DecoderConfig& config = bench.decoder.config();
  std::vector<Row> rows = window_rows(bench);
  std::vector<uint32_t> compressed;
  if (config.layers[0] == LayerKind::kCsa) compressed = naive_choice(bench, position);
  if (config.layers[0] == LayerKind::kHca) {
    compressed.resize((position + 1) / config.hca_ratio);
    std::iota(compressed.begin(), compressed.end(), 0u);
  }
  for (uint32_t row : compressed) {
    rows.push_back(stored_row(bench.decoder.geometry().main_section(0), row, bench.pages.page(0)));
  }
  return rows;
}

// One head's output, rotated back.
std::vector<double> naive_head(LayerBench& bench, uint32_t position, uint32_t head) {
  const DecoderConfig& config = bench.decoder.config();
  const uint32_t dims = config.head_dims();
  const float* query = bench.step.query.data() + (size_t{position} * config.heads + head) * dims;
  double total = std::exp(double{bench.work.weights().sinks[head]});
  std::vector<double> out(dims, 0.0);
  for (const Row& row : visible_rows(bench, position)) {
    double score = 0;
    for (uint32_t d = 0; d < dims; ++d) score += double{query[d]} * row[d];
    total += std::exp(score);
    for (uint32_t d = 0; d < dims; ++d) out[d] += std::exp(score) * row[d];
  }
  for (double& value : out) value /= total;
  for (uint32_t i = 0; i < config.rope_dims; i += 2) {
    const double angle =
        position * std::pow(config.layers[0] == LayerKind::kWindow ? config.window_rope_theta
                                                                   : config.compress_rope_theta,
                            -double(i) / config.rope_dims);
    double& x = out[config.nope_dims + i];
    double& y = out[config.nope_dims + i + 1];
    const double rotated = x * std::cos(angle) + y * std::sin(angle);
    y = y * std::cos(angle) - x * std::sin(angle);
    x = rotated;
  }
  return out;
}

// Last token of a step of `tokens`: what attention adds to the residual stream.
void expect_naive_attention(const DecoderConfig& config, uint32_t tokens) {
  LayerBench bench(config, tokens);
  const uint32_t position = tokens - 1;
  const PackedMatrix& output = bench.work.weights().output;
  std::vector<double> expected(config.hidden, 0.0);
  for (uint32_t head = 0; head < config.heads; ++head) {
    const std::vector<double> out = naive_head(bench, position, head);
    for (uint32_t d = 0; d < out.size(); ++d) {
      const size_t k = head * out.size() + d;
      for (uint32_t n = 0; n < config.hidden; ++n) {
        expected[n] += out[d] * output.panels[(size_t{n / 16} * output.inner + k) * 16 + n % 16];
      }
    }
  }
  const std::vector<float> before = bench.step.hidden;
  for (uint32_t i = 0; i < bench.step.run_count(); ++i) {
    attend_run(bench.work, bench.step.run(i), &bench.scratch);
  }
  for (uint32_t n = 0; n < config.hidden; ++n) {
    const size_t at = size_t{position} * config.hidden + n;
    EXPECT_NEAR(bench.step.hidden[at] - before[at], expected[n], 2e-5) << tokens << " tokens";
  }
}

TEST(Attention, WindowLayerMatchesPlainLoops) {
  for (uint32_t tokens : {1u, 5u, 128u, 129u, 256u}) {
    expect_naive_attention(one_layer_config(LayerKind::kWindow), tokens);
  }
}

TEST(Attention, HcaLayerMatchesPlainLoops) {
  for (uint32_t tokens : {127u, 128u, 200u, 256u}) {
    expect_naive_attention(one_layer_config(LayerKind::kHca), tokens);
  }
}

TEST(Attention, CsaLayerMatchesPlainLoops) {
  for (IndexFormat format : {IndexFormat::kFp4, IndexFormat::kFp8}) {
    DecoderConfig config = one_layer_config(LayerKind::kCsa);
    config.index_format = format;
    for (uint32_t tokens : {3u, 4u, 64u, 67u, 131u, 256u}) expect_naive_attention(config, tokens);
  }
}

TEST(Attention, HeadsNeedNotComeInFours) {
  DecoderConfig config = one_layer_config(LayerKind::kCsa);
  config.heads = 5;
  config.index_heads = 7;
  config.nope_dims = 128;
  expect_naive_attention(config, 250);
}

// Entry i pools the a half of block i and the b half of block i - 1.
TEST(Attention, CsaEntriesOverlapByOneBlock) {
  LayerBench first(one_layer_config(LayerKind::kCsa), 16);
  const Section& section = first.decoder.geometry().main_section(0);
  for (uint32_t changed = 0; changed < 16; ++changed) {
    LayerBench second(one_layer_config(LayerKind::kCsa), 16);
    second.text[changed] ^= 1;
    embed_run(second.decoder, second.step.run(0), &second.step);
    project_run(second.work, second.step.run(0), &second.scratch);
    compress_item(second.work, 0, second.pages.open().data());
    for (uint32_t entry = 0; entry < 4; ++entry) {
      const bool pooled = entry == changed / 4 || entry == changed / 4 + 1;
      const bool differs = stored_row(section, entry, first.pages.page(0)) !=
                           stored_row(section, entry, second.pages.page(0));
      EXPECT_EQ(differs, pooled) << "token " << changed << " entry " << entry;
    }
  }
}

}  // namespace
}  // namespace quire::reference::attention_test
