// What the manifest holds and this start cannot serve. A start destroys nothing: such runs stay in
// the manifest, and their place on the device is claimed, so that nothing is written over them; a
// later start that can serves them. They go when an operator says so (drop), when the copies before
// them in their run go, or when their namespace has moved on by the next start.
//
// A run is kept whole, or some of its objects are: its `kept` bits. Where the slots of a run cannot
// be told, its region is held as a whole (SsdSpace::hold), and so are the others that its object
// takes. Threads: core only. Bound: the slots of the device; 64 bytes a run.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/metrics.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/ssd_format.h"

namespace quire::tiering {

enum class KeptReason : uint8_t {
  kNoLayout = 0,     // its file is missing or damaged
  kSegmentTooSmall,  // a page is larger than --segment_bytes
  kTablesFull,       // no place among domains, layouts or roots
  kIndexFull,        // no place among nodes
  kNoData,           // the data file is missing or too short
  kMisfit,           // not what its layout says of positions
  kParentUnknown,    // its parent may be in a part of the manifest that cannot be read
  kDuplicate,        // another copy is served
};
inline constexpr size_t kKeptReasons = 8;

std::string_view kept_reason_name(KeptReason reason);    // "no_layout"
std::string_view kept_reason_text(KeptReason reason);    // why, one line
std::string_view kept_reason_action(KeptReason reason);  // what an operator can do; empty: nothing
std::optional<KeptReason> parse_kept_reason(std::string_view name);

struct KeptCount {
  model::Gauge runs{"runs", "Runs of the manifest that are kept and not served"};
  model::Gauge objects{"objects", "Objects of these"};
  model::Gauge bytes{"bytes", "Their slots, where those are known"};
};
using KeptCounts = std::array<KeptCount, kKeptReasons>;

class SsdKept {
 public:
  struct Run {
    RunKey key;
    uint32_t count = 0;  // of objects, the served ones too
    uint32_t kept = 0;   // bit i: object i
    KeptReason reason = KeptReason::kNoLayout;
    bool held = false;           // its regions are: its slots are not claimed
    uint64_t slot_bytes = 0;     // 0: not known
    std::vector<uint16_t> more;  // regions that its object takes beside the first
  };
  // What is to be erased of a run: [left, count) goes; `slots` of it are claimed and nobody else's.
  struct Dropped {
    RunKey key;
    uint32_t left = 0;
    std::vector<SsdSlot> slots;
    std::vector<uint32_t> held;  // regions that were held for it
  };

  void add(const Run& run);
  // The region was held beyond those of runs, for it lies in a missing part of a file.
  void hold_for_missing(uint32_t region) { missing_regions_.push_back(region); }
  // Those regions, once nothing is kept for a missing part of a file any more.
  std::vector<uint32_t> take_missing_regions();
  // The copies [left, count) of the run at `first` are given up: the kept ones among them go too.
  std::vector<SsdSlot> truncate(SsdSlot first, uint32_t left);
  // From now on next_dropped() hands out what is kept for this reason; nullopt: for any.
  void drop(std::optional<KeptReason> reason);
  bool is_dropping() const { return !dropping_.empty(); }
  // Takes one run off the table. A kept object before a served one stays: runs lose their end only.
  std::optional<Dropped> next_dropped();

  const KeptCounts& counts() const { return counts_; }
  // The most important reason for which anything is kept; duplicates are none.
  std::optional<KeptReason> worst() const;
  bool empty() const { return runs_.empty(); }
  // With claimed slots of kept runs: no eviction empties them.
  uint32_t claimed_regions() const { return static_cast<uint32_t>(runs_in_.size()); }
  bool has_claimed(uint32_t region) const { return runs_in_.contains(region); }

 private:
  void count(const Run& run, int64_t sign);
  void note_regions(const Run& run, int sign);

  std::unordered_map<uint32_t, Run> runs_;     // by first slot
  std::unordered_map<uint32_t, int> runs_in_;  // claimed ones, by region; none has 0
  std::vector<uint32_t> dropping_;             // first slots
  std::vector<uint32_t> missing_regions_;
  KeptCounts counts_;
};

}  // namespace quire::tiering
