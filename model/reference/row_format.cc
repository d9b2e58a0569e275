#include "model/reference/row_format.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/reference/number_formats.h"

namespace quire::reference {
namespace {

constexpr uint32_t kMainGroup = 64;   // nope channels per UE8M0
constexpr uint32_t kIndexGroup = 32;  // FP4 channels per UE8M0

uint64_t round_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

float largest_magnitude(const float* values, uint32_t count) {
  float largest = 0.0f;
  for (uint32_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(values[i]));
  return largest;
}

void encode_main(const RowFormat& format, const float* values, uint8_t* data, uint8_t* footer) {
  std::memset(footer, 0, format.footer_bytes);
  for (uint32_t start = 0; start < format.nope_dims; start += kMainGroup) {
    const uint8_t code = choose_ue8m0(largest_magnitude(values + start, kMainGroup), kE4m3Max);
    footer[start / kMainGroup] = code;
    const float scale = decode_ue8m0(code);
    for (uint32_t i = start; i < start + kMainGroup; ++i) data[i] = encode_e4m3(values[i] / scale);
  }
  for (uint32_t i = format.nope_dims; i < format.dims; ++i) {
    const uint16_t code = encode_bf16(values[i]);
    uint8_t* at = data + format.nope_dims + size_t{2} * (i - format.nope_dims);
    at[0] = static_cast<uint8_t>(code);
    at[1] = static_cast<uint8_t>(code >> 8);
  }
}

void decode_main(const RowFormat& format, const uint8_t* data, const uint8_t* footer,
                 float* values) {
  for (uint32_t start = 0; start < format.nope_dims; start += kMainGroup) {
    const float scale = decode_ue8m0(footer[start / kMainGroup]);
    for (uint32_t i = start; i < start + kMainGroup; ++i) values[i] = decode_e4m3(data[i]) * scale;
  }
  for (uint32_t i = format.nope_dims; i < format.dims; ++i) {
    const uint8_t* at = data + format.nope_dims + size_t{2} * (i - format.nope_dims);
    values[i] = decode_bf16(static_cast<uint16_t>(at[0] | at[1] << 8));
  }
}

void encode_index_fp4(const RowFormat& format, const float* values, uint8_t* data,
                      uint8_t* footer) {
  for (uint32_t start = 0; start < format.dims; start += kIndexGroup) {
    const uint8_t code = choose_ue8m0(largest_magnitude(values + start, kIndexGroup), kE2m1Max);
    footer[start / kIndexGroup] = code;
    const float scale = decode_ue8m0(code);
    for (uint32_t i = start; i < start + kIndexGroup; i += 2) {
      const uint8_t low = encode_e2m1(values[i] / scale);
      const uint8_t high = encode_e2m1(values[i + 1] / scale);
      data[i / 2] = static_cast<uint8_t>(low | high << 4);
    }
  }
}

void decode_index_fp4(const RowFormat& format, const uint8_t* data, const uint8_t* footer,
                      float* values) {
  for (uint32_t i = 0; i < format.dims; i += 2) {
    const float scale = decode_ue8m0(footer[i / kIndexGroup]);
    values[i] = decode_e2m1(data[i / 2]) * scale;
    values[i + 1] = decode_e2m1(data[i / 2] >> 4) * scale;
  }
}

void encode_index_fp8(const RowFormat& format, const float* values, uint8_t* data,
                      uint8_t* footer) {
  const float largest = largest_magnitude(values, format.dims);
  const float scale = largest > 0.0f ? largest / kE4m3Max : 1.0f;
  std::memcpy(footer, &scale, sizeof(scale));
  for (uint32_t i = 0; i < format.dims; ++i) data[i] = encode_e4m3(values[i] / scale);
}

void decode_index_fp8(const RowFormat& format, const uint8_t* data, const uint8_t* footer,
                      float* values) {
  float scale = 0.0f;
  std::memcpy(&scale, footer, sizeof(scale));
  for (uint32_t i = 0; i < format.dims; ++i) values[i] = decode_e4m3(data[i]) * scale;
}

}  // namespace

RowFormat main_row_format(const DecoderConfig& config) {
  return {.kind = RowFormat::Kind::kMain,
          .dims = config.head_dims(),
          .nope_dims = config.nope_dims,
          .data_bytes = config.nope_dims + 2 * config.rope_dims,
          .footer_bytes = static_cast<uint32_t>(round_up(config.nope_dims / kMainGroup + 1, 8))};
}

RowFormat index_row_format(const DecoderConfig& config) {
  RowFormat format{.kind = RowFormat::Kind::kIndexFp8,
                   .dims = config.index_dim,
                   .data_bytes = config.index_dim,
                   .footer_bytes = sizeof(float)};
  if (config.index_format == IndexFormat::kFp4) {
    format.kind = RowFormat::Kind::kIndexFp4;
    format.data_bytes = config.index_dim / 2;
    format.footer_bytes = config.index_dim / kIndexGroup;
  }
  return format;
}

Section make_section(const RowFormat& format, uint32_t rows, uint64_t offset,
                     uint64_t align_bytes) {
  return {.format = format,
          .rows = rows,
          .offset = offset,
          .bytes = round_up(uint64_t{rows} * format.row_bytes(), align_bytes)};
}

void encode_row(const Section& section, uint32_t row, const float* values, std::byte* page) {
  auto* data = reinterpret_cast<uint8_t*>(page + section.data_offset(row));
  auto* footer = reinterpret_cast<uint8_t*>(page + section.footer_offset(row));
  switch (section.format.kind) {
    case RowFormat::Kind::kMain:
      return encode_main(section.format, values, data, footer);
    case RowFormat::Kind::kIndexFp4:
      return encode_index_fp4(section.format, values, data, footer);
    case RowFormat::Kind::kIndexFp8:
      return encode_index_fp8(section.format, values, data, footer);
  }
}

void decode_row(const Section& section, uint32_t row, const std::byte* page, float* values) {
  const auto* data = reinterpret_cast<const uint8_t*>(page + section.data_offset(row));
  const auto* footer = reinterpret_cast<const uint8_t*>(page + section.footer_offset(row));
  switch (section.format.kind) {
    case RowFormat::Kind::kMain:
      return decode_main(section.format, data, footer, values);
    case RowFormat::Kind::kIndexFp4:
      return decode_index_fp4(section.format, data, footer, values);
    case RowFormat::Kind::kIndexFp8:
      return decode_index_fp8(section.format, data, footer, values);
  }
}

void prefetch_row(const Section& section, uint32_t row, const std::byte* page) {
  constexpr uint32_t kCacheLine = 64;
  const std::byte* data = page + section.data_offset(row);
  for (uint32_t at = 0; at < section.format.data_bytes; at += kCacheLine) {
    __builtin_prefetch(data + at);
  }
  __builtin_prefetch(page + section.footer_offset(row));
}

}  // namespace quire::reference
