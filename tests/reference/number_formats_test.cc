#include "model/reference/number_formats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace quire::reference::number_formats_test {
namespace {

// Nearest code by search over all of them; ties to the even code. The slow truth.
template <typename Decode>
uint32_t nearest_code(double magnitude, uint32_t codes, Decode decode) {
  uint32_t best = 0;
  for (uint32_t code = 1; code < codes; ++code) {
    const double distance = std::fabs(decode(static_cast<uint8_t>(code)) - magnitude);
    const double best_distance = std::fabs(decode(static_cast<uint8_t>(best)) - magnitude);
    if (distance < best_distance || (distance == best_distance && code % 2 == 0)) best = code;
  }
  return best;
}

TEST(NumberFormats, EveryE4m3CodeSurvivesARoundTrip) {
  for (uint32_t code = 0; code < 256; ++code) {
    const float value = decode_e4m3(static_cast<uint8_t>(code));
    EXPECT_EQ(encode_e4m3(value), code) << value;
  }
}

TEST(NumberFormats, E4m3HasTheStandardsLandmarks) {
  EXPECT_EQ(decode_e4m3(0x7e), 448.0f);
  EXPECT_EQ(decode_e4m3(0x08), 0x1p-6f);
  EXPECT_EQ(decode_e4m3(0x01), 0x1p-9f);
  EXPECT_EQ(decode_e4m3(0x38), 1.0f);
  EXPECT_TRUE(std::isnan(decode_e4m3(0x7f)));
}

TEST(NumberFormats, E4m3RoundsToNearestEven) {
  for (uint32_t code = 0; code < 0x7e; ++code) {
    const float low = decode_e4m3(static_cast<uint8_t>(code));
    const float high = decode_e4m3(static_cast<uint8_t>(code + 1));
    for (float part : {0.25f, 0.5f, 0.75f}) {
      const float value = low + (high - low) * part;
      EXPECT_EQ(encode_e4m3(value), nearest_code(value, 0x7f, decode_e4m3)) << value;
      EXPECT_EQ(encode_e4m3(-value), 0x80 | nearest_code(value, 0x7f, decode_e4m3)) << value;
    }
  }
}

TEST(NumberFormats, E4m3Saturates) {
  EXPECT_EQ(encode_e4m3(449.0f), 0x7e);
  EXPECT_EQ(encode_e4m3(-1e30f), 0xfe);
  EXPECT_EQ(encode_e4m3(std::numeric_limits<float>::infinity()), 0x7e);
  EXPECT_EQ(encode_e4m3(1e-30f), 0x00);
  EXPECT_EQ(encode_e4m3(std::numeric_limits<float>::quiet_NaN()) & 0x7f, 0x7f);
}

TEST(NumberFormats, EveryE2m1CodeSurvivesARoundTrip) {
  for (uint32_t code = 0; code < 16; ++code) {
    EXPECT_EQ(encode_e2m1(decode_e2m1(static_cast<uint8_t>(code))), code);
  }
}

TEST(NumberFormats, E2m1RoundsToNearestEvenAndSaturates) {
  for (int step = 0; step <= 800; ++step) {
    const float value = static_cast<float>(step) / 128.0f;  // every midpoint is among them
    EXPECT_EQ(encode_e2m1(value), nearest_code(value, 8, decode_e2m1)) << value;
    EXPECT_EQ(encode_e2m1(-value), 8 | nearest_code(value, 8, decode_e2m1)) << value;
  }
  EXPECT_EQ(decode_e2m1(encode_e2m1(1e9f)), 6.0f);
}

TEST(NumberFormats, Ue8m0ScaleIsTheSmallestThatFits) {
  for (float largest : {448.0f, 448.5f, 1.0f, 0.001f, 3e20f, 224.0f, 224.1f}) {
    const float scale = decode_ue8m0(choose_ue8m0(largest, kE4m3Max));
    EXPECT_LE(largest / scale, kE4m3Max);
    EXPECT_GT(largest / (scale / 2), kE4m3Max);
  }
  EXPECT_EQ(choose_ue8m0(0.0f, kE4m3Max), 1);
  EXPECT_EQ(decode_ue8m0(127), 1.0f);
}

TEST(NumberFormats, Bf16RoundsToNearestEven) {
  EXPECT_EQ(encode_bf16(1.0f), 0x3f80);
  EXPECT_EQ(encode_bf16(1.0f + 0x1p-8f), 0x3f80);             // tie, even stays
  EXPECT_EQ(encode_bf16(1.0f + 0x1p-7f + 0x1p-8f), 0x3f82);   // tie, odd moves up
  EXPECT_EQ(encode_bf16(1.0f + 0x1p-8f + 0x1p-20f), 0x3f81);  // above the tie
  EXPECT_TRUE(std::isnan(decode_bf16(encode_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(NumberFormats, EveryFiniteBf16CodeSurvivesARoundTrip) {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    const float value = decode_bf16(static_cast<uint16_t>(code));
    if (std::isnan(value)) continue;
    ASSERT_EQ(encode_bf16(value), code);
  }
}

}  // namespace
}  // namespace quire::reference::number_formats_test
