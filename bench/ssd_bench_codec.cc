#include "bench/ssd_bench_codec.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "bench/measure.h"
#include "bench/ssd_bench_work.h"
#include "model/check.h"
#include "tiering/io/byte_plane_codec.h"

namespace quire::bench {

namespace {

using Bytes = std::vector<std::byte>;

constexpr size_t kBytes = 16 << 20;
constexpr int kCodecRounds = 5;

struct Content {
  const char* name;
  uint8_t element_bytes;
  std::function<void(Bytes&)> fill;
};

// A bf16 is the upper half of a float.
void put_bf16(Bytes& bytes, size_t at, float value) {
  const auto half = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  std::memcpy(&bytes[at], &half, sizeof(half));
}

// E4M3: sign, four bits of exponent, three of fraction.
std::byte to_fp8(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const int exponent = std::clamp(static_cast<int>(bits >> 23 & 0xff) - 127 + 7, 0, 15);
  return static_cast<std::byte>((bits >> 24 & 0x80) | static_cast<uint32_t>(exponent) << 3 |
                                (bits >> 20 & 7));
}

std::vector<Content> contents() {
  constexpr size_t kRowBytes = 576;  // 512 fp8 and their scales
  constexpr size_t kFp8Bytes = 512;
  return {
      {"bf16, normal", 2,
       [](Bytes& bytes) {
         std::mt19937_64 random(1);
         std::normal_distribution<float> normal;
         for (size_t i = 0; i < bytes.size(); i += 2) put_bf16(bytes, i, normal(random));
       }},
      {"bf16, half of it zero", 2,
       [](Bytes& bytes) {
         std::mt19937_64 random(2);
         std::normal_distribution<float> normal;
         for (size_t i = 0; i < bytes.size(); i += 2) {
           put_bf16(bytes, i, i % 4096 < 2048 ? normal(random) : 0);
         }
       }},
      {"fp8, normal, with scales", 1,
       [](Bytes& bytes) {
         std::mt19937_64 random(3);
         std::normal_distribution<float> normal;
         for (size_t i = 0; i < bytes.size(); ++i) {
           bytes[i] = i % kRowBytes < kFp8Bytes ? to_fp8(normal(random) * 8)
                                                : static_cast<std::byte>(0x7f - random() % 3);
         }
       }},
      {"random", 2,
       [](Bytes& bytes) {
         std::mt19937_64 random(4);
         for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
       }},
  };
}

double best_gib_s(const std::function<void()>& work) {
  double best = 0;
  for (int i = 0; i < kCodecRounds; ++i) {
    const Stopwatch watch;
    work();
    best = std::max(best, static_cast<double>(kBytes) / kGiB / watch.seconds());
  }
  return best;
}

}  // namespace

CodecFigures measure_codec() {
  CodecFigures figures;
  Bytes plain(kBytes);
  Bytes back(kBytes);
  Bytes stored(tiering::byte_plane_bound(kBytes));
  for (const Content& content : contents()) {
    content.fill(plain);
    uint64_t bytes = 0;
    CodecFigure figure{.content = content.name};
    figure.encode_gib_s = best_gib_s(
        [&] { bytes = tiering::byte_plane_encode(plain, content.element_bytes, stored); });
    const std::span<const std::byte> encoded = std::span(stored).first(bytes);
    figure.decode_gib_s = best_gib_s([&] {
      QUIRE_CHECK(tiering::byte_plane_decode(encoded, content.element_bytes, back).ok());
    });
    QUIRE_CHECK(back == plain);
    figure.ratio = static_cast<double>(bytes) / static_cast<double>(kBytes);
    figure.pays = figure.ratio < tiering::CodecSamplerOptions{}.worth_ratio;
    figures.contents.push_back(figure);
  }
  figures.memcpy_gib_s = best_gib_s([&] { std::memcpy(back.data(), plain.data(), kBytes); });
  return figures;
}

}  // namespace quire::bench
