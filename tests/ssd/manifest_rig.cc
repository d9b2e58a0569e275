#include "tests/ssd/manifest_rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <thread>

#include "cache/tree/prefix_tree.h"

namespace quire::tests {

using model::Hash256;
using tiering::Manifest;
using tiering::ManifestBatch;
using tiering::ManifestDone;
using tiering::RootRecord;
using tiering::RunKey;
using tiering::RunRecord;
using tiering::SsdSlot;

namespace {

Hash256 make_hash(uint64_t seed) {
  Hash256 hash;
  for (uint8_t& byte : hash.bytes) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    byte = static_cast<uint8_t>(seed >> 56);
  }
  return hash;
}

std::ostream& operator<<(std::ostream& out, const Hash256& hash) {
  return out << std::hex << hash.word(0) << hash.word(1) << hash.word(2) << hash.word(3)
             << std::dec;
}

std::string line_of(const std::pair<std::string, std::string>& names, uint64_t epoch) {
  return "epoch " + names.first + "/" + names.second + " " + std::to_string(epoch);
}

std::string line_of(const RootRecord& root) {
  std::ostringstream out;
  out << "root " << root.id << " " << root.hash << " " << root.layout_digest << " "
      << root.weights_epoch << " " << root.domain << "/" << root.tenant << "/"
      << root.namespace_name;
  return out.str();
}

std::string line_of(const RunRecord& run, size_t left) {
  std::ostringstream out;
  out << "run " << run.key.root << " " << run.key.units << " " << int{run.key.kind} << " "
      << run.key.slot.value << " generation " << run.generation << " step " << run.unit_step
      << " parent " << run.parent_units << " " << run.parent_key << " owner " << run.owner_tag
      << " kept " << run.kept << " class " << run.retention << " keys";
  for (size_t i = 0; i < left; ++i) out << " " << run.keys[i];
  return out.str();
}

auto sort_key(const RunKey& key) {
  return std::tuple(key.root, key.units, key.kind, key.slot.value);
}

}  // namespace

RootRecord make_root(uint32_t number) {
  const std::string text = std::to_string(number);
  return {.id = number,
          .hash = make_hash(number),
          .layout_digest = make_hash(number + 1'000'000),
          .weights_epoch = (uint64_t{number} << 33) + 5,
          .domain = "domain-" + text,
          .tenant = number % 2 == 0 ? "" : "tenant-" + text,
          .namespace_name = std::string(63, static_cast<char>('a' + number % 26))};
}

RunRecord make_run(uint32_t root, uint32_t number, uint32_t count) {
  const bool checkpoint = count == 1 && number % 2 == 1;
  const auto kind = checkpoint ? cache::NodeKind::kCheckpoint : cache::NodeKind::kSpan;
  RunRecord run{.key = {.root = root,
                        .units = number * 16,
                        .kind = static_cast<uint8_t>(kind),
                        .slot = SsdSlot::of(number % tiering::kMaxRegions, number % 1000)},
                .generation = (uint64_t{7} << 40) + number * 16ull,
                .unit_step = checkpoint ? 0 : 2u,
                .parent_units = number * 16 - 2,
                .owner_tag = checkpoint ? number * 3 : 0,
                .kept = checkpoint && number % 4 == 1,
                .retention = number % 3 == 0 ? "5m" : "",
                .parent_key = make_hash(number * 100ull + 99)};
  for (uint32_t i = 0; i < count; ++i) run.keys.push_back(make_hash(number * 100ull + i));
  return run;
}

void ManifestModel::put_epoch(const std::string& domain, const std::string& name, uint64_t epoch) {
  epochs_[{domain, name}] = epoch;
}
void ManifestModel::put_root(const RootRecord& root) { roots_[root.id] = root; }
void ManifestModel::erase_root(uint32_t id) { roots_.erase(id); }
void ManifestModel::put_run(const RunRecord& run) {
  runs_[sort_key(run.key)] = {run, static_cast<uint32_t>(run.keys.size())};
}
void ManifestModel::truncate_run(const RunKey& run, uint32_t left) {
  const auto found = runs_.find(sort_key(run));
  if (found == runs_.end()) return;
  found->second.left = std::min(left, static_cast<uint32_t>(found->second.record.keys.size()));
  if (left == 0) runs_.erase(found);
}

ManifestText ManifestModel::text() const {
  ManifestText text;
  for (const auto& [names, epoch] : epochs_) text.push_back(line_of(names, epoch));
  for (const auto& [id, root] : roots_) text.push_back(line_of(root));
  for (const auto& [key, run] : runs_) text.push_back(line_of(run.record, run.left));
  return text;
}

ManifestText text_of(Manifest& manifest) {
  ManifestText text;
  const auto contents = manifest.read_roots();
  if (!contents.ok()) return {"error: " + contents.error().text};
  EXPECT_EQ(contents->rejected, 0u);
  for (const auto& [names, epoch] : contents->epochs) text.push_back(line_of(names, epoch));
  for (const RootRecord& root : contents->roots) text.push_back(line_of(root));
  const auto rejected = manifest.read_runs([&](const RunRecord& run) {
    text.push_back(line_of(run, run.keys.size()));
    return true;
  });
  if (!rejected.ok()) return {"error: " + rejected.error().text};
  EXPECT_EQ(*rejected, 0u);
  return text;
}

ManifestText text_at(const tiering::ManifestOptions& options) {
  const auto manifest = Manifest::open(options);
  if (!manifest.ok()) return {"error: " + manifest.error().text};
  return text_of(**manifest);
}

ManifestBatch numbered_batch(uint32_t number) {
  ManifestBatch batch;
  add_numbered(batch, number);
  batch.tag = number;
  return batch;
}

ManifestText numbered_text(uint32_t count) {
  ManifestModel model;
  for (uint32_t number = 1; number <= count; ++number) add_numbered(model, number);
  return model.text();
}

std::vector<ManifestDone> finish(Manifest& manifest) {
  std::vector<ManifestDone> all;
  while (manifest.in_flight() > 0) {
    std::vector<ManifestDone> done = manifest.poll();
    if (done.empty()) std::this_thread::yield();
    std::move(done.begin(), done.end(), std::back_inserter(all));
  }
  return all;
}

model::Result<void> write(Manifest& manifest, ManifestBatch batch) {
  EXPECT_TRUE(manifest.submit(std::move(batch)));
  return finish(manifest).back().result;
}

}  // namespace quire::tests
