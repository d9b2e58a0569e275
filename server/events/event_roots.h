// What the numbers of roots in events stand for: names and shapes, for those who read events.
//
// Numbers grow in the order in which roots first occur, so a reader that comes to a new one asks
// for all since the last that it described. A root that ended is kept until no event of it can be
// read. Threads: any; the lock is held for one entry, or for kLooksALock of them, so that the core
// waits for no reader. Bounds: kMostRoots, of them kMostOfOneUser a user; what is beyond has no
// number and is not described. What goes is freed kFreedAStep a step.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "model/event_wire.h"
#include "model/hash256.h"

namespace quire::server {

struct NamedRoot {
  uint32_t number = 0;
  uint32_t uid = 0;
  model::Hash256 hash;
  model::EventRoot root;
};

class EventRoots {
 public:
  static constexpr size_t kMostRoots = 16384;  // some 14 MiB, where there are so many
  static constexpr size_t kMostOfOneUser = kMostRoots / 4;
  static constexpr size_t kLooksALock = 64;
  static constexpr size_t kFreedAStep = 64;

  // Gives it a number; 0: there is no room.
  uint32_t add(NamedRoot root);
  // The last event of it is before this position of the ring.
  void retire(uint32_t number, uint64_t position);
  // Those go whose events cannot be read any more, some of them at a time.
  void forget_before(uint64_t oldest_position);
  // Nobody reads: all of them go. Numbers are not used again.
  void clear();

  // With numbers above `after`, up to `last`, in their order; of this user, or of everybody.
  std::vector<NamedRoot> between(uint32_t after, uint32_t last, std::optional<uint32_t> uid) const;
  size_t size() const;

 private:
  struct Retired {
    uint32_t number = 0;
    uint64_t position = 0;
  };
  using Roots = std::map<uint32_t, NamedRoot>;
  void forget_front();
  void free_some();

  mutable std::mutex mutex_;
  uint32_t last_ = 0;
  Roots roots_;
  std::unordered_map<uint32_t, size_t> by_uid_;  // how many are whose
  std::deque<Retired> retired_;
  std::vector<Roots> leaving_;  // of clear(): the core's
};

}  // namespace quire::server
