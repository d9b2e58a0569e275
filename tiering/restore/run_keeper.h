// Claims the place of each run of the manifest on the device, and keeps those that this start
// cannot serve (tiering/disk/ssd_kept.h).
//
//   claim: served                keep, keep_rest: not served
//   --all runs were seen--> finish: those of unknown size, and what is missing of files
//
// 1. Two runs never have one slot: an overlap is an error, and found before the first write.
// 2. Nothing is made in the place of data that is missing as long as anything is kept for it.
// Threads: core only. Lifetime: that of one restore.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/hash256.h"
#include "model/result.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/disk/ssd_kept.h"
#include "tiering/disk/ssd_roots.h"
#include "tiering/space/ssd_space.h"

namespace quire::tiering {

// A mask of so many objects of a run, from its first.
constexpr uint32_t low_bits(uint32_t count) { return count >= 32 ? ~0u : (1u << count) - 1; }

struct RunKeeperParts {
  const SsdDirectory* directory = nullptr;
  SsdSpace* space = nullptr;
  SsdRoots* roots = nullptr;
  SsdKept* kept = nullptr;
};

class RunKeeper {
 public:
  explicit RunKeeper(const RunKeeperParts& parts) : parts_(parts) {}

  // The regions of the run lie in files, and within these.
  bool has_data(const RunRecord& run);
  // kCorrupt: somebody has the place already, or it is none; the text says what to do.
  model::Result<void> claim(const RunRecord& run, uint64_t slot_bytes);
  // All of the run. slot_bytes 0: not known. Errors of claim().
  model::Result<void> keep(const RunRecord& run, uint64_t slot_bytes, KeptReason reason);
  // These objects of a run whose place is claimed: bit i, object i.
  void keep_some(const RunRecord& run, uint64_t slot_bytes, uint32_t objects, KeptReason reason);
  // Spans of the run from object `first` on are not served: what depends on them is kept, too.
  void note_kept_spans(const RunRecord& run, uint32_t first, KeptReason reason);
  // Why this span is not served; nullopt: nothing is known of it.
  std::optional<KeptReason> reason_of(const model::Hash256& span) const;
  // Last. kCorrupt as claim().
  model::Result<void> finish();

 private:
  bool has_data(uint32_t region);
  model::Result<void> claim_slots(SsdSlot first, uint32_t count, uint64_t slot_bytes,
                                  std::span<const uint16_t> more);
  model::Result<void> hold(const SsdKept::Run& run);
  void hold_missing_data();

  RunKeeperParts parts_;
  std::unordered_map<uint32_t, uint64_t> file_bytes_;  // by number, as they were asked for
  std::vector<SsdKept::Run> unsized_;                  // kept, not claimed yet
  std::unordered_map<model::Hash256, KeptReason, HashOfHash256> kept_spans_;
  std::set<uint32_t> missing_files_;  // that lack something which is kept
};

}  // namespace quire::tiering
