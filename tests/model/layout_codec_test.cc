#include <gtest/gtest.h>

#include "model/chain_hash.h"
#include "model/limits.h"
#include "tests/model/model_fixtures.h"

namespace quire::model::layout_codec_test {
namespace {

std::vector<std::byte> to_bytes(const std::vector<uint8_t>& values) {
  std::vector<std::byte> bytes;
  for (const uint8_t value : values) bytes.push_back(std::byte{value});
  return bytes;
}

TEST(LayoutCodec, ValidLayoutsRoundTrip) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = *valid_layouts();
    const Result<Layout> decoded = decode_layout(encode(layout));
    if (!decoded.ok()) RC_FAIL(decoded.error().text);
    RC_ASSERT(*decoded == layout);
    RC_ASSERT(layout_digest(*decoded) == layout_digest(layout));
  }));
}

TEST(LayoutCodec, RandomBytesNeverDecode) {
  EXPECT_TRUE(rc::check([] {
    const auto bytes = to_bytes(*rc::gen::arbitrary<std::vector<uint8_t>>());
    RC_ASSERT(!decode_layout(bytes).ok());
  }));
}

TEST(LayoutCodec, RandomBytesBehindAGoodHeaderNeverDecodeToAnInvalidLayout) {
  EXPECT_TRUE(rc::check([] {
    auto bytes = encode(hybrid_layout(128, 256));
    bytes.resize(*rc::gen::inRange<size_t>(8, 60));
    const auto tail = to_bytes(*rc::gen::arbitrary<std::vector<uint8_t>>());
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    const Result<Layout> decoded = decode_layout(bytes);
    if (decoded.ok()) RC_ASSERT(validate(*decoded).ok());
  }));
}

TEST(LayoutCodec, ChangedBytesDecodeToThemselvesOrNotAtAll) {
  EXPECT_TRUE(rc::check([] {
    auto bytes = encode(*valid_layouts());
    const auto position = *rc::gen::inRange<size_t>(0, bytes.size());
    bytes[position] = std::byte{*rc::gen::arbitrary<uint8_t>()};
    const Result<Layout> decoded = decode_layout(bytes);
    if (decoded.ok()) RC_ASSERT(encode(*decoded) == bytes);  // canonical: one form only
  }));
}

TEST(LayoutCodec, EveryShorterInputIsMalformed) {
  const auto bytes = encode(hybrid_layout(128, 256));
  for (size_t length = 0; length < bytes.size(); ++length) {
    const Result<Layout> decoded = decode_layout(std::span(bytes).first(length));
    ASSERT_FALSE(decoded.ok()) << length;
    EXPECT_EQ(decoded.code(), Errc::kMalformedFrame) << length;
  }
}

TEST(LayoutCodec, TrailingBytesAreRefused) {
  auto bytes = encode(append_layout(16, 16));
  bytes.push_back(std::byte{0});
  EXPECT_EQ(decode_layout(bytes).code(), Errc::kMalformedFrame);
}

TEST(LayoutCodec, OtherVersionsAreUnsupported) {
  auto bytes = encode(append_layout(16, 16));
  bytes[4] = std::byte{2};
  EXPECT_EQ(decode_layout(bytes).code(), Errc::kUnsupportedVersion);
}

TEST(LayoutCodec, InvalidContentIsAnInvalidLayout) {
  Layout layout = append_layout(16, 16);
  layout.groups[0].page_bytes = 0;
  layout.groups[0].layers.clear();
  EXPECT_EQ(decode_layout(encode(layout)).code(), Errc::kInvalidLayout);
}

// Well-formed, but more than a layout may have: the error is the layout's, and names the bound.
TEST(LayoutCodec, CountsAboveABoundAreAnInvalidLayout) {
  const auto expect_bound = [](const Layout& layout, const std::string& named) {
    const Result<Layout> decoded = decode_layout(encode(layout));
    ASSERT_FALSE(decoded.ok());
    EXPECT_EQ(decoded.code(), Errc::kInvalidLayout);
    EXPECT_NE(decoded.error().text.find(named), std::string::npos) << decoded.error().text;
  };
  Layout groups = append_layout(16, 16);
  groups.groups.resize(65, groups.groups[0]);
  expect_bound(groups, "65 groups; at most 64");
  Layout ranges = append_layout(16, 16);
  ranges.groups[0].layers.resize(4097, {0, 0, 1});
  expect_bound(ranges, "4097 layer ranges of a group; at most 4096");
  Layout name = append_layout(16, 16);
  name.groups[0].name.assign(64, 'x');
  expect_bound(name, "64 bytes of a name; at most 63");
}

TEST(LayoutCodec, CountsAboveTheBytesLeftAllocateNothing) {
  auto bytes = encode(append_layout(16, 16));
  const size_t group_count_at = 8 + 4 + 6 + 8;  // magic, version; "append"; unit, block
  bytes[group_count_at] = std::byte{64};
  EXPECT_EQ(decode_layout(bytes).code(), Errc::kMalformedFrame);
  bytes[group_count_at + 3] = std::byte{0xff};
  EXPECT_EQ(decode_layout(bytes).code(), Errc::kMalformedFrame);
}

TEST(LayoutCodec, EachFieldIsInTheDigest) {
  const Layout layout = hybrid_layout(128, 256);
  std::vector<Layout> others(12, layout);
  others[0].name = "x";
  others[1].unit_tokens = 64;
  others[2].block_tokens = 512;
  others[3].groups[0].name = "x";
  others[4].groups[0].element_format = ElementFormat::kBf16;
  others[5].groups[0].page_bytes += 1;
  others[6].groups[1].window_tokens += 1;
  others[7].groups[0].shard_count = 2;
  others[8].groups[1].checkpoints = CheckpointRule::kAll;
  others[9].groups[1].replay.tokens = 1;
  others[10].groups[1].replay.exact = true;
  others[11].groups[0].layers[0].layer = 9;
  for (const Layout& other : others) EXPECT_FALSE(layout_digest(other) == layout_digest(layout));
}

}  // namespace
}  // namespace quire::model::layout_codec_test
