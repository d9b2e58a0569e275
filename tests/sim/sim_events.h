// One who hears the events of a simulated life, as a router would: reads now and then, is overtaken
// now and then, and must always come to know what the cache holds.
//
// Takes no number of the run: whatever its seed did without it, it does with it.
// Lifetime: the life.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cache/cache.h"
#include "model/clock.h"
#include "server/events/event_cursor.h"
#include "server/events/event_feed.h"
#include "tests/support/event_map.h"

namespace quire::tests {

class SimEvents {
 public:
  SimEvents(cache::Cache* cache, const model::Clock* clock);
  ~SimEvents();

  // After each turn of the core.
  void turn(uint64_t turns);
  // Reads all there is, and compares. Empty: it adds up.
  std::string judge();
  uint64_t gaps() const { return sink_.map.gaps(); }
  uint64_t events() const { return sink_.map.events(); }

 private:
  class Sink final : public server::EventSink {
   public:
    void take(const model::EventRecord& record) override { map.apply(record); }
    void take_root(const model::EventRecord& record, const model::EventRoot&) override {
      map.apply(record);
    }
    EventMap map;
  };

  cache::Cache* cache_;
  std::unique_ptr<server::EventFeed> feed_;
  server::EventSeat* seat_;
  std::unique_ptr<server::EventCursor> cursor_;
  Sink sink_;
};

}  // namespace quire::tests
