// Where checkpoints would lie under each of some policies: a bit a policy, by the chain hash of the
// position. A table of a fixed size; where it has no room, some other place is forgotten, as if its
// checkpoint had been evicted.
// Threads: one owner. Memory: kPlaces * sizeof(Place), 2 MiB. No allocation after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace quire::cache {

class CheckpointPlaces {
 public:
  struct Place {
    uint64_t key = 0;        // 0: nothing is here
    uint32_t owner = 0;      // the conversation that wrote it
    uint8_t under = 0;       // bit i: there is a checkpoint under policy i
    uint8_t kept = 0;        // of these: newer turn ends do not supersede it
    bool is_branch = false;  // prompts leave each other here, whether or not a checkpoint is here
    uint8_t reserved = 0;
  };
  static constexpr size_t kPlaces = 1 << 17;

  CheckpointPlaces() : places_(kPlaces) {}

  // Null: nothing is known of this position. Stays valid until the next at().
  Place* find(uint64_t key);
  // Made when it is not there.
  Place& at(uint64_t key);

 private:
  // Keys are parts of a SHA-256: any bits of them do as a hash.
  static constexpr size_t kWindow = 8;  // a key lies within so many places; two cache lines
  Place* window_of(uint64_t key) { return &places_[key % (kPlaces / kWindow) * kWindow]; }

  std::vector<Place> places_;
  size_t next_victim_ = 0;
};

}  // namespace quire::cache
