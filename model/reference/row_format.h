// Rows as they lie in pages, after FlashMLA "MODEL1" (fp8_ds_mla) and the V4 report
// (arXiv 2606.19348). A row is two ranges, data and footer; a section holds many rows:
//
//   | data 0 | data 1 | ... | data n-1 | footer 0 | ... | footer n-1 | zero pad |
//
//   main row   data   = nope x FP8 E4M3, then rope x BF16 (little endian)
//              footer = one UE8M0 per 64 nope channels, zero padded to a multiple of 8 with at
//                       least one pad byte (V4: 7 scales + 1 pad)
//   index FP4  data   = two E2M1 a byte, even channel in the low half; footer = UE8M0 per 32
//   index FP8  data   = E4M3; footer = one FP32 scale
//
// V4 (448 + 64, index 128): 576 + 8 = 584, 64 + 4 = 68, 128 + 4 = 132 bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/reference/decoder_config.h"

namespace quire::reference {

struct RowFormat {
  enum class Kind : uint8_t { kMain, kIndexFp4, kIndexFp8 };
  Kind kind = Kind::kMain;
  uint32_t dims = 0;       // channels of a decoded row
  uint32_t nope_dims = 0;  // kMain only: the first channels, stored as FP8
  uint32_t data_bytes = 0;
  uint32_t footer_bytes = 0;

  uint32_t row_bytes() const { return data_bytes + footer_bytes; }
};

RowFormat main_row_format(const DecoderConfig& config);
RowFormat index_row_format(const DecoderConfig& config);

// Where a run of rows lies inside a page. Offsets are bytes from the page's start.
struct Section {
  RowFormat format;
  uint32_t rows = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;  // data, footers and pad

  uint64_t data_offset(uint32_t row) const { return offset + uint64_t{row} * format.data_bytes; }
  uint64_t footer_offset(uint32_t row) const {
    return offset + uint64_t{rows} * format.data_bytes + uint64_t{row} * format.footer_bytes;
  }
};

// align_bytes = 1: no pad.
Section make_section(const RowFormat& format, uint32_t rows, uint64_t offset, uint64_t align_bytes);

// Quantise format.dims floats into row `row` of the section at `page`, or read them back.
void encode_row(const Section& section, uint32_t row, const float* values, std::byte* page);
void decode_row(const Section& section, uint32_t row, const std::byte* page, float* values);

// Asks the processor for a row that will be decoded soon. Chosen CSA rows lie far apart.
void prefetch_row(const Section& section, uint32_t row, const std::byte* page);

}  // namespace quire::reference
