#include "server/metering/ledger.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "server/runtime/log.h"

namespace quire::server {

using model::Errc;
using model::make_error;
using model::Result;
using std::chrono::milliseconds;

namespace {

constexpr off_t kRoomToOpen = 20 << 20;
// The thread is woken before the queue is full; else it looks by itself.
constexpr uint32_t kWakeAt = Ledger::kQueueItems / 2;

// These are the operator's to solve before a start; others may pass.
bool keeps_from_starting(Errc code) {
  return code == Errc::kBusy || code == Errc::kUnsupportedVersion;
}

}  // namespace

int64_t wall_clock_us() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

Result<std::unique_ptr<Ledger>> Ledger::open(const LedgerOptions& options) {
  std::unique_ptr<Ledger> ledger(new Ledger(options));
  const Result<void> opened = ledger->try_open();
  if (!opened.ok() && keeps_from_starting(opened.code())) return std::move(opened).error();
  ledger->failed_ = !opened.ok();
  ledger->failed_ns_ = ledger->clock_->now_ns();
  ledger->publish(opened);
  if (!options.with_thread) return ledger;
  QUIRE_TRY(ledger->thread_.start(
      {.name = "quire-ledger", .niceness = std::nullopt},
      [made = ledger.get()](const std::stop_token& stop) { return made->run_once(stop); }));
  return ledger;
}

Ledger::~Ledger() { thread_.stop(); }

void Ledger::end(std::unique_ptr<Ledger> ledger) {
  if (ledger == nullptr) return;
  if (ledger->thread_.stop_within(kEndWithin)) return;
  log(LogLevel::kError, "the ledger's device does not answer; receipts that wait are lost");
  (void)ledger.release();  // its thread uses it
}

void Ledger::on_turn(const TurnRecord& record) {
  item_.kind = LedgerItem::Kind::kReceipt;
  fill_receipt(record, wall_us(), item_);
  if (!push_receipt(item_, record.domain)) lose(item_);
}

bool Ledger::on_open_turn(const TurnRecord& record) {
  if (queue_.size() >= kQueueItems / 2) return false;
  item_.kind = LedgerItem::Kind::kOpenTurn;
  fill_receipt(record, wall_us(), item_);
  return put(item_, record.domain);
}

void Ledger::on_told() {
  // Receipts that were lost are told before the time in which they were.
  if (!tell_lost()) return;
  item_.kind = LedgerItem::Kind::kTick;
  item_.now_us = wall_us();
  put(item_, {});
}

void Ledger::hold(const model::StorageRecord& record, std::string_view tenant,
                  std::string_view retention) {
  item_.kind = LedgerItem::Kind::kStorage;
  item_.storage = record;
  item_.texts.set(0, tenant);
  item_.texts.set(1, retention);
  put(item_, {});
}

bool Ledger::push_receipt(const LedgerItem& item, model::DomainId domain) {
  count_taken();
  const bool has_its_share = queue_.size() < kQueueItems / 2 || !domain.valid() ||
                             waiting_[domain.value] < kQueueItems / 4;
  // Behind a receipt that has room: one entry says of many that they had none.
  return has_its_share && tell_lost() && put(item, domain);
}

bool Ledger::tell_lost() {
  if (lost_.receipts == 0) return true;
  LedgerItem lost;
  lost.kind = LedgerItem::Kind::kLost;
  lost.lost = lost_;
  if (!put(lost, {})) return false;
  lost_ = {};
  return true;
}

// What the thread has taken meanwhile waits no more.
void Ledger::count_taken() {
  for (const uint64_t waiting = queue_.size(); popped_ + waiting < pushed_; ++popped_) {
    const model::DomainId domain = waiting_of_[popped_ % kQueueItems];
    if (domain.valid()) --waiting_[domain.value];
  }
}

bool Ledger::put(const LedgerItem& item, model::DomainId domain) {
  count_taken();
  // Memory that went out of the core's caches since it was here last, and each line of it is a
  // wait: no more than there has to be, and the next receipt's are on their way by then.
  const size_t bytes = item.used_bytes();
  if (!queue_.push(item, bytes)) return false;
  queue_.prefetch_push(bytes);
  waiting_of_[pushed_++ % kQueueItems] = domain;
  if (domain.valid()) ++waiting_[domain.value];
  if (queue_.size() == kWakeAt) thread_.wake();
  return true;
}

void Ledger::lose(const LedgerItem& item) {
  if (lost_.receipts == 0) lost_.from_us = item.receipt.closed_us;
  lost_.to_us = item.receipt.closed_us;
  ++lost_.receipts;
  lost_.prompt_tokens += item.receipt.prompt_tokens;
  lost_.hit_tokens += item.receipt.hit_tokens;
  ++lost_count_;
}

LedgerStatus Ledger::status() const {
  const std::lock_guard lock(mutex_);
  LedgerStatus status = status_;
  status.waiting += queue_.size();
  status.lost = lost_count_;
  return status;
}

Result<void> Ledger::send(const LedgerQuery& query, model::FdGuard pipe) {
  {
    const std::lock_guard lock(mutex_);
    // One place is for who reads to the end and goes.
    const bool full =
        export_count_ == kMaxExports || (query.follow && follower_count_ + 1 == kMaxExports);
    if (full) {
      return make_error(Errc::kBusy, "the ledger has as many readers as it serves: " +
                                         std::to_string(kMaxExports) +
                                         ", one fewer of them for good");
    }
    ++export_count_;
    follower_count_ += query.follow ? 1 : 0;
    new_exports_.push_back(std::make_unique<LedgerExport>(query, std::move(pipe)));
  }
  thread_.wake();
  return {};
}

// As of the start: what came since waits in the queue, however late the database can be opened.
Result<void> Ledger::try_open() {
  QUIRE_TRY(check_place());
  writer_ = QUIRE_TRY(LedgerWriter::open(options_.writer, opened_us_));
  return {};
}

// RocksDB does not fail on a full device, opening: an assertion in Debian's build ends the process.
// So there is room first for all that it writes then: its log, made a table.
Result<void> Ledger::check_place() const {
  const std::string& path = options_.writer.database.path;
  // Before RocksDB makes it for all to read: it names tenants and what they asked for.
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return model::errno_error("mkdir " + path);
  }
  const std::string probe = path + "/probe";
  const model::FdGuard file(::open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return model::errno_error("open " + probe);
  const int failure = ::posix_fallocate(file.get(), 0, kRoomToOpen);
  ::unlink(probe.c_str());
  if (failure == 0) return {};
  errno = failure;
  return model::errno_error("room for " + probe);
}

int64_t Ledger::steady_us() const { return opened_us_ + (clock_->now_ns() - opened_ns_) / 1000; }

milliseconds Ledger::run_once(const std::stop_token& stop) {
  const Result<void> written = write(stop.stop_requested());
  publish(written);
  if (stop.stop_requested()) return model::HelperThread::kUntilWoken;
  const LedgerExport::State exports = serve_exports();
  const bool more = exports == LedgerExport::State::kMore;
  if (more || (written.ok() && queue_.size() >= kWakeAt)) return model::HelperThread::kAtOnce;
  return exports == LedgerExport::State::kWaits ? milliseconds(1) : kLook;
}

// An error: nothing is written until it was tried again, kRetryNs later.
Result<void> Ledger::write(bool stopping) {
  const int64_t now_ns = clock_->now_ns();
  if (failed_) {
    if (now_ns - failed_ns_ < kRetryNs && !stopping)
      return make_error(Errc::kIoError, status_.reason);
    failed_ns_ = now_ns;
    if (writer_ != nullptr) QUIRE_TRY(check_place());
    QUIRE_TRY(writer_ == nullptr ? try_open() : writer_->resume());
    failed_ = false;
  }
  Result<void> result = stopping ? finish() : commit(now_ns);
  if (!result.ok()) {
    failed_ = true;
    failed_ns_ = now_ns;
  }
  return result;
}

Result<void> Ledger::commit(int64_t now_ns) {
  while (writer_->has_room() && queue_.pop(&taken_)) writer_->take(taken_);
  // In groups: who ends within kCommitEveryNs is synced together.
  if (!writer_->has_room() || now_ns - committed_ns_ >= kCommitEveryNs) {
    QUIRE_TRY(writer_->commit(wall_us()));
    committed_ns_ = now_ns;
  }
  if (now_ns - kept_up_ns_ < kUpkeepEveryNs) return {};
  const Result<bool> more = writer_->upkeep(wall_us(), steady_us());
  if (more.ok() && *more) return {};
  kept_up_ns_ = now_ns;
  // Sums and old blocks are no reason to keep no receipts.
  if (!more.ok()) log(LogLevel::kWarning, "the ledger's upkeep: " + more.error().text);
  return {};
}

// All that the core told; it tells nothing any more.
Result<void> Ledger::finish() {
  do {
    while (writer_->has_room() && queue_.pop(&taken_)) writer_->take(taken_);
    QUIRE_TRY(writer_->commit(wall_us()));
  } while (queue_.size() > 0);
  if (lost_.receipts > 0) {
    taken_.kind = LedgerItem::Kind::kLost;
    taken_.lost = std::exchange(lost_, {});
    writer_->take(taken_);
  }
  return writer_->stop(wall_us());
}

LedgerExport::State Ledger::serve_exports() {
  {
    const std::lock_guard lock(mutex_);
    for (auto& one : new_exports_) exports_.push_back(std::move(one));
    new_exports_.clear();
  }
  // The busiest of them.
  LedgerExport::State all = LedgerExport::State::kDone;
  std::erase_if(exports_, [&](const std::unique_ptr<LedgerExport>& one) {
    const LedgerExport::State state = serve(*one);
    all = std::min(all, state);
    return state == LedgerExport::State::kDone;
  });
  const std::lock_guard lock(mutex_);
  export_count_ = exports_.size() + new_exports_.size();
  follower_count_ = 0;
  for (const auto* list : {&exports_, &new_exports_}) {
    for (const auto& one : *list) follower_count_ += one->follows() ? 1 : 0;
  }
  return all;
}

LedgerExport::State Ledger::serve(LedgerExport& one) {
  if (writer_ == nullptr) return one.fail({}, make_error(Errc::kIoError, status_.reason));
  LedgerExport::State state = LedgerExport::State::kDone;
  const auto read =
      writer_->store().read([&](const tiering::DatabaseReader& reader) -> Result<void> {
        state = one.step(reader, writer_->head().head);
        return {};
      });
  return read.ok() ? state : one.fail(writer_->head().head, read.error());
}

void Ledger::publish(const Result<void>& result) {
  const std::lock_guard lock(mutex_);
  status_.ok = result.ok();
  status_.reason = result.ok() ? std::string() : result.error().text;
  if (writer_ == nullptr) return;
  status_.head = writer_->head().head;
  status_.durable_us = writer_->head().told_us;
  status_.start = writer_->start();
  status_.waiting = writer_->uncommitted();
  status_.block_bytes = writer_->block_bytes();
  status_.bytes_written = writer_->store().bytes_written();
  status_.missing_writes = writer_->store().missing_writes();
}

}  // namespace quire::server
