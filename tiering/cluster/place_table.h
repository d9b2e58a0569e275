// Where objects lie in the pool, as far as this daemon knows: what it wrote, and what searches
// found. A hint: an object may have moved or gone. What is not here is asked for.
//
// Bound: as many as it was made for; the oldest goes. Threads: core only.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <unordered_map>

#include "tiering/cluster/cluster_format.h"

namespace quire::tiering {

class PlaceTable {
 public:
  explicit PlaceTable(size_t max_places) : max_places_(max_places) {}

  std::optional<PlaceRecord> find(const ObjectName& name) const {
    const auto found = places_.find(name);
    return found == places_.end() ? std::nullopt : std::optional(found->second);
  }
  void set(const ObjectName& name, const PlaceRecord& place) {
    if (!places_.insert_or_assign(name, place).second) return;
    order_.push_back(name);
    while (order_.size() > max_places_) {
      places_.erase(order_.front());
      order_.pop_front();
    }
  }
  // Its turn in the order stays, which is harmless.
  void forget(const ObjectName& name) { places_.erase(name); }
  size_t size() const { return places_.size(); }

 private:
  size_t max_places_;
  std::unordered_map<ObjectName, PlaceRecord, HashOfName> places_;
  std::deque<ObjectName> order_;  // of their first set(); may name some that were forgotten
};

}  // namespace quire::tiering
