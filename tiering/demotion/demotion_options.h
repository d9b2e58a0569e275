// What demotion is told at its start, and what it counts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/metrics.h"
#include "tiering/demotion/admission.h"

namespace quire::tiering {

enum class WritePolicy : uint8_t { kThrough = 0, kBack = 1 };

struct DemotionOptions {
  WritePolicy policy = WritePolicy::kThrough;
  uint32_t delay_ms = 50;        // write-through: the oldest waits so long for a longer run
  uint64_t ram_bytes = 0;        // the budget that the watermarks are part of
  double low_watermark = 0.08;   // free RAM below this: demote what the policy would drop
  double high_watermark = 0.12;  // what was demoted leaves RAM until this much is free
  size_t max_queued = 1 << 16;   // candidates
  AdmissionOptions admission;
};

struct DemotedCounters {
  model::Counter started{"started_objects", "Objects whose demotion began"};
  model::Counter failed{"failed_objects", "Objects not written, or not made durable"};
  model::Counter set_aside{"set_aside",
                           "Candidates that the queue had no place for; the sweep finds them"};
  model::Counter found_again{"found_again", "Candidates that the sweep found"};
  model::Counter too_large{"too_large_objects",
                           "Objects refused: larger than the tier can hold",
                           {model::MetricFamily::kRejected, R"(reason="too_large")"}};
  model::Counter too_deep{
      "too_deep_objects",
      "Objects refused: the tier cannot hold them with all before them on their path",
      {model::MetricFamily::kRejected, R"(reason="too_deep")"}};
  model::Counter over_burst{"over_burst_objects",
                            "Objects refused: their owner is at its burst on the tier",
                            {model::MetricFamily::kRejected, R"(reason="over_burst")"}};
  model::Gauge largest_refused{"largest_refused_bytes", "Slot of the largest object refused"};
};
struct DemotionCounters : DemotedCounters {
  // Law 4.
  model::Counter corrupt_in_ram{
      "corrupt_in_ram",
      "Objects that failed their checksum on the way out of RAM",
      {model::MetricFamily::kChecksumFailures, R"(kind="on_the_way_out")"}};
};

}  // namespace quire::tiering
