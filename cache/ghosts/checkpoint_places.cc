#include "cache/ghosts/checkpoint_places.h"

#include <algorithm>

namespace quire::cache {

CheckpointPlaces::Place* CheckpointPlaces::find(uint64_t key) {
  Place* const window = window_of(key);
  Place* const found =
      std::find_if(window, window + kWindow, [&](const Place& place) { return place.key == key; });
  return found == window + kWindow ? nullptr : found;
}

CheckpointPlaces::Place& CheckpointPlaces::at(uint64_t key) {
  if (Place* const known = find(key); known != nullptr) return *known;
  Place* const window = window_of(key);
  // What was superseded under every policy makes room first.
  Place* place = std::find_if(window, window + kWindow,
                              [](const Place& one) { return one.under == 0 && !one.is_branch; });
  if (place == window + kWindow) place = window + next_victim_++ % kWindow;
  *place = Place{.key = key};
  return *place;
}

}  // namespace quire::cache
