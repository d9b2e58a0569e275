// Blocks are split into planes one by one, so that a block and its planes stay in the second-level
// cache, and lz4 works with its small table for inputs of 64 KiB.
#include "tiering/io/byte_plane_codec.h"

#include <lz4.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "model/check.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace quire::tiering {

using model::Errc;
using model::make_error;

namespace {

constexpr uint32_t kPlainFlag = 1u << 31;
constexpr uint64_t kLengthBytes = sizeof(uint32_t);
static_assert(kCodecBlockBytes <= LZ4_MAX_INPUT_SIZE && kCodecBlockBytes < kPlainFlag);

using Block = std::array<std::byte, kCodecBlockBytes>;

uint64_t block_count(uint64_t plain_bytes) {
  return plain_bytes / kCodecBlockBytes + (plain_bytes % kCodecBlockBytes != 0 ? 1 : 0);
}

bool is_element_bytes(uint8_t bytes) {
  return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

#if defined(__SSE2__)

__m128i load(const std::byte* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
void store(std::byte* to, __m128i value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value);
}
// The bytes at even, at odd places of 32.
__m128i even_bytes(__m128i a, __m128i b) {
  const __m128i low = _mm_set1_epi16(0xff);
  return _mm_packus_epi16(_mm_and_si128(a, low), _mm_and_si128(b, low));
}
__m128i odd_bytes(__m128i a, __m128i b) {
  return _mm_packus_epi16(_mm_srli_epi16(a, 8), _mm_srli_epi16(b, 8));
}

// Each of these does 16 elements a step and returns how many it did.
size_t split_wide(const std::byte* plain, size_t count, std::integral_constant<size_t, 2>,
                  std::byte* planes) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m128i a = load(plain + 2 * i);
    const __m128i b = load(plain + 2 * i + 16);
    store(planes + i, even_bytes(a, b));
    store(planes + count + i, odd_bytes(a, b));
  }
  return i;
}

size_t join_wide(const std::byte* planes, size_t count, std::integral_constant<size_t, 2>,
                 std::byte* plain) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m128i even = load(planes + i);
    const __m128i odd = load(planes + count + i);
    store(plain + 2 * i, _mm_unpacklo_epi8(even, odd));
    store(plain + 2 * i + 16, _mm_unpackhi_epi8(even, odd));
  }
  return i;
}

size_t split_wide(const std::byte* plain, size_t count, std::integral_constant<size_t, 4>,
                  std::byte* planes) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const std::byte* from = plain + 4 * i;
    const __m128i a = load(from);
    const __m128i b = load(from + 16);
    const __m128i c = load(from + 32);
    const __m128i d = load(from + 48);
    const __m128i bytes_02_low = even_bytes(a, b);
    const __m128i bytes_02_high = even_bytes(c, d);
    const __m128i bytes_13_low = odd_bytes(a, b);
    const __m128i bytes_13_high = odd_bytes(c, d);
    store(planes + i, even_bytes(bytes_02_low, bytes_02_high));
    store(planes + count + i, even_bytes(bytes_13_low, bytes_13_high));
    store(planes + 2 * count + i, odd_bytes(bytes_02_low, bytes_02_high));
    store(planes + 3 * count + i, odd_bytes(bytes_13_low, bytes_13_high));
  }
  return i;
}

size_t join_wide(const std::byte* planes, size_t count, std::integral_constant<size_t, 4>,
                 std::byte* plain) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m128i byte_0 = load(planes + i);
    const __m128i byte_1 = load(planes + count + i);
    const __m128i byte_2 = load(planes + 2 * count + i);
    const __m128i byte_3 = load(planes + 3 * count + i);
    const __m128i bytes_02_low = _mm_unpacklo_epi8(byte_0, byte_2);
    const __m128i bytes_02_high = _mm_unpackhi_epi8(byte_0, byte_2);
    const __m128i bytes_13_low = _mm_unpacklo_epi8(byte_1, byte_3);
    const __m128i bytes_13_high = _mm_unpackhi_epi8(byte_1, byte_3);
    std::byte* to = plain + 4 * i;
    store(to, _mm_unpacklo_epi8(bytes_02_low, bytes_13_low));
    store(to + 16, _mm_unpackhi_epi8(bytes_02_low, bytes_13_low));
    store(to + 32, _mm_unpacklo_epi8(bytes_02_high, bytes_13_high));
    store(to + 48, _mm_unpackhi_epi8(bytes_02_high, bytes_13_high));
  }
  return i;
}

#endif

template <typename ElementBytes>
size_t split_wide(const std::byte*, size_t, ElementBytes, std::byte*) {
  return 0;
}
template <typename ElementBytes>
size_t join_wide(const std::byte*, size_t, ElementBytes, std::byte*) {
  return 0;
}

// The tail behind the last whole element stays in its place.
template <size_t kElement>
void split(std::span<const std::byte> plain, std::byte* planes) {
  const size_t count = plain.size() / kElement;
  const size_t done =
      split_wide(plain.data(), count, std::integral_constant<size_t, kElement>(), planes);
  for (size_t i = done; i < count; ++i) {
    for (size_t plane = 0; plane < kElement; ++plane) {
      planes[plane * count + i] = plain[i * kElement + plane];
    }
  }
  std::copy(plain.begin() + static_cast<ptrdiff_t>(count * kElement), plain.end(),
            planes + count * kElement);
}

template <size_t kElement>
void join(const std::byte* planes, std::span<std::byte> plain) {
  const size_t count = plain.size() / kElement;
  const size_t done =
      join_wide(planes, count, std::integral_constant<size_t, kElement>(), plain.data());
  for (size_t i = done; i < count; ++i) {
    for (size_t plane = 0; plane < kElement; ++plane) {
      plain[i * kElement + plane] = planes[plane * count + i];
    }
  }
  std::copy(planes + count * kElement, planes + plain.size(),
            plain.begin() + static_cast<ptrdiff_t>(count * kElement));
}

// Where the planes of a block are: in `scratch`, or the block itself when elements are bytes.
const std::byte* planes_of(std::span<const std::byte> block, uint8_t element_bytes,
                           Block& scratch) {
  switch (element_bytes) {
    case 2:
      split<2>(block, scratch.data());
      return scratch.data();
    case 4:
      split<4>(block, scratch.data());
      return scratch.data();
    case 8:
      split<8>(block, scratch.data());
      return scratch.data();
  }
  return block.data();
}

void join_planes(const Block& planes, uint8_t element_bytes, std::span<std::byte> block) {
  if (element_bytes == 2) return join<2>(planes.data(), block);
  if (element_bytes == 4) return join<4>(planes.data(), block);
  join<8>(planes.data(), block);
}

// Bytes of lz4 written to `target`; 0: they would not be fewer than the block or not fit.
size_t compress(std::span<const std::byte> block, uint8_t element_bytes,
                std::span<std::byte> target, Block& scratch) {
  const size_t limit = std::min(target.size(), block.size() - 1);
  const std::byte* planes = planes_of(block, element_bytes, scratch);
  const int written = LZ4_compress_default(reinterpret_cast<const char*>(planes),
                                           reinterpret_cast<char*>(target.data()),
                                           static_cast<int>(block.size()), static_cast<int>(limit));
  return written > 0 ? static_cast<size_t>(written) : 0;
}

// False: the bytes are no lz4 of exactly block.size() bytes.
bool decompress(std::span<const std::byte> from, uint8_t element_bytes, std::span<std::byte> block,
                Block& scratch) {
  std::byte* planes = element_bytes == 1 ? block.data() : scratch.data();
  const int wanted = static_cast<int>(block.size());
  if (LZ4_decompress_safe(reinterpret_cast<const char*>(from.data()),
                          reinterpret_cast<char*>(planes), static_cast<int>(from.size()),
                          wanted) != wanted) {
    return false;
  }
  if (element_bytes != 1) join_planes(scratch, element_bytes, block);
  return true;
}

void put_length(std::byte* to, uint32_t length) {
  for (size_t i = 0; i < kLengthBytes; ++i) to[i] = static_cast<std::byte>(length >> 8 * i);
}
uint32_t get_length(const std::byte* from) {
  uint32_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= static_cast<uint32_t>(from[i]) << 8 * i;
  return length;
}

model::Error corrupt(std::string_view what) {
  return make_error(Errc::kCorrupt, "compressed page: " + std::string(what));
}

}  // namespace

uint64_t byte_plane_bound(uint64_t plain_bytes) {
  return plain_bytes + block_count(plain_bytes) * kLengthBytes;
}

uint64_t byte_plane_encode(std::span<const std::byte> plain, uint8_t element_bytes,
                           std::span<std::byte> stored) {
  QUIRE_CHECK(is_element_bytes(element_bytes));
  alignas(64) Block scratch;
  size_t used = 0;
  while (!plain.empty()) {
    const auto block = plain.first(std::min<size_t>(plain.size(), kCodecBlockBytes));
    plain = plain.subspan(block.size());
    if (stored.size() - used <= kLengthBytes) return 0;
    const std::span<std::byte> target = stored.subspan(used + kLengthBytes);
    const size_t compressed = compress(block, element_bytes, target, scratch);
    if (compressed == 0 && target.size() < block.size()) return 0;
    const size_t bytes = compressed != 0 ? compressed : block.size();
    if (compressed == 0) std::memcpy(target.data(), block.data(), block.size());
    const uint32_t flag = compressed != 0 ? 0 : kPlainFlag;
    put_length(stored.data() + used, static_cast<uint32_t>(bytes) | flag);
    used += kLengthBytes + bytes;
  }
  return used;
}

model::Result<void> byte_plane_decode(std::span<const std::byte> stored, uint8_t element_bytes,
                                      std::span<std::byte> plain) {
  if (!is_element_bytes(element_bytes)) return corrupt("no elements of such a size");
  alignas(64) Block scratch;
  while (!plain.empty()) {
    const auto block = plain.first(std::min<size_t>(plain.size(), kCodecBlockBytes));
    plain = plain.subspan(block.size());
    if (stored.size() <= kLengthBytes) return corrupt("it ends before its last block");
    const uint32_t length = get_length(stored.data());
    const size_t bytes = length & ~kPlainFlag;
    stored = stored.subspan(kLengthBytes);
    if (bytes == 0 || bytes > stored.size()) return corrupt("a block ends behind it");
    const auto from = stored.first(bytes);
    stored = stored.subspan(bytes);
    if ((length & kPlainFlag) != 0) {
      if (bytes != block.size()) return corrupt("a plain block of another size");
      std::memcpy(block.data(), from.data(), bytes);
    } else {
      if (bytes >= block.size()) return corrupt("a block that is not smaller");
      if (!decompress(from, element_bytes, block, scratch)) return corrupt("a block is damaged");
    }
  }
  if (!stored.empty()) return corrupt("bytes behind its last block");
  return {};
}

bool CodecSampler::should_try() {
  const bool due = pages_ == 0 || observed_ < kSamplesToEnter;
  if (++pages_ >= options_.sample_every) pages_ = 0;
  return due;
}

void CodecSampler::observe(uint64_t plain_bytes, uint64_t stored_bytes) {
  if (plain_bytes == 0) return;
  const double ratio = stored_bytes == 0
                           ? 1.0
                           : static_cast<double>(stored_bytes) / static_cast<double>(plain_bytes);
  ++observed_;
  const double weight = std::max(options_.weight, 1 / static_cast<double>(observed_));
  ratio_ += weight * (ratio - ratio_);
  if (worthwhile_) {
    worthwhile_ = ratio_ <= options_.leave_ratio;
  } else {
    worthwhile_ = observed_ >= kSamplesToEnter && ratio_ < options_.worth_ratio;
  }
}

}  // namespace quire::tiering
