#include "model/receipts/ledger_stream.h"

#include <algorithm>
#include <cstring>

namespace quire::model {

void append_frame(std::string& stream, StreamKind kind, std::string_view payload) {
  const StreamFrame frame{kind, static_cast<uint32_t>(payload.size())};
  stream.append(reinterpret_cast<const char*>(&frame), sizeof(frame));
  stream.append(payload);
}

void append_end(std::string& stream, const LedgerHead& head, const Result<void>& result) {
  StreamEnd end;
  end.head = head;
  if (!result.ok()) {
    end.code = static_cast<int32_t>(result.code());
    const std::string& text = result.error().text;
    std::memcpy(end.text.data(), text.data(), std::min(text.size(), end.text.size() - 1));
  }
  append_frame(stream, StreamKind::kEnd, {reinterpret_cast<const char*>(&end), sizeof(end)});
}

void append_rollup(std::string& stream, const Rollup& rollup) {
  std::string payload(reinterpret_cast<const char*>(&rollup.key), sizeof(rollup.key));
  payload.append(reinterpret_cast<const char*>(&rollup.sums), sizeof(rollup.sums));
  for (const std::string_view text : rollup.texts) {
    payload.push_back(static_cast<char>(text.size()));
    payload += text;
  }
  append_frame(stream, StreamKind::kRollup, payload);
}

Result<Rollup> parse_rollup(std::string_view payload) {
  Rollup rollup;
  constexpr size_t kFixed = sizeof(rollup.key) + sizeof(rollup.sums);
  if (payload.size() < kFixed) return make_error(Errc::kCorrupt, "a sum of receipts is cut off");
  std::memcpy(&rollup.key, payload.data(), sizeof(rollup.key));
  std::memcpy(&rollup.sums, payload.data() + sizeof(rollup.key), sizeof(rollup.sums));
  payload.remove_prefix(kFixed);
  for (std::string_view& text : rollup.texts) {
    if (payload.empty() || payload.size() - 1 < static_cast<uint8_t>(payload[0])) {
      return make_error(Errc::kCorrupt, "a sum of receipts is cut off in its texts");
    }
    text = payload.substr(1, static_cast<uint8_t>(payload[0]));
    payload.remove_prefix(1 + text.size());
  }
  return rollup;
}

std::span<char> StreamReader::room(size_t least) {
  // What was given out makes place first.
  bytes_.erase(0, begin_);
  end_ -= begin_;
  begin_ = 0;
  if (bytes_.size() - end_ < least) bytes_.resize(end_ + least);
  return std::span(bytes_).subspan(end_);
}

Result<std::optional<StreamReader::Frame>> StreamReader::next() {
  StreamFrame frame;
  if (left() < sizeof(frame)) return std::optional<Frame>();
  std::memcpy(&frame, bytes_.data() + begin_, sizeof(frame));
  if (frame.kind < StreamKind::kBlock || frame.kind > StreamKind::kEnd ||
      frame.payload_bytes > kMaxBlockBytes) {
    return make_error(Errc::kCorrupt, "this is no stream of a ledger");
  }
  if (left() < sizeof(frame) + frame.payload_bytes) return std::optional<Frame>();
  const size_t payload = begin_ + sizeof(frame);
  begin_ = payload + frame.payload_bytes;
  return std::optional<Frame>(
      {frame.kind, std::string_view(bytes_).substr(payload, frame.payload_bytes)});
}

}  // namespace quire::model
