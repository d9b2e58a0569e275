// Lossless compression of a page: bytes of equal significance are brought together (byte-plane
// split: byte i of each element goes to plane i, as Blosc's shuffle does), then lz4, each block of
// 64 KiB by itself. Exponents of bf16 and the scale bytes of block formats compress, mantissas do
// not; whether it pays is what CodecSampler says, per group.
//
// Stored form: one after another, for each 64 KiB of plain bytes and the rest
//   [u32 stored bytes, top bit: not compressed][bytes: lz4 of the planes, or the plain bytes]
// little-endian. Decoding checks every length before it is used: any input gives plain.size() bytes
// or kCorrupt; whether they are the right ones is for the page's CRC32C to say.
// No state; threads: any. Pure functions over caller's memory, some 80 KiB of stack as scratch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "model/result.h"

namespace quire::tiering {

inline constexpr uint64_t kCodecBlockBytes = 64 << 10;

// Upper bound of the stored size of `plain_bytes`.
uint64_t byte_plane_bound(uint64_t plain_bytes);
// Bytes written to `stored`; 0: it would not fit there (does not pay), or `plain` is empty; what
// `stored` holds is undefined then. It fits byte_plane_bound(plain.size()). `element_bytes` 1, 2, 4
// or 8; a tail that is no whole element is kept as it is. The ranges must not overlap.
uint64_t byte_plane_encode(std::span<const std::byte> plain, uint8_t element_bytes,
                           std::span<std::byte> stored);
// kCorrupt when `stored` is not an encoding of exactly plain.size() bytes, or no element has
// element_bytes; `plain` is undefined then. The ranges must not overlap.
model::Result<void> byte_plane_decode(std::span<const std::byte> stored, uint8_t element_bytes,
                                      std::span<std::byte> plain);

// Decides per group, from one page in `sample_every`, whether encoding pays: it does once the
// running average of stored / plain, over kSamplesToEnter pages at least, is below `worth_ratio`,
// until it is above `leave_ratio`. The first observations weigh as in a plain average. Core thread
// only.
inline constexpr uint32_t kSamplesToEnter = 4;
struct CodecSamplerOptions {
  uint32_t sample_every = 32;
  double worth_ratio = 0.80;
  double leave_ratio = 0.90;
  double weight = 1.0 / 8;
};

class CodecSampler {
 public:
  explicit CodecSampler(const CodecSamplerOptions& options) : options_(options) {}
  // For pages that are not encoded anyway. True for the first ones and then for one in
  // sample_every: try the codec on it, to learn.
  bool should_try();
  bool worthwhile() const { return worthwhile_; }
  void observe(uint64_t plain_bytes, uint64_t stored_bytes);  // stored 0: did not fit, counts as 1
  double ratio() const { return ratio_; }                     // 1 before the first page
  uint64_t observed() const { return observed_; }             // pages

 private:
  CodecSamplerOptions options_;
  double ratio_ = 1.0;
  uint32_t pages_ = 0;  // since the last one to try
  uint64_t observed_ = 0;
  bool worthwhile_ = false;
};

}  // namespace quire::tiering
