#include "model/reference/row_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "model/reference/number_formats.h"
#include "tests/reference/decoder_fixture.h"

namespace quire::reference::row_format_test {
namespace {

DecoderConfig v4_dims(IndexFormat format) {
  DecoderConfig config;
  config.nope_dims = 448;
  config.rope_dims = 64;
  config.index_dim = 128;
  config.index_format = format;
  return config;
}

std::vector<float> wave(uint32_t count, float height) {
  std::vector<float> out(count);
  for (uint32_t i = 0; i < count; ++i) out[i] = height * std::sin(0.7f * static_cast<float>(i + 1));
  return out;
}

TEST(RowFormat, V4DimensionsGiveV4RowBytes) {
  const RowFormat main = main_row_format(v4_dims(IndexFormat::kFp4));
  EXPECT_EQ(main.data_bytes, 576u);
  EXPECT_EQ(main.footer_bytes, 8u);
  EXPECT_EQ(main.row_bytes(), 584u);
  EXPECT_EQ(index_row_format(v4_dims(IndexFormat::kFp4)).row_bytes(), 68u);
  EXPECT_EQ(index_row_format(v4_dims(IndexFormat::kFp8)).row_bytes(), 132u);
}

TEST(RowFormat, FootersFollowAllDataAndPadIsLast) {
  const Section section = make_section(main_row_format(v4_dims(IndexFormat::kFp4)), 64, 1000, 576);
  EXPECT_EQ(section.data_offset(0), 1000u);
  EXPECT_EQ(section.data_offset(63), 1000u + 63 * 576);
  EXPECT_EQ(section.footer_offset(0), 1000u + 64 * 576);
  EXPECT_EQ(section.footer_offset(63), 1000u + 64 * 576 + 63 * 8);
  EXPECT_EQ(section.bytes, 37440u);
}

TEST(RowFormat, MainRowHoldsFp8ThenBf16ThenScales) {
  const DecoderConfig config = v4_dims(IndexFormat::kFp4);
  const Section section = make_section(main_row_format(config), 2, 0, 1);
  Bytes page(section.bytes, std::byte{0xaa});
  std::vector<float> values = wave(512, 3.0f);
  for (uint32_t i = 64; i < 128; ++i) values[i] *= 1000.0f;  // another scale for group 1

  encode_row(section, 1, values.data(), page.data());

  const auto* data = reinterpret_cast<const uint8_t*>(page.data()) + 576;
  const auto* footer = reinterpret_cast<const uint8_t*>(page.data()) + 2 * 576 + 8;
  EXPECT_EQ(data[70], encode_e4m3(values[70] / decode_ue8m0(footer[1])));
  EXPECT_EQ(data[448] | data[449] << 8, encode_bf16(values[448]));
  EXPECT_GT(footer[1], footer[0]);
  EXPECT_EQ(footer[7], 0);
  EXPECT_EQ(page[0], std::byte{0xaa});        // row 0 untouched
  EXPECT_EQ(page[2 * 576], std::byte{0xaa});  // its footer too
}

TEST(RowFormat, DecodedRowsAreCloseAndStable) {
  for (IndexFormat format : {IndexFormat::kFp4, IndexFormat::kFp8}) {
    const DecoderConfig config = v4_dims(format);
    for (const RowFormat& row : {main_row_format(config), index_row_format(config)}) {
      const Section section = make_section(row, 3, 8, 1);
      Bytes page(section.offset + section.bytes);
      const std::vector<float> values = wave(row.dims, 2.0f);
      std::vector<float> once(row.dims);
      encode_row(section, 2, values.data(), page.data());
      decode_row(section, 2, page.data(), once.data());

      const float step = row.kind == RowFormat::Kind::kIndexFp4 ? 0.26f : 0.07f;
      for (uint32_t i = 0; i < row.dims; ++i) EXPECT_NEAR(once[i], values[i], 2.0f * step);
      std::vector<float> twice(row.dims);
      encode_row(section, 0, once.data(), page.data());
      decode_row(section, 0, page.data(), twice.data());
      EXPECT_TRUE(same_bits(once, twice));
    }
  }
}

TEST(RowFormat, ARowOfZerosDecodesToZeros) {
  for (IndexFormat format : {IndexFormat::kFp4, IndexFormat::kFp8}) {
    const Section section = make_section(index_row_format(v4_dims(format)), 1, 0, 1);
    Bytes page(section.bytes);
    std::vector<float> values(128, 0.0f);
    encode_row(section, 0, values.data(), page.data());
    std::vector<float> decoded(128, 1.0f);
    decode_row(section, 0, page.data(), decoded.data());
    EXPECT_TRUE(same_bits(values, decoded));
  }
}

}  // namespace
}  // namespace quire::reference::row_format_test
