#include "server/metering/ledger.h"

#include <ctime>
#include <utility>

namespace quire::server {

using model::Errc;
using model::make_error;
using model::Result;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr std::chrono::minutes kUpkeepEvery{1};
// The thread is woken before the queue is full; else it looks by itself.
constexpr uint32_t kWakeAt = Ledger::kQueueItems / 2;

// These are the operator's to solve before a start; others may pass.
bool keeps_from_starting(Errc code) {
  return code == Errc::kBusy || code == Errc::kUnsupportedVersion || code == Errc::kCorrupt ||
         code == Errc::kInvalidArgument;
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
  ledger->failed_at_ = steady_clock::now();
  ledger->publish(opened);
  QUIRE_TRY(ledger->thread_.start(
      {.name = "quire-ledger", .niceness = std::nullopt},
      [made = ledger.get()](const std::stop_token& stop) { return made->step(stop); }));
  return ledger;
}

Ledger::~Ledger() { thread_.stop(); }

void Ledger::on_turn(const TurnRecord& record) {
  item_.kind = LedgerItem::Kind::kReceipt;
  fill_receipt(record, wall_us(), item_);
  push(item_);
}

void Ledger::on_open_turn(const TurnRecord& record) {
  item_.kind = LedgerItem::Kind::kOpenTurn;
  fill_receipt(record, wall_us(), item_);
  push(item_);
}

void Ledger::on_told() {
  item_.kind = LedgerItem::Kind::kTick;
  item_.now_us = wall_us();
  push(item_);
}

void Ledger::hold(const model::StorageRecord& record, std::string_view tenant,
                  std::string_view retention) {
  item_.kind = LedgerItem::Kind::kStorage;
  item_.storage = record;
  item_.texts.set(0, tenant);
  item_.texts.set(1, retention);
  push(item_);
}

void Ledger::push(const LedgerItem& item) {
  if (lost_.receipts > 0) {
    LedgerItem lost;
    lost.kind = LedgerItem::Kind::kLost;
    lost.lost = lost_;
    if (!queue_.push(lost)) return lose(item);
    lost_ = {};
  }
  if (!queue_.push(item)) return lose(item);
  if (queue_.size() == kWakeAt) thread_.wake();
}

// An open turn, or a tick, is told again a second later; a span of storage is lost with what held
// it up.
void Ledger::lose(const LedgerItem& item) {
  if (item.kind != LedgerItem::Kind::kReceipt) return;
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
    if (export_count_ == kMaxExports) {
      return make_error(Errc::kBusy, "so many readers of the ledger are being served already: " +
                                         std::to_string(kMaxExports));
    }
    ++export_count_;
    new_exports_.push_back(std::make_unique<LedgerExport>(query, std::move(pipe)));
  }
  thread_.wake();
  return {};
}

Result<void> Ledger::try_open() {
  writer_ = QUIRE_TRY(LedgerWriter::open(options_.writer, wall_us()));
  return {};
}

milliseconds Ledger::step(const std::stop_token& stop) {
  const Result<void> written = write(stop.stop_requested());
  publish(written);
  if (stop.stop_requested()) return model::HelperThread::kUntilWoken;
  const bool more = serve_exports();
  if (more || (written.ok() && queue_.size() >= kWakeAt)) return model::HelperThread::kAtOnce;
  return exports_.empty() ? kLook : milliseconds(1);
}

// An error: nothing is written until it was tried again, kRetry later.
Result<void> Ledger::write(bool stopping) {
  const auto now = steady_clock::now();
  if (failed_) {
    if (now - failed_at_ < kRetry && !stopping) return make_error(Errc::kIoError, status_.reason);
    failed_at_ = now;
    QUIRE_TRY(writer_ == nullptr ? try_open() : writer_->resume());
    failed_ = false;
  }
  const auto commit = [&]() -> Result<void> {
    take_all();
    // In groups: who ends within kCommitEvery is synced together.
    if (!writer_->has_room() || stopping || now - committed_at_ >= kCommitEvery) {
      QUIRE_TRY(writer_->commit(wall_us()));
      committed_at_ = now;
    }
    if (now - kept_up_at_ >= kUpkeepEvery && !stopping) {
      if (!QUIRE_TRY(writer_->upkeep(wall_us()))) kept_up_at_ = now;
    }
    return {};
  };
  Result<void> result = writer_ == nullptr ? make_error(Errc::kIoError, status_.reason) : commit();
  // All of it, not as much as one block has room for.
  while (stopping && result.ok() && queue_.size() > 0) result = commit();
  if (stopping && result.ok()) result = writer_->stop(wall_us());
  if (!result.ok()) {
    failed_ = true;
    failed_at_ = now;
  }
  return result;
}

void Ledger::take_all() {
  while (writer_->has_room() && queue_.pop(&taken_)) writer_->take(taken_);
}

bool Ledger::serve_exports() {
  {
    const std::lock_guard lock(mutex_);
    for (auto& one : new_exports_) exports_.push_back(std::move(one));
    new_exports_.clear();
  }
  bool more = false;
  std::erase_if(exports_, [&](const std::unique_ptr<LedgerExport>& one) {
    LedgerExport::State state = LedgerExport::State::kDone;
    Result<void> read = make_error(Errc::kIoError, status_.reason);
    if (writer_ != nullptr) {
      read = writer_->store().read([&](const tiering::DatabaseReader& reader) -> Result<void> {
        state = one->step(reader, writer_->head().head);
        return {};
      });
    }
    if (!read.ok()) state = one->fail({}, read.error());
    more = more || state == LedgerExport::State::kMore;
    return state == LedgerExport::State::kDone;
  });
  const std::lock_guard lock(mutex_);
  export_count_ = exports_.size() + new_exports_.size();
  return more;
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
  status_.bytes_written = writer_->store().bytes_written();
  status_.missing_writes = writer_->store().missing_writes();
}

}  // namespace quire::server
