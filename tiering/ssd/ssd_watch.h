// Watches the device of the SSD tier: looks for operations that hang, and asks a device that failed
// from time to time whether it works again (SsdProbe). Health says when to ask, and is told what
// was found.
//
//   look --due--> probing --its end--> verdict --no operation in the way--> health is told
//
// Threads: core only. Bound: one probe at a time, one look in kLookNs. Lifetime: all that it is
// given outlives it. It does not judge errors of the tier's own work: those who meet them tell
// health themselves.
#pragma once

#include <cstdint>
#include <memory>

#include "tiering/ssd/ssd_contents.h"
#include "tiering/ssd/ssd_probe.h"
#include "tiering/transfer/ssd_mover.h"

namespace quire::tiering {

struct SsdWatchParts {
  SsdContents* contents = nullptr;
  SsdMover* mover = nullptr;
  SsdHealth* health = nullptr;
  IoPort* io = nullptr;
  IoEngine* engine = nullptr;
};

class SsdWatch {
 public:
  static constexpr int64_t kLookNs = 100'000'000;  // far shorter than any interval of health's

  // hang_ns: an operation without completion for so long hangs.
  SsdWatch(const SsdWatchParts& parts, int64_t hang_ns);

  // True: contents that waited for writes since the start take them from now on, and this start has
  // been counted. Blocks where a probe found that, and never else.
  bool step(int64_t now_ns);

 private:
  void make_probe();
  bool finish_probe(int64_t now_ns);
  void look(int64_t now_ns);

  SsdWatchParts parts_;
  int64_t hang_ns_;
  std::unique_ptr<SsdProbe> probe_;  // null: it could not be made yet
  int64_t last_look_ns_ = 0;
  bool probe_done_ = false;  // its verdict waits until the mover is idle
};

}  // namespace quire::tiering
