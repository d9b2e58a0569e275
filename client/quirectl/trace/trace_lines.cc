#include "client/quirectl/trace/trace_lines.h"

#include <cstring>
#include <vector>

namespace quire::client {

using model::TraceRecord;
using model::TraceRecordKind;

model::Result<void> TraceLines::take(std::string_view bytes) {
  bytes_.append(bytes);
  size_t at = 0;
  std::vector<uint64_t> keys;
  while (bytes_.size() - at >= sizeof(TraceRecord)) {
    TraceRecord record;
    std::memcpy(&record, bytes_.data() + at, sizeof(record));
    const bool known = record.kind >= static_cast<uint32_t>(TraceRecordKind::kRequest) &&
                       record.kind <= static_cast<uint32_t>(TraceRecordKind::kEnd);
    if (!known || record.key_count > model::kMaxTraceKeys) {
      return model::make_error(model::Errc::kMalformedFrame,
                               "the daemon sent no record of a trace; run quirectl and quired of "
                               "one release");
    }
    const size_t key_bytes = record.key_count * sizeof(uint64_t);
    if (bytes_.size() - at < sizeof(record) + key_bytes) break;
    keys.resize(record.key_count);
    if (!keys.empty()) std::memcpy(keys.data(), bytes_.data() + at + sizeof(record), key_bytes);
    at += sizeof(record) + key_bytes;
    take_record(record, keys);
  }
  bytes_.erase(0, at);
  return {};
}

void TraceLines::take_record(const TraceRecord& record, std::span<const uint64_t> keys) {
  switch (static_cast<TraceRecordKind>(record.kind)) {
    case TraceRecordKind::kRequest:
      take_request(record, keys);
      break;
    case TraceRecordKind::kWritten:
      // Numbered also where its request is not known: a later one may name it.
      for (const uint64_t key : keys) {
        const uint32_t id = number(ids_, key);
        if (Waiting* of = find(record)) of->written.emplace(record.blocks, id);
      }
      break;
    case TraceRecordKind::kTurnEnd:
      if (Waiting* of = find(record)) {
        of->line.output_tokens = record.tokens;
        of->ended = true;
      }
      break;
    case TraceRecordKind::kLost:
      untold_lost_ += record.count;
      totals_.lost_records += record.count;
      break;
    case TraceRecordKind::kEnd:
      // Those that were lost behind the last one that came are told here alone.
      totals_.lost_records = record.count;
      totals_.complete = true;
      break;
  }
  while (!waiting_.empty() && (waiting_.front().ended || waiting_.size() > kMostWaiting ||
                               waiting_ids_ > kMostWaitingIds)) {
    write_front();
  }
}

void TraceLines::take_request(const TraceRecord& record, std::span<const uint64_t> keys) {
  Waiting& waiting = waiting_.emplace_back();
  waiting.turn = {record.session, record.turn};
  by_turn_[waiting.turn] = written_count_ + waiting_.size() - 1;
  TraceLine& line = waiting.line;
  line.timestamp_ms = record.time_us / 1000;
  line.input_tokens = record.tokens;
  line.block_tokens = record.block_tokens;
  line.hit_tokens = record.hit_tokens;
  line.cut_blocks = record.blocks;
  line.lost_before = std::exchange(untold_lost_, 0);
  // From 1 on: 0 says that nothing is known.
  line.tenant = number(tenants_, record.tenant) + 1;
  line.conversation = number(conversations_, record.conversation) + 1;
  line.ids.reserve(keys.size());
  for (const uint64_t key : keys) line.ids.push_back(number(ids_, key));
  waiting_ids_ += line.ids.size();
  ++totals_.requests;
  totals_.prompt_tokens += record.tokens;
  totals_.hit_tokens += record.hit_tokens;
  if (record.blocks > 0) ++totals_.cut_requests;
}

TraceLines::Waiting* TraceLines::find(const TraceRecord& record) {
  const auto found = by_turn_.find({record.session, record.turn});
  return found == by_turn_.end() ? nullptr : &waiting_[found->second - written_count_];
}

// Blocks behind the prompt, as far as they follow on it without a gap: an id names what is before
// it.
void TraceLines::write_front() {
  Waiting& front = waiting_.front();
  waiting_ids_ -= front.line.ids.size();
  if (front.line.cut_blocks == 0) {
    auto block = static_cast<uint32_t>(front.line.ids.size());
    for (auto next = front.written.find(block); next != front.written.end() && next->first == block;
         ++next, ++block) {
      front.line.output_ids.push_back(next->second);
    }
  }
  write_(front.line);
  by_turn_.erase(front.turn);
  waiting_.pop_front();
  ++written_count_;
}

void TraceLines::finish() {
  while (!waiting_.empty()) write_front();
}

uint32_t TraceLines::number(std::unordered_map<uint64_t, uint32_t>& numbers, uint64_t key) {
  return numbers.emplace(key, static_cast<uint32_t>(numbers.size())).first->second;
}

}  // namespace quire::client
