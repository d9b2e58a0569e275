// Of the headers that a scan found, what a restart can serve, in runs as the manifest has them: for
// each key its latest header, where its layout is in the directory, its namespace has not moved on,
// it is what its layout says of sizes and positions, and its chain of parents is whole.
//
// Trusts no header further than its checksum: any combination of headers gives runs that a restart
// accepts. Threads: one. Lifetime: the directory outlives it. Memory: a record for each header.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cache/tree/layout_table.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/rebuild/rebuild_report.h"
#include "tiering/rebuild/ssd_rebuild_scan.h"

namespace quire::tiering {

// By domain and epoch_name().
using Epochs = std::map<std::pair<std::string, std::string>, uint64_t>;

class RebuildChoice {
 public:
  // `epochs`: what else is known of them, of namespaces in which no extent was written yet.
  RebuildChoice(const SsdDirectory& directory, FoundHeaders found, Epochs epochs)
      : directory_(directory), found_(std::move(found)), epochs_(std::move(epochs)) {}

  // Once, before the others.
  void choose();

  const std::vector<RootRecord>& roots() const { return found_.roots; }
  const Epochs& epochs() const { return epochs_; }
  const std::vector<RunRecord>& runs() const { return runs_; }
  // A run stands below it.
  bool is_needed(const RootRecord& root) const { return needed_roots_[root.id - 1]; }

  RebuildReport report() const;

 private:
  void find_layouts();
  const cache::KnownLayout* load_layout(const model::Hash256& digest);
  void find_epochs();
  static std::pair<std::string, std::string> epoch_of(const RootRecord& root);
  bool is_usable(const ScannedObject& object);
  static bool fits(const ScannedObject& object, const cache::KnownLayout& layout);
  void keep_latest();
  void drop_orphans();
  void group();
  bool continues(const ScannedObject& last, const ScannedObject& next) const;
  void start_run(const ScannedObject& object);

  const SsdDirectory& directory_;
  FoundHeaders found_;
  Epochs epochs_;
  cache::LayoutTable layout_table_;
  std::vector<const cache::KnownLayout*>
      layouts_;  // by index of the root; null: not in the directory
  std::vector<RunRecord> runs_;
  std::vector<bool> needed_roots_;
  RebuildReport report_;
};

}  // namespace quire::tiering
