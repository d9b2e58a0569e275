// Where receipts are kept: what the core tells goes into a queue, and a thread makes it durable in
// a chain (ledger_writer.h).
//
//   core: on_turn, on_open_turn, on_told, hold --> queue --thread: within a second--> LedgerWriter
//   core: status() <-------------------------------------- Guarded by a lock
//   core: send(query, pipe) ------------------------------> LedgerExport --> reader
//
// 1. The core never waits, and makes no system call but to read the clock: the thread looks by
//    itself, every kLook.
// 2. A device that takes no writes stops the ledger and nothing else (law 9): receipts wait in the
//    queue, and when that is full they are counted and lost; an entry of the chain says how many,
//    when and of how many tokens. It is tried again every kRetryNs.
// 3. Who ends turns faster than the device takes them pays with its own receipts: while the queue
// is
//    more than half full a domain has at most a quarter of it.
//
// Threads: core, but for run_once(), which is the thread's. Bounds: kQueueItems, kMaxExports.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cache/tree/namespace_table.h"
#include "model/clock.h"
#include "model/fd_guard.h"
#include "model/helper_thread.h"
#include "model/metrics.h"
#include "model/result.h"
#include "server/metering/ledger_export.h"
#include "server/metering/ledger_item.h"
#include "server/metering/ledger_writer.h"
#include "server/rings/turn.h"
#include "tiering/io/spsc_queue.h"

namespace quire::server {

// Microseconds since 1970.
int64_t wall_clock_us();

struct LedgerOptions {
  LedgerWriterOptions writer;
  int64_t (*wall_us)() = wall_clock_us;
  const model::Clock* clock = nullptr;  // outlives the ledger; null: CLOCK_MONOTONIC
  bool with_thread = true;              // else whoever opened it calls run_once()
};

struct LedgerStatus {
  bool ok = false;
  std::string reason;  // not ok: what is wrong, and what is done about it
  model::LedgerHead head;
  int64_t durable_us = 0;  // everything that ended before is on the device
  LedgerStart start;
  uint64_t waiting = 0;      // receipts and spans of storage that are not durable yet
  uint64_t lost = 0;         // receipts for which there was no room
  uint64_t block_bytes = 0;  // of receipts and what else is in the chain
  uint64_t bytes_written = 0;
  uint64_t missing_writes = 0;  // the database once held so many changes more
};

class Ledger final : public TurnSink {
 public:
  static constexpr uint32_t kQueueItems = 8192;  // some 5 MiB
  static constexpr size_t kMaxExports = 4;
  static constexpr std::chrono::milliseconds kLook{25};
  static constexpr int64_t kCommitEveryNs = 100 * model::kNsPerMs;
  static constexpr int64_t kRetryNs = 5'000 * model::kNsPerMs;
  static constexpr int64_t kUpkeepEveryNs = 60'000 * model::kNsPerMs;
  static constexpr std::chrono::seconds kEndWithin{10};

  // A device that fails, or what is there being damaged, keeps nobody from serving (law 9): it is
  // tried again. kBusy: another process holds it. kUnsupportedVersion.
  static model::Result<std::unique_ptr<Ledger>> open(const LedgerOptions& options);
  // What was told is durable then, and that the epoch ended in order; where the device takes it. A
  // device that hangs holds nobody up: then the ledger is left behind until the process ends.
  static void end(std::unique_ptr<Ledger> ledger);
  ~Ledger() override;

  void on_turn(const TurnRecord& record) override;
  // False while the queue is more than half full: receipts go first.
  bool on_open_turn(const TurnRecord& record) override;
  void on_told() override;
  // What a tenant held over a span of time. Precondition: takes_storage(), or it may be lost.
  bool takes_storage() const { return queue_.size() < kQueueItems / 2; }
  void hold(const model::StorageRecord& record, std::string_view tenant,
            std::string_view retention);
  int64_t wall_us() const { return options_.wall_us(); }

  LedgerStatus status() const;
  // kBusy: kMaxExports are being served.
  model::Result<void> send(const LedgerQuery& query, model::FdGuard pipe);

  // What the thread does between two waits; how long it waits then. A group of receipts is begun
  // here: kCommitEveryNs and a kLook after the oldest of them at most, where the device takes
  // writes.
  std::chrono::milliseconds run_once(const std::stop_token& stop = {});

 private:
  explicit Ledger(const LedgerOptions& options)
      : options_(options),
        clock_(options.clock != nullptr ? options.clock : &system_clock_),
        opened_us_(options.wall_us()),
        opened_ns_(clock_->now_ns()),
        queue_(kQueueItems) {}

  // --- core ---
  void push(const LedgerItem& item);
  bool push_receipt(const LedgerItem& item, model::DomainId domain);
  void lose(const LedgerItem& item);
  bool put(const LedgerItem& item, model::DomainId domain);
  void count_taken();
  bool tell_lost();

  // --- thread ---
  model::Result<void> try_open();
  model::Result<void> check_place() const;
  model::Result<void> write(bool stopping);
  model::Result<void> commit(int64_t now_ns);
  model::Result<void> finish();
  // As the wall clock stood at the start, and what has passed since: one that leaps makes nothing
  // older.
  int64_t steady_us() const;
  LedgerExport::State serve_exports();
  LedgerExport::State serve(LedgerExport& one);
  void publish(const model::Result<void>& result);

  const model::SystemClock system_clock_;
  const LedgerOptions options_;
  const model::Clock* const clock_;
  const int64_t opened_us_;
  const int64_t opened_ns_;
  tiering::SpscQueue<LedgerItem> queue_;
  // Core.
  model::LostRecord lost_;  // not told yet; none: no receipts
  uint64_t lost_count_ = 0;
  LedgerItem item_;  // kept here for its size
  // Of what waits in the queue: whose each is, and how many of each.
  std::vector<model::DomainId> waiting_of_ = std::vector<model::DomainId>(kQueueItems);
  std::array<uint32_t, cache::kMaxDomains> waiting_{};
  uint64_t pushed_ = 0;
  uint64_t popped_ = 0;
  // Thread.
  std::unique_ptr<LedgerWriter> writer_;  // null: it could not be opened yet
  std::vector<std::unique_ptr<LedgerExport>> exports_;
  int64_t committed_ns_ = opened_ns_ - kCommitEveryNs;
  int64_t failed_ns_ = 0;
  int64_t kept_up_ns_ = opened_ns_ - kUpkeepEveryNs;
  bool failed_ = false;
  LedgerItem taken_;
  // Both, for a copy or a swap.
  mutable std::mutex mutex_;
  LedgerStatus status_;
  std::vector<std::unique_ptr<LedgerExport>> new_exports_;
  size_t export_count_ = 0;
  size_t follower_count_ = 0;   // of these, those that go on for ever
  model::HelperThread thread_;  // last: ends before what it uses goes
};

}  // namespace quire::server
