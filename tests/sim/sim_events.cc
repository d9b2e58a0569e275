#include "tests/sim/sim_events.h"

#include "model/check.h"
#include "tests/support/inspector.h"

namespace quire::tests {

namespace {

constexpr uint64_t kRingBytes = 1024 * sizeof(model::EventRecord);
constexpr uint64_t kTurnsBetweenWalks = 4;    // as background work has it
constexpr uint64_t kTurnsBetweenReads = 256;  // so that it is overtaken where much happens

}  // namespace

SimEvents::SimEvents(cache::Cache* cache, const model::Clock* clock) : cache_(cache) {
  auto feed = server::EventFeed::create(
      {.cache = cache, .clock = clock, .daemon_epoch = 1, .memory_bytes = kRingBytes});
  QUIRE_CHECK(feed.ok());
  feed_ = std::move(feed).value();
  seat_ = feed_->sit(std::nullopt);
  cursor_ = std::make_unique<server::EventCursor>(
      feed_.get(), seat_, server::EventCursor::Options{.snapshot = model::EventSnapshot::kAtOnce});
}

SimEvents::~SimEvents() { feed_->leave(*seat_); }

void SimEvents::turn(uint64_t turns) {
  if (turns % kTurnsBetweenWalks == 0) feed_->step(0);
  if (turns % kTurnsBetweenReads == 0) cursor_->step(sink_);
}

std::string SimEvents::judge() {
  do {
    while (cursor_->step(sink_)) {
    }
  } while (feed_->step(0) || feed_->is_walking());
  while (cursor_->step(sink_)) {
  }
  if (!sink_.map.is_whole()) return "events: no snapshot came to its end";
  if (sink_.map.wrong_numbers() > 0) return "events: a hole in the numbers that no gap tells";
  if (sink_.map.tiers() != EventMap::of(Inspector(*cache_).found_objects())) {
    return "events do not add up to what is held";
  }
  return {};
}

}  // namespace quire::tests
