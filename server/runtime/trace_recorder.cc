#include "server/runtime/trace_recorder.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <span>
#include <utility>

#include "model/chain_hash.h"

namespace quire::server {

using model::Errc;
using model::Result;
using model::TraceRecord;
using model::TraceRecordKind;

namespace {

// Looked at so often; the queue holds what comes meanwhile, and the pipe is empty again by then.
constexpr std::chrono::milliseconds kBetweenLooks{20};
constexpr int kRecordsAtOnce = 256;

constexpr uint32_t kRecordWords = sizeof(TraceRecord) / sizeof(uint64_t);
using RecordWords = std::array<uint64_t, kRecordWords>;

uint32_t kind(TraceRecordKind of) { return static_cast<uint32_t>(of); }

// Users may have tenants of the same name, and number their conversations alike.
uint64_t of_user(uint32_t uid, uint64_t value) {
  return (value ^ uint64_t{uid} << 32) * 0x9e3779b97f4a7c15ull;
}

}  // namespace

Result<void> TraceRecorder::start(TraceStart start) {
  reclaim();
  const auto free = std::find_if(recordings_.begin(), recordings_.end(), [](const Recording& one) {
    return one.phase.load(std::memory_order_acquire) == Phase::kFree;
  });
  if (free == recordings_.end()) {
    return model::make_error(Errc::kBusy, "two recordings are under way; end one of them");
  }
  model::Hash256 key;
  if (::getrandom(key.bytes.data(), key.bytes.size(), 0) !=
      static_cast<ssize_t>(key.bytes.size())) {
    return model::errno_error("getrandom");
  }
  if (with_thread_ && !helper_.started()) {
    // Gives way to copies and commits, as ghosts do.
    QUIRE_TRY(helper_.start({.name = "quire-trace", .niceness = 10},
                            [this](const std::stop_token&) { return run_once(); }));
  }
  free->queue = std::make_unique<tiering::SpscQueue<uint64_t>>(kQueueWords);
  free->owner = start.owner;
  free->filter = std::move(start.filter);
  free->untold_lost = 0;
  free->lost.store(0, std::memory_order_relaxed);
  free->writer.emplace(std::move(start.write_end));
  free->key = key;
  free->start_ns = clock_->now_ns();
  free->until_ns = start.for_ns > 0 ? free->start_ns + start.for_ns : INT64_MAX;
  free->close_by_ns = 0;
  free->record.clear();
  free->end_is_put = false;
  free->phase.store(Phase::kRecording, std::memory_order_release);
  active_ = true;
  if (with_thread_) helper_.wake();
  return {};
}

void TraceRecorder::forget(const void* owner) {
  if (!active_) return;
  for (Recording& one : recordings_) {
    if (one.owner != owner) continue;
    one.owner = nullptr;
    // Unless the helper found before that nobody reads.
    Phase recording = Phase::kRecording;
    one.phase.compare_exchange_strong(recording, Phase::kClosing, std::memory_order_acq_rel);
  }
}

void TraceRecorder::reclaim() {
  if (!active_) return;
  active_ = false;
  for (Recording& one : recordings_) {
    if (one.phase.load(std::memory_order_acquire) == Phase::kGone) {
      one.queue.reset();
      one.owner = nullptr;
      one.phase.store(Phase::kFree, std::memory_order_release);
    }
    active_ = active_ || one.phase.load(std::memory_order_relaxed) != Phase::kFree;
  }
}

// All of a record or nothing: the helper waits for the end of what was begun.
void TraceRecorder::push(Recording& to, const TraceRecord& record, const TraceMatch* match) {
  const uint32_t told = to.untold_lost > 0 ? kRecordWords : 0;
  if (kQueueWords - to.queue->size() < told + kRecordWords + record.key_count) {
    ++to.untold_lost;
    to.lost.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const auto push_words = [&](const TraceRecord& one) {
    for (const uint64_t word : std::bit_cast<RecordWords>(one)) to.queue->push(word);
  };
  if (told > 0) {
    push_words({.kind = kind(TraceRecordKind::kLost),
                .time_us = record.time_us,
                .count = std::exchange(to.untold_lost, 0)});
  }
  push_words(record);
  if (match == nullptr) return;
  for (uint32_t block = 1; block <= record.key_count; ++block) {
    to.queue->push(match->chain.after(block * match->units_per_block).word(1));
  }
}

// `complete_and_push`: called for each recording that the turn belongs to, with a record that says
// when, and of which turn.
template <typename Push>
void TraceRecorder::tell(const TraceTurn& turn, Push complete_and_push) {
  const int64_t now_us = clock_->now_ns() / 1000;
  for (Recording& one : recordings_) {
    if (one.phase.load(std::memory_order_acquire) != Phase::kRecording) continue;
    if (one.filter.uid && *one.filter.uid != turn.uid) continue;
    if (one.filter.tenant && *one.filter.tenant != turn.tenant) continue;
    complete_and_push(one,
                      TraceRecord{.time_us = now_us, .session = turn.session, .turn = turn.turn});
  }
}

void TraceRecorder::matched(const TraceMatch& match) {
  const uint32_t hashed = match.chain.count() / match.units_per_block;
  const uint32_t blocks = std::min(hashed, match.prompt_tokens / match.block_tokens);
  const uint32_t keys = std::min(blocks, model::kMaxTraceKeys);
  tell(match.turn, [&](Recording& one, TraceRecord record) {
    record.kind = kind(TraceRecordKind::kRequest);
    record.key_count = keys;
    record.block_tokens = match.block_tokens;
    record.tokens = match.prompt_tokens;
    record.hit_tokens = match.hit_tokens;
    record.tenant = of_user(match.turn.uid, std::hash<std::string_view>{}(match.turn.tenant));
    record.conversation = of_user(match.turn.uid, match.conversation);
    record.blocks = blocks - keys;
    push(one, record, &match);
  });
}

void TraceRecorder::wrote(const TraceTurn& turn, uint32_t block, const model::Hash256& key) {
  tell(turn, [&](Recording& one, TraceRecord record) {
    record.kind = kind(TraceRecordKind::kWritten);
    record.blocks = block;
    record.count = key.word(1);
    push(one, record, nullptr);
  });
}

void TraceRecorder::ended(const TraceTurn& turn, uint64_t output_tokens) {
  tell(turn, [&](Recording& one, TraceRecord record) {
    record.kind = kind(TraceRecordKind::kTurnEnd);
    record.tokens = static_cast<uint32_t>(std::min<uint64_t>(output_tokens, UINT32_MAX));
    push(one, record, nullptr);
  });
}

bool TraceRecorder::take_record(Recording& from) {
  const auto wanted = [&]() -> size_t {
    if (from.record.size() < kRecordWords) return kRecordWords;
    return kRecordWords + static_cast<size_t>(from.record.front() >> 32);
  };
  uint64_t word = 0;
  while (from.record.size() < wanted()) {
    if (!from.queue->pop(&word)) return false;
    from.record.push_back(word);
  }
  return true;
}

// A hash of 64 bits could be looked for in what somebody else knows; with the recording's key it is
// a number like any other.
void TraceRecorder::make_keyed(Recording& of) {
  const auto keyed = [&](uint64_t word) {
    std::array<std::byte, sizeof(of.key) + sizeof(word)> bytes;
    std::memcpy(bytes.data(), of.key.bytes.data(), sizeof(of.key));
    std::memcpy(bytes.data() + sizeof(of.key), &word, sizeof(word));
    return model::sha256(bytes).word(0);
  };
  RecordWords words;
  std::copy_n(of.record.begin(), kRecordWords, words.begin());
  auto record = std::bit_cast<TraceRecord>(words);
  record.time_us = std::max<int64_t>(0, record.time_us - of.start_ns / 1000);
  if (record.session != 0) record.session = keyed(record.session);
  if (record.kind == kind(TraceRecordKind::kRequest)) {
    record.tenant = keyed(record.tenant);
    record.conversation = keyed(record.conversation);
  }
  for (size_t i = kRecordWords; i < of.record.size(); ++i) of.record[i] = keyed(of.record[i]);
  if (record.kind == kind(TraceRecordKind::kWritten)) {
    of.record.push_back(keyed(std::exchange(record.count, 0)));
    record.key_count = 1;
  }
  words = std::bit_cast<RecordWords>(record);
  std::copy(words.begin(), words.end(), of.record.begin());
}

bool TraceRecorder::send(Recording& from) {
  const int64_t now_ns = clock_->now_ns();
  if (from.writer->reader_gone()) {
    close(from);
    return false;
  }
  if (now_ns >= from.until_ns) {
    Phase recording = Phase::kRecording;
    from.phase.compare_exchange_strong(recording, Phase::kClosing, std::memory_order_acq_rel);
  }
  // Before the queue is looked at: what the core pushed before it closed the recording is there.
  const bool closing = from.phase.load(std::memory_order_acquire) == Phase::kClosing;
  if (closing && from.close_by_ns == 0) from.close_by_ns = now_ns + kDrainNs;
  for (int i = 0; i < kRecordsAtOnce; ++i) {
    if (!from.writer->flush()) {
      if (closing && now_ns >= from.close_by_ns) close(from);
      return false;
    }
    if (from.end_is_put) {
      close(from);
      return false;
    }
    if (take_record(from)) {
      make_keyed(from);
    } else if (closing) {
      const TraceRecord end{.kind = kind(TraceRecordKind::kEnd),
                            .time_us = (now_ns - from.start_ns) / 1000,
                            .count = from.lost.load(std::memory_order_relaxed)};
      const auto words = std::bit_cast<RecordWords>(end);
      from.record.assign(words.begin(), words.end());
      from.end_is_put = true;
    } else {
      return false;
    }
    from.writer->put(
        {reinterpret_cast<const char*>(from.record.data()), from.record.size() * sizeof(uint64_t)});
    from.record.clear();
  }
  return true;
}

void TraceRecorder::close(Recording& recording) {
  recording.writer.reset();
  recording.phase.store(Phase::kGone, std::memory_order_release);
}

std::chrono::milliseconds TraceRecorder::run_once() {
  bool more = false;
  bool any = false;
  for (Recording& one : recordings_) {
    const Phase phase = one.phase.load(std::memory_order_acquire);
    if (phase != Phase::kRecording && phase != Phase::kClosing) continue;
    any = true;
    more = send(one) || more;
  }
  if (more) return model::HelperThread::kAtOnce;
  return any ? kBetweenLooks : model::HelperThread::kUntilWoken;
}

}  // namespace quire::server
