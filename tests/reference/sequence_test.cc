#include "model/reference/sequence.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/reference/decoder_fixture.h"

namespace quire::reference::sequence_test {
namespace {

struct Run {
  PrefillResult result;
  RecordingSink sink;
};

std::unique_ptr<Run> run_cold(Decoder& decoder, const std::vector<uint32_t>& text,
                              const PrefillOptions& options) {
  auto run = std::make_unique<Run>();
  Sequence sequence(decoder, run->sink);
  run->result = sequence.prefill(text, options);
  sequence.check_invariants();
  return run;
}

void expect_same_run(const Run& a, const Run& b) {
  EXPECT_TRUE(same_bits(a.result.logits, b.result.logits));
  ASSERT_EQ(a.result.logits_at.size(), b.result.logits_at.size());
  for (size_t i = 0; i < a.result.logits_at.size(); ++i) {
    ASSERT_TRUE(same_bits(a.result.logits_at[i], b.result.logits_at[i])) << i;
  }
  EXPECT_TRUE(a.sink.blocks == b.sink.blocks);
  EXPECT_TRUE(a.sink.checkpoints == b.sink.checkpoints);
}

// Logits of every position of a cold run with a one-layer decoder.
std::vector<std::vector<float>> all_logits(const DecoderConfig& config,
                                           const std::vector<uint32_t>& text) {
  Decoder decoder(config, 1);
  const std::vector<uint32_t> positions = every_position(static_cast<uint32_t>(text.size()));
  return run_cold(decoder, text, {.logits_at = positions})->result.logits_at;
}

// Positions whose logits change when token `changed` does.
std::vector<bool> reach_of(const DecoderConfig& config, uint32_t tokens, uint32_t changed) {
  std::vector<uint32_t> text = make_text(tokens);
  const auto before = all_logits(config, text);
  text[changed] = (text[changed] + 77) % 256;
  const auto after = all_logits(config, text);
  std::vector<bool> out(tokens);
  for (uint32_t i = 0; i < tokens; ++i) out[i] = !same_bits(before[i], after[i]);
  return out;
}

class SequenceBits : public testing::TestWithParam<IndexFormat> {
 protected:
  DecoderConfig config() const {
    DecoderConfig config = tiny_config();
    config.index_format = GetParam();
    return config;
  }
};

TEST_P(SequenceBits, DoNotDependOnChunkSize) {
  const std::vector<uint32_t> text = make_text(600);
  const std::vector<uint32_t> positions = every_position(600);
  const std::vector<uint32_t> checkpoints = {128, 512};
  Decoder decoder(config(), 1);
  const auto run_with = [&](uint32_t chunk) {
    return run_cold(decoder, text,
                    {.chunk_tokens = chunk, .checkpoints = checkpoints, .logits_at = positions});
  };
  const auto expected = run_with(4096);
  EXPECT_EQ(expected->sink.blocks.size(), 2u);
  for (uint32_t chunk : {1u, 7u, 128u, 1000u}) expect_same_run(*expected, *run_with(chunk));
}

TEST_P(SequenceBits, DoNotDependOnThreads) {
  const std::vector<uint32_t> text = make_text(600);
  const std::vector<uint32_t> positions = every_position(600);
  const std::vector<uint32_t> checkpoints = {256, 384};
  const PrefillOptions options{
      .chunk_tokens = 600, .checkpoints = checkpoints, .logits_at = positions};
  Decoder alone(config(), 1);
  const auto expected = run_cold(alone, text, options);
  for (uint32_t threads : {2u, 3u}) {
    Decoder decoder(config(), threads);
    expect_same_run(*expected, *run_cold(decoder, text, options));
  }
}

TEST_P(SequenceBits, DoNotDependOnWhereOneResumes) {
  const std::vector<uint32_t> text = make_text(1000);
  const std::vector<uint32_t> checkpoints = {128, 256, 384, 512, 640, 768, 896};
  Decoder decoder(config(), 2);
  const auto cold = run_cold(decoder, text, {.checkpoints = checkpoints});
  for (uint32_t h : checkpoints) {
    RecordingSink sink;
    Sequence sequence(decoder, sink);
    resume_from(cold->sink, h, &sequence);
    sequence.check_invariants();
    const auto later = std::span<const uint32_t>(checkpoints).subspan(h / 128);
    const PrefillResult result =
        sequence.prefill(std::span(text).subspan(h), {.chunk_tokens = 90, .checkpoints = later});
    EXPECT_TRUE(same_bits(result.logits, cold->result.logits)) << h;
    for (const auto& [block, page] : sink.blocks) {
      EXPECT_GE(block, h / 256);
      EXPECT_TRUE(page == cold->sink.blocks.at(block)) << h << " block " << block;
    }
    EXPECT_EQ(sink.blocks.size(), 3 - h / 256);
    for (uint32_t at : later) {
      EXPECT_TRUE(sink.checkpoints.at(at) == cold->sink.checkpoints.at(at)) << h << " at " << at;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(IndexFormats, SequenceBits,
                         testing::Values(IndexFormat::kFp4, IndexFormat::kFp8), [](const auto& at) {
                           return at.param == IndexFormat::kFp4 ? "Fp4" : "Fp8";
                         });

TEST(Sequence, DecodingTokenByTokenEqualsPrefill) {
  const std::vector<uint32_t> text = make_text(300);
  Decoder decoder(tiny_config(), 1);
  const std::vector<uint32_t> positions = every_position(300);
  const auto whole = run_cold(decoder, text, {.logits_at = positions});
  RecordingSink sink;
  Sequence sequence(decoder, sink);
  sequence.prefill(std::span(text).first(200));
  for (uint32_t at = 200; at < 300; ++at) {
    const PrefillResult result = sequence.prefill(std::span(text).subspan(at, 1));
    ASSERT_TRUE(same_bits(result.logits, whole->result.logits_at[at])) << at;
  }
  EXPECT_EQ(sequence.position(), 300u);
}

TEST(Sequence, LaterTokensDoNotChangeEarlierLogits) {
  const std::vector<bool> reach = reach_of(tiny_config(), 400, 301);
  for (uint32_t at = 0; at < 301; ++at) EXPECT_FALSE(reach[at]) << at;
  EXPECT_TRUE(reach[301]);
}

TEST(Sequence, WindowLayerSees128Tokens) {
  const std::vector<bool> reach = reach_of(one_layer_config(LayerKind::kWindow), 300, 10);
  for (uint32_t at = 0; at < 300; ++at) EXPECT_EQ(reach[at], at >= 10 && at < 138) << at;
}

TEST(Sequence, HcaRowIsVisibleOnceComplete) {
  DecoderConfig config = one_layer_config(LayerKind::kHca);
  config.window_tokens = 16;
  const std::vector<bool> reach = reach_of(config, 300, 130);  // row 1: tokens 128 .. 255
  for (uint32_t at = 0; at < 300; ++at) {
    EXPECT_EQ(reach[at], (at >= 130 && at < 146) || at >= 255) << at;
  }
}

TEST(Sequence, CsaRowIsVisibleOnceComplete) {
  DecoderConfig config = one_layer_config(LayerKind::kCsa);
  config.window_tokens = 16;
  config.csa_ratio = 32;  // so that a row completes after its first token left the window
  config.block_tokens = 512;
  ASSERT_EQ(config_error(config), std::nullopt);
  const std::vector<bool> reach = reach_of(config, 120, 33);  // row 1: tokens 32 .. 63
  for (uint32_t at = 0; at < 120; ++at) {
    EXPECT_EQ(reach[at], (at >= 33 && at < 49) || at >= 63) << at;
  }
}

// The third block's tokens lie far outside the window: only chosen CSA rows can carry them.
TEST(Sequence, CsaTopKLimitsWhatOldTokensReach) {
  DecoderConfig config = one_layer_config(LayerKind::kCsa);
  config.index_top_k = 4;
  const std::vector<bool> few = reach_of(config, 400, 5);
  config.index_top_k = 1000;
  const std::vector<bool> all = reach_of(config, 400, 5);
  size_t few_count = 0;
  for (uint32_t at = 200; at < 400; ++at) {
    EXPECT_TRUE(all[at]) << at;
    few_count += few[at] ? 1 : 0;
  }
  EXPECT_LT(few_count, 150u);
}

// Damages every page it is given before the decoder reads it back.
class DamagingSink : public RecordingSink {
 public:
  const std::byte* block_complete(uint32_t block, std::span<const std::byte> page) override {
    RecordingSink::block_complete(block, page);
    for (std::byte& byte : blocks[block]) byte ^= std::byte{0x10};
    return blocks[block].data();
  }
};

TEST(Sequence, SealedPagesAreReadWhereTheSinkKeepsThem) {
  const std::vector<uint32_t> text = make_text(300);
  Decoder decoder(tiny_config(), 1);
  const std::vector<uint32_t> positions = {255, 256};
  const auto honest = run_cold(decoder, text, {.logits_at = positions});
  DamagingSink sink;
  Sequence sequence(decoder, sink);
  const PrefillResult result = sequence.prefill(text, {.logits_at = positions});
  EXPECT_TRUE(same_bits(result.logits_at[0], honest->result.logits_at[0]));
  EXPECT_FALSE(same_bits(result.logits_at[1], honest->result.logits_at[1]));
}

TEST(Sequence, AnyPageBytesAreSafeToRead) {
  Decoder decoder(tiny_config(), 2);
  const KvGeometry& geometry = decoder.geometry();
  for (std::byte fill : {std::byte{0x00}, std::byte{0x7f}, std::byte{0xff}}) {
    const Bytes append(geometry.append_page_bytes(), fill);
    const Bytes window(geometry.window_page_bytes(), fill);
    const Bytes state(geometry.state_page_bytes(), fill);
    const std::vector<const std::byte*> sealed = {append.data(), append.data()};
    RecordingSink sink;
    Sequence sequence(decoder, sink);
    sequence.resume({.position = 640,
                     .sealed_pages = sealed,
                     .tail_page = append.data(),
                     .window_page = window.data(),
                     .state_page = state.data()});
    EXPECT_EQ(sequence.prefill(make_text(200)).logits.size(), 260u);
  }
}

TEST(Sequence, TwoSequencesShareADecoder) {
  Decoder decoder(tiny_config(), 2);
  const std::vector<uint32_t> first = make_text(280, 3);
  const std::vector<uint32_t> second = make_text(280, 4);
  const auto expected = run_cold(decoder, first, {});
  RecordingSink first_sink, second_sink;
  Sequence a(decoder, first_sink), b(decoder, second_sink);
  PrefillResult result;
  for (size_t at = 0; at < 280; at += 40) {
    result = a.prefill(std::span(first).subspan(at, 40));
    b.prefill(std::span(second).subspan(at, 40));
  }
  EXPECT_TRUE(same_bits(result.logits, expected->result.logits));
  EXPECT_FALSE(first_sink.blocks == second_sink.blocks);
}

TEST(Sequence, ChunksAreReported) {
  Decoder decoder(tiny_config(), 1);
  std::vector<uint32_t> seen;
  run_cold(
      decoder, make_text(300),
      {.chunk_tokens = 100, .checkpoints = {}, .logits_at = {}, .on_chunk = [&](uint32_t position) {
         seen.push_back(position);
       }});
  EXPECT_EQ(seen, (std::vector<uint32_t>{100, 200, 300}));
}

TEST(Sequence, SeedsGiveDifferentModels) {
  DecoderConfig config = tiny_config();
  Decoder one(config, 1);
  config.seed = 2;
  Decoder two(config, 1);
  const std::vector<uint32_t> text = make_text(20);
  EXPECT_FALSE(
      same_bits(run_cold(one, text, {})->result.logits, run_cold(two, text, {})->result.logits));
}

}  // namespace
}  // namespace quire::reference::sequence_test
