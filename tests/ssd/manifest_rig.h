// What tests of the manifest share: records made from a number, a model of what a manifest should
// hold, and a manifest driven one batch at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "model/result.h"
#include "tiering/disk/manifest.h"

namespace quire::tests {

// Every field differs from record to record, and follows from `number` alone.
tiering::RootRecord make_root(uint32_t number);
// A run of `count` spans (one: a checkpoint when number is odd) of tree `root`.
tiering::RunRecord make_run(uint32_t root, uint32_t number, uint32_t count);

// One line a record, in key order.
using ManifestText = std::vector<std::string>;

// What the batches applied so far should have left. Takes the same calls as ManifestBatch.
class ManifestModel {
 public:
  void put_epoch(const std::string& domain, const std::string& name, uint64_t epoch);
  void put_root(const tiering::RootRecord& root);
  void erase_root(uint32_t id);
  void put_run(const tiering::RunRecord& run);
  void truncate_run(const tiering::RunKey& run, uint32_t left);
  ManifestText text() const;

 private:
  struct Run {
    tiering::RunRecord record;
    uint32_t left = 0;
  };
  std::map<std::pair<std::string, std::string>, uint64_t> epochs_;
  std::map<uint32_t, tiering::RootRecord> roots_;
  std::map<std::tuple<uint32_t, uint32_t, uint8_t, uint32_t>, Run> runs_;
};

// What the manifest says; expects no error and no rejected record.
ManifestText text_of(tiering::Manifest& manifest);
// Opens, reads and closes. An error is one line "error: ...".
ManifestText text_at(const tiering::ManifestOptions& options);

// Batch `number` of a sequence, 1 the first: an epoch and a run together, and from the third on a
// truncation. Applied to any number of them in order, `target` (batch or model) has one content.
template <typename Target>
void add_numbered(Target& target, uint32_t number) {
  const std::string name = "namespace-" + std::to_string(number % 5);
  target.put_epoch("domain", name, number);
  target.put_run(make_run(1, number, 1 + number % 16));
  if (number > 2) target.truncate_run(make_run(1, number - 2, 1).key, number % 3);
}
tiering::ManifestBatch numbered_batch(uint32_t number);
// Contents after batches 1..count.
ManifestText numbered_text(uint32_t count);

// Submits and waits for everything in flight; the result of the last batch.
model::Result<void> write(tiering::Manifest& manifest, tiering::ManifestBatch batch);
// Waits until nothing is in flight.
std::vector<tiering::ManifestDone> finish(tiering::Manifest& manifest);

// Puts a record past the manifest, which must not be open.
void put_raw(const std::string& path, const std::string& key, const std::string& value);

}  // namespace quire::tests
