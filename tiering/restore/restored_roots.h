// Roots of the manifest as this start has them: with a tree in the cache, or with the reason why it
// has none. Also what only roots tell of their runs: whether their namespace has moved on, and how
// large slots are. Threads: core only. Lifetime: that of one restore.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "cache/cache.h"
#include "cache/tree/layout_table.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/disk/ssd_kept.h"
#include "tiering/disk/ssd_roots.h"

namespace quire::tiering {

struct RestoredRoot {
  model::RootId id;
  uint32_t number = 0;                         // the one its hash has
  bool stale = false;                          // of a namespace that moved to a later epoch
  std::optional<KeptReason> kept;              // why it has no tree
  const cache::KnownLayout* layout = nullptr;  // null: not known

  bool has_tree() const { return !kept && !stale; }
  // Of the run's objects; 0: not known.
  uint64_t slot_size(const RunRecord& run) const;
};

class RestoredRoots {
 public:
  RestoredRoots(cache::Cache* cache, const SsdDirectory* directory, SsdRoots* roots)
      : cache_(cache), directory_(directory), roots_(roots) {}

  // Once, before any run is looked at. Epochs come first: they decide what is stale.
  void restore(const ManifestContents& contents);
  // By its number in the manifest; null: there is no such record.
  const RestoredRoot* find(uint32_t number) const;

 private:
  using Epochs = std::unordered_map<std::string, uint64_t>;

  std::optional<uint64_t> epoch_of(const RootRecord& record, const Epochs& epochs);
  void restore_epoch(const std::string& domain_name, const std::string& name, uint64_t epoch);
  void make_tree(const RootRecord& record, RestoredRoot& root);

  cache::Cache* cache_;
  const SsdDirectory* directory_;
  SsdRoots* roots_;
  std::unordered_map<uint32_t, RestoredRoot> by_number_;
  cache::LayoutTable sizes_;
};

}  // namespace quire::tiering
