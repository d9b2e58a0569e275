// What loads ask of the tiers, and what becomes of it: runs of a load's nodes become jobs, events
// of jobs make nodes resident or take them out of the index.
//
// An object is read from the fastest tier that has it; one that this tier could not deliver, or not
// as it was sealed, from the next one that has it, in the same slots. Only what no tier delivered
// leaves the index. A copy that was bad stays where it is until its tier's own check renews it.
//
// A node that another load already brings is not read twice. What a load does not need any more
// when it ends is still read to its end: its job has pins and slots of its own, so a tier's memory
// is never given away early. Threads: core only. Bounds: a load has kLoadBytes under way, a tier
// its records, and of loads of a class kTierBytes or kTierBatchBytes beside a part of each load;
// what waits for its next tier was under way before. Lifetime: cache and tiers outlive it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "model/ids.h"
#include "model/metrics.h"
#include "tiering/job_table.h"
#include "tiering/load_memory.h"
#include "tiering/load_record.h"
#include "tiering/tier.h"

namespace quire::tiering {

// By tier: a load counts where its first object lies, an object where it was read.
struct LoadCounters {
  model::Counter started{"loads", "Loads that had something to bring from the device"};
  model::Counter finished{"loads_finished", "Of these, loads that ended, well or not"};
  model::Counter deadline_exceeded{"loads_past_deadline",
                                   "Of these, loads whose deadline came first"};
  model::Counter failed{"loads_failed", "Of these, loads that the device or RAM failed"};
  model::Counter read_failures{"failed_objects", "Objects that could not be read"};
  model::Counter corrupt{"corrupt",
                         "Objects whose header or bytes were not what they should be",
                         {model::MetricFamily::kChecksumFailures, R"(kind="load")"}};
  model::Counter passed_on{"passed_on_objects",
                           "Objects that it had and another tier had to deliver"};
  model::Counter shared{"shared_objects", "Objects that another load was bringing already"};
};

class LoadReads {
 public:
  LoadReads(cache::Cache* cache, LoadMemory* memory) : cache_(cache), memory_(memory) {}

  void add_tier(Tier* tier) { tiers_[model::index_of(tier->id())] = tier; }
  Tier* tier(model::TierId id) const { return tiers_[model::index_of(id)]; }
  // The fastest tier that has the node, can be read, and is not among these (a bit each); null:
  // none.
  Tier* source_of(model::NodeId node, uint8_t but = 0) const;
  // A tier has something of this domain on its way.
  bool moves_for(model::DomainId domain) const;

  // Offers a tier the next run of what the load has slots for.
  struct Issued {
    uint64_t bytes = 0;    // that it took
    bool refused = false;  // it takes no more now
  };
  Issued issue(LoadRecord& load);
  // Offers what tiers did not deliver to their next ones. True: some of it began.
  bool step();
  // Nothing waits for its next tier.
  bool idle() const { return again_.empty(); }
  // An event of a tier. When a job is over with it: the load that it was for, by tag, and how much
  // that brought; the load may have ended.
  struct Ended {
    bool job = false;
    uint64_t load = 0;
    uint64_t bytes = 0;
  };
  Ended take(Tier& tier, const TierEvent& event);

  // A device could not read it; it is told from one that was damaged. Remembered until forget().
  bool is_unreadable(model::NodeId node) const;
  void forget_unreadable() { unreadable_.clear(); }
  LoadCounters& counters(model::TierId tier) { return counters_[model::index_of(tier)]; }
  const LoadCounters& counters(model::TierId tier) const {
    return counters_[model::index_of(tier)];
  }

 private:
  // What a tier reads, also after its load ended.
  struct ReadJob {
    uint64_t load = 0;  // tag
    model::LoadClass load_class = model::LoadClass::kInteractive;
    model::LoadOrder order = model::LoadOrder::kBlockMajor;
    uint8_t tried = 0;  // tiers that did not deliver its one object
    uint64_t bytes = 0;
    uint32_t left = 0;  // objects without an event
    std::array<cache::Pin, kMaxJobObjects> nodes;
    std::vector<model::SlotId> slots;  // of all of them, one behind the other
    std::array<uint32_t, kMaxJobObjects> slot_ends{};
  };

  // An object whose tier did not deliver it. It stays marked as moving.
  struct Again {
    ReadJob job;  // of one object
    bool corrupt = false;
  };

  Issued issue_run(LoadRecord& load);
  uint64_t note_issued(LoadRecord& load, model::TierId tier, std::span<const ReadObject> objects,
                       uint32_t job_number);
  uint64_t& under_way(model::TierId tier, model::LoadClass load_class) {
    return under_way_[model::index_of(tier)][load_class == model::LoadClass::kBatch ? 1 : 0];
  }
  void finish_object(model::TierId tier, ReadJob& job, uint32_t index, model::Errc code);
  void give_up(ReadJob& job, uint32_t index, bool corrupt);
  void pass_on(model::TierId tier, ReadJob& job, uint32_t index, uint8_t tried, bool corrupt);
  bool begin_again(Again& again);
  static std::span<const model::SlotId> slots_of(const ReadJob& job, uint32_t index);

  cache::Cache* cache_;
  LoadMemory* memory_;
  std::array<Tier*, model::kTierCount> tiers_{};  // null: there is none
  JobTable<ReadJob> jobs_;
  std::array<std::array<uint64_t, 2>, model::kTierCount> under_way_{};  // bytes; batch ones second
  std::deque<Again> again_;
  // With its key, since an id may be used again.
  std::unordered_map<uint32_t, model::Hash256> unreadable_;
  std::array<LoadCounters, model::kTierCount> counters_;
};

}  // namespace quire::tiering
