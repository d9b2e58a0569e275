// What an operator makes leave a tier at once: of whom, of which namespace, unused for how long
// (`quirectl evict`).
//
//   start --> counting: a hand over all nodes: what matches, what has to stay
//         --> going:    the hand once more: what may go is counted, or goes where that was asked
//         for
//
// 1. Deepest first: a node goes once nothing below it is left on the tier; the hand then follows
//    the path up. So one pass is enough, whatever the order of node ids is.
// 2. Pins are never broken: what is pinned stays, and all that it depends on.
// 3. Nodes are only named between two steps: each is looked at anew. Names of users and namespaces
//    are compared as text, because their ids may become others' meanwhile.
// Dry runs are exact as long as nothing else changes the tree. Threads: core only. Bounds: one
// sweep at a time, a budget a step, a bit a node of address space.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "allocator/flat_array.h"
#include "cache/eviction/eviction_board.h"
#include "cache/eviction/evictor.h"
#include "cache/objects/object_store.h"
#include "cache/tree/namespace_table.h"
#include "model/ids.h"
#include "model/metrics.h"
#include "model/result.h"

namespace quire::cache {

struct ContentScope {
  model::TierId tier = model::TierId::kRam;
  std::string domain;                         // "uid:N"; empty: all
  std::optional<std::string> tenant;          // whose hits it serves; none: all of them
  std::optional<std::string> namespace_name;  // none: all
  uint64_t unused_us = 0;                     // not used for so long; 0: whenever it was used
};

// In objects and bytes of their pages. A dry run counts what would go as gone.
struct ContentCounts {
  model::Gauge matching_objects{"matching_objects", "Objects on the tier that were meant"};
  model::Gauge matching_bytes{"matching_bytes", "Bytes of these"};
  model::Gauge objects{"objects", "Of these, those that leave the tier"};
  model::Gauge bytes{"bytes", "Bytes of these"};
  model::Gauge lost_objects{"lost_objects",
                            "Of those that leave, those without a copy on another tier"};
  model::Gauge lost_bytes{"lost_bytes", "Bytes of these"};
  model::Gauge pinned_objects{"pinned_objects", "Objects that stay because somebody holds them"};
  model::Gauge needed_objects{"needed_objects",
                              "Objects that stay because what depends on them stays"};
};

class ContentSweep {
 public:
  struct Parts {
    ObjectStore* store = nullptr;
    EvictionBoard* board = nullptr;
    Evictor* evictor = nullptr;
    const NamespaceTable* names = nullptr;
  };
  // Some 100 us of a turn: a look costs 1, what leaves a tier kGoCost and a step a page.
  static constexpr uint64_t kStepsPerTurn = 1024;
  static constexpr uint64_t kGoCost = 8;

  explicit ContentSweep(const Parts& parts) : parts_(parts) {}

  // `go`: else it is only counted. kInvalidArgument: the tier is not in use. kBusy: one is under
  // way. kResourceExhausted: no address space for the bits.
  model::Result<void> start(const ContentScope& scope, bool go);
  // About so many steps. True while there is more to do.
  bool step(uint64_t budget);

  bool is_running() const { return phase_ != Phase::kIdle; }
  // Of the last one that was started.
  const ContentScope& scope() const { return scope_; }
  bool goes() const { return goes_; }
  const ContentCounts& counts() const { return counts_; }

 private:
  enum class Phase : uint8_t { kIdle, kCounting, kGoing };

  const Node& node(model::NodeId id) const { return parts_.store->tree().node(id); }
  uint64_t bytes_of(model::NodeId id) const;
  bool names_root(model::RootId id);
  bool matches(model::NodeId id);
  bool is_held(model::NodeId id) const;
  bool is_lost_with_it(model::NodeId id) const;
  bool stays(model::NodeId id) const;
  void set_stays(model::NodeId id);
  void look();
  void count(model::NodeId id);
  void keep_path();
  void go_up();
  void count_gone(model::NodeId id);
  void next_phase();

  Parts parts_;
  ContentScope scope_;
  bool goes_ = false;
  ContentCounts counts_;
  Phase phase_ = Phase::kIdle;
  uint64_t used_before_ = UINT64_MAX;     // a time of UseClock: later uses do not match
  uint32_t hand_ = 0;                     // the node to be looked at next
  uint32_t end_ = 0;                      // nodes that were made later are not this sweep's
  model::NodeId path_;                    // in the middle of a path, upwards; none: at the hand
  allocator::FlatArray<uint64_t> stays_;  // a bit a node: it has to stay. Of dry runs.
  // The last root that was looked at in this step, and whether its name is meant.
  model::RootId known_root_;
  bool known_matches_ = false;
};

}  // namespace quire::cache
