// A ledger as it is handed to a reader: frames through a pipe, from the daemon or from `quired`
// reading a directory.
//
//   [StreamFrame][payload] ...
//
//   kBlock   bytes of a block (ledger_block.h), in the order of the chain
//   kRollup  RollupKey, RollupSums, then its texts: u8 length, bytes, each
//   kEnd     StreamEnd: the last frame. A stream without one was cut off.
//
// Threads: any; values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/receipts/ledger_block.h"
#include "model/receipts/rollup.h"

namespace quire::model {

enum class StreamKind : uint32_t { kBlock = 1, kRollup = 2, kEnd = 3 };

struct StreamFrame {
  StreamKind kind = StreamKind::kEnd;
  uint32_t payload_bytes = 0;
};
static_assert(sizeof(StreamFrame) == 8);

struct StreamEnd {
  int32_t code = 0;  // Errc: why it ends
  uint32_t reserved = 0;
  LedgerHead head;  // of the ledger, when the last block was read
  std::array<char, 192> text{};
};
static_assert(sizeof(StreamEnd) == 248);

struct Rollup {
  RollupKey key;
  RollupSums sums;
  std::array<std::string_view, kRollupTexts> texts;  // lent by the payload
};

void append_frame(std::string& stream, StreamKind kind, std::string_view payload);
void append_end(std::string& stream, const LedgerHead& head, const Result<void>& result);
void append_rollup(std::string& stream, const Rollup& rollup);
// kCorrupt.
Result<Rollup> parse_rollup(std::string_view payload);

// Cuts a stream of bytes into frames.
class StreamReader {
 public:
  struct Frame {
    StreamKind kind = StreamKind::kEnd;
    std::string_view payload;  // until the next call
  };
  // Where the next bytes go: at least `least` of them.
  std::span<char> room(size_t least = size_t{1} << 18);
  void filled(size_t bytes) { end_ += bytes; }
  // The next whole frame; none until more is filled in. kCorrupt: no stream of a ledger.
  Result<std::optional<Frame>> next();
  // Bytes that are of no whole frame yet.
  size_t left() const { return end_ - begin_; }

 private:
  std::string bytes_;
  size_t begin_ = 0;  // of what was not given out
  size_t end_ = 0;
};

}  // namespace quire::model
