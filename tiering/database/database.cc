#include "tiering/database/database.h"

#include <optional>
#include <span>
#include <utility>

namespace quire::tiering {

using model::Error;
using model::Result;

Result<std::unique_ptr<Database>> Database::open(const DatabaseOptions& options) {
  std::unique_ptr<RocksStore> store = QUIRE_TRY(RocksStore::open(options));
  std::unique_ptr<Database> database(new Database(options, std::move(store)));
  QUIRE_TRY(
      database->thread_.start({.name = options.thread_name, .on_caller = options.on_caller},
                              [writer = database.get()](const auto&) { return writer->step(); }));
  return database;
}

bool Database::submit(DatabaseBatch&& batch) {
  const uint32_t number = submitted_.load(std::memory_order_relaxed);
  if (number - polled_ == kMaxQueuedBatches) return false;
  place(number).batch = std::move(batch);
  submitted_.store(number + 1, std::memory_order_release);
  thread_.wake();
  return true;
}

std::vector<DatabaseDone> Database::poll() {
  std::vector<DatabaseDone> done;
  for (const uint32_t end = finished_.load(std::memory_order_acquire); polled_ != end; ++polled_) {
    done.push_back(std::exchange(place(polled_), DatabaseDone{}));
  }
  return done;
}

// Returns when the writer has nothing to do.
void Database::drain() {
  const uint32_t submitted = submitted_.load(std::memory_order_relaxed);
  while (true) {
    const uint32_t finished = finished_.load(std::memory_order_acquire);
    if (finished == submitted) return;
    finished_.wait(finished, std::memory_order_acquire);
  }
}

size_t Database::in_flight() const { return submitted_.load(std::memory_order_relaxed) - polled_; }

std::chrono::milliseconds Database::step() {
  const uint32_t finished = finished_.load(std::memory_order_relaxed);  // the writer's own
  const uint32_t submitted = submitted_.load(std::memory_order_acquire);
  if (submitted == finished) return model::HelperThread::kUntilWoken;
  write_group(finished, submitted);
  finished_.store(submitted, std::memory_order_release);
  finished_.notify_all();
  if (options_.on_done) options_.on_done();
  return model::HelperThread::kAtOnce;
}

void Database::write_group(uint32_t first, uint32_t last) {
  Result<void> group = store_->check_writable();
  std::array<const DatabaseBatch*, kMaxQueuedBatches> batches;
  size_t count = 0;
  for (uint32_t number = first; number != last; ++number) {
    DatabaseDone& done = place(number);
    // The error of its own work is its own; where nothing is written no work is done.
    done.result = group.ok() ? done.batch.run_first() : group;
    if (done.result.ok()) batches[count++] = &done.batch;
  }
  if (count == 0) return;
  group = store_->write(std::span(batches).first(count));
  if (group.ok()) return;
  for (uint32_t number = first; number != last; ++number) {
    if (place(number).result.ok()) place(number).result = group;
  }
}

Result<void> Database::read(const std::function<Result<void>(const DatabaseReader&)>& work) {
  drain();
  return store_->read(work);
}

Result<void> Database::resume() {
  drain();
  return store_->resume();
}

Result<void> Database::make_writable() {
  drain();
  return store_->make_writable();
}

std::string Database::failure() const {
  const std::optional<Error> failure = store_->failure();
  return failure ? failure->text : std::string();
}

uint64_t Database::missing_writes() const { return store_->missing_writes(); }

uint64_t Database::bytes_written() const { return store_->bytes_written(); }

Result<void> Database::destroy(const DatabaseOptions& options) {
  return RocksStore::destroy(options);
}

}  // namespace quire::tiering
