// Reads what lies on the SSD at a bounded rate and checks it whole: identity, generation,
// checksums. A bad copy of a page that is in RAM is given up and written again; of one that is not,
// the object and what depends on it are misses from then on (law 4). One object at a time, after
// everything else. Threads: core only.
#pragma once

#include <cstdint>
#include <optional>

#include "allocator/flat_array.h"
#include "cache/cache.h"
#include "cache/objects/pin.h"
#include "model/metrics.h"
#include "tiering/tier.h"
#include "tiering/transfer/ssd_mover.h"

namespace quire::tiering {

struct ScrubStatus {
  model::Flag running{"running", "A pass over what lies on the device is under way"};
  model::Gauge bytes_per_second{"bytes_per_second",
                                "How fast the pass may read; 0 = as the device can"};
  model::Counter passes{"passes", "Whole passes"};
  model::Ratio progress{"progress", "Of the present pass, 0 to 1"};
  model::Counter objects{"objects", "Objects checked"};
  model::Counter bytes{"bytes", "Bytes read to check", {model::MetricFamily::kScrubBytes}};
  model::Counter bad{"bad",
                     "Objects that are not what they should be",
                     {model::MetricFamily::kScrubErrors, R"(kind="bad")"}};
  model::Counter unreadable{"unreadable",
                            "Objects that the device failed to read",
                            {model::MetricFamily::kScrubErrors, R"(kind="unreadable")"}};
};

class SsdScrubber {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    SsdMover* mover = nullptr;
    StoredForms* forms = nullptr;
    SsdFiles* files = nullptr;
  };
  // `events`: where it says what is to be written again.
  static model::Result<std::unique_ptr<SsdScrubber>> create(const Parts& parts,
                                                            std::vector<TierEvent>* events);

  // One pass, or with `forever` one after the other.
  void start(uint64_t bytes_per_second, bool forever, int64_t now_ns);
  void stop() { status_.running = false; }
  bool step(int64_t now_ns);
  void on_settled(Transfer& transfer);
  ScrubStatus status() const;

 private:
  SsdScrubber(const Parts& parts, std::vector<TierEvent>* events, allocator::ReservedMemory scratch)
      : parts_(parts), events_(events), scratch_(std::move(scratch)) {}
  bool check_next();
  // Memory to read an object of so many bytes into; null: there is none.
  std::byte* scratch_for(uint64_t bytes);
  void write_again(model::NodeId node);

  Parts parts_;
  std::vector<TierEvent>* events_;
  allocator::ReservedMemory scratch_;
  std::optional<allocator::ReservedMemory> large_;  // for one that is larger, while it is checked
  cache::Pin checked_;                              // the object that is being read
  ScrubStatus status_;
  bool forever_ = false;
  bool reading_ = false;
  uint32_t next_node_ = 0;
  int64_t next_at_ns_ = 0;
};

}  // namespace quire::tiering
