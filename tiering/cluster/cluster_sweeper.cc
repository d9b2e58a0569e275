#include "tiering/cluster/cluster_sweeper.h"

#include <algorithm>
#include <ctime>
#include <utility>

namespace quire::tiering {

namespace {

// In percent of the capacity: above the one runs go, until the other is reached.
constexpr uint64_t kHighWatermark = 95;
constexpr uint64_t kLowWatermark = 90;
constexpr size_t kOldestPart = 4;

}  // namespace

ClusterSweeper::ClusterSweeper(const ClusterParts& parts, const SweepOptions& options)
    : parts_(parts),
      options_(options),
      random_(parts.writer),
      notes_(static_cast<int64_t>(options.note_s) * 1'000'000'000) {}

void ClusterSweeper::submit(RadosOp& op) {
  op.client = &client_;
  ++left_;
  parts_.ops->submit(&op);
}

void ClusterSweeper::step(int64_t now_ns) {
  now_ns_ = now_ns;
  for (const RadosOp* op : client_.take()) {
    --left_;
    failed_ = failed_ || !is_answer(op->error);
  }
  if (left_ > 0) return;
  if (stage_ != Stage::kResting) return next();
  if (now_ns < next_ns_) return;
  next_ns_ = now_ns + options_.period_ns;
  begin_usage();
}

void ClusterSweeper::next() {
  if (failed_) return finish();
  switch (stage_) {
    case Stage::kUsage:
      return begin_listing();
    case Stage::kListing:
      return begin_reading();
    case Stage::kReading:
      return begin_asking();
    case Stage::kAsking:
      judge_all();
      return begin_removing();
    case Stage::kRemoving:
    case Stage::kResting:
      return finish();
  }
}

void ClusterSweeper::begin_usage() {
  stage_ = Stage::kUsage;
  failed_ = false;
  pool_op_ = {};
  pool_op_.kind = RadosKind::kUsage;
  submit(pool_op_);
}

void ClusterSweeper::begin_listing() {
  stage_ = Stage::kListing;
  used_bytes_ = pool_op_.used_bytes;
  object_count_ = pool_op_.object_count;
  const uint64_t capacity = options_.capacity_bytes;
  const uint64_t percent = over_ ? kLowWatermark : kHighWatermark;
  over_ = capacity > 0 && used_bytes_ / percent > capacity / 100;
  const uint64_t parts = object_count_ / kMaxRuns + 1;
  pool_op_ = {};
  pool_op_.kind = RadosKind::kList;
  pool_op_.bytes = parts;
  pool_op_.offset = random_() % parts;
  submit(pool_op_);
}

void ClusterSweeper::begin_reading() {
  stage_ = Stage::kReading;
  ++counters_.sweeps;
  for (RadosOp* read : notes_.look_at(pool_op_.names)) submit(*read);
  std::shuffle(pool_op_.names.begin(), pool_op_.names.end(), random_);
  for (std::string& name : pool_op_.names) {
    if (!root_of_run(name) || runs_.size() == kMaxRuns) continue;
    Run& run = *runs_.emplace_back(std::make_unique<Run>());
    run.op.kind = RadosKind::kRead;
    run.op.object = std::move(name);
    run.op.data = reinterpret_cast<std::byte*>(&run.header);
    run.op.bytes = sizeof(run.header);
    submit(run.op);
  }
  if (left_ == 0) finish();
}

void ClusterSweeper::begin_asking() {
  stage_ = Stage::kAsking;
  for (RadosOp* removal : notes_.judge(now_ns_)) {
    ++counters_.notes;
    submit(*removal);
  }
  for (const auto& one : runs_) {
    Run& run = *one;
    const RunHeader& header = run.header;
    ++counters_.runs;
    const auto root = root_of_run(run.op.object);
    const bool there = run.op.error == 0;
    run.good = there && run.op.got == sizeof(header) && is_header_of(header, *root, header.name) &&
               run_object(*root, header.name, 0) == run.op.object;
    if (there && !run.good) ++counters_.unreadable;
    if (!run.good) continue;
    run.epoch_object =
        epoch_object(header.domain.data(), header.tenant.data(), header.namespace_name.data());
    run.op = {};
    run.op.kind = RadosKind::kReadEntries;
    run.op.object = segment_object(header.root, header.segment);
    for (uint32_t i = 0; i < header.object_count; ++i) {
      const auto kind = static_cast<cache::NodeKind>(header.objects[i].kind);
      run.op.keys.push_back(entry_key(kind, header.objects[i].key));
    }
    submit(run.op);
    auto& epoch = epochs_[run.epoch_object];
    if (epoch != nullptr) continue;
    epoch = std::make_unique<RadosOp>();
    epoch->kind = RadosKind::kReadEntries;
    epoch->object = run.epoch_object;
    submit(*epoch);
  }
  if (left_ == 0) finish();
}

void ClusterSweeper::take_entries(Run& run) const {
  if (run.op.error != 0) return;
  for (uint32_t i = 0; i < run.header.object_count; ++i) {
    const RunObject& object = run.header.objects[i];
    const ObjectName name{.root = run.header.root,
                          .key = object.key,
                          .kind = static_cast<cache::NodeKind>(object.kind)};
    const std::string key = entry_key(name.kind, name.key);
    for (RadosEntry& entry : run.op.entries) {
      if (entry.key != key) continue;
      const auto place = opened(entry.value, name);
      if (place && place->run == run.header.name) run.live.push_back(entry);
    }
  }
}

ClusterSweeper::Reason ClusterSweeper::judge(const Run& run, uint64_t now_s) const {
  const uint64_t age_s = now_s - std::min(now_s, run.header.written_at_s);
  const RadosOp& epoch = *epochs_.at(run.epoch_object);
  if (epoch.error == 0 && run.header.weights_epoch < ClusterEpochs::epoch_in(epoch)) {
    return Reason::kEpoch;
  }
  if (options_.max_age_s > 0 && age_s > options_.max_age_s) return Reason::kAge;
  if (run.live.empty() && age_s >= options_.orphan_s) return Reason::kOrphan;
  return Reason::kNone;
}

void ClusterSweeper::judge_all() {
  const auto now_s = static_cast<uint64_t>(std::time(nullptr));
  std::erase_if(runs_, [](const auto& run) { return !run->good; });
  std::sort(runs_.begin(), runs_.end(), [](const auto& a, const auto& b) {
    return a->header.written_at_s < b->header.written_at_s;
  });
  const size_t oldest = over_ ? (runs_.size() + kOldestPart - 1) / kOldestPart : 0;
  for (size_t i = 0; i < runs_.size(); ++i) {
    Run& run = *runs_[i];
    take_entries(run);
    run.reason = judge(run, now_s);
    if (run.reason == Reason::kNone && i < oldest) run.reason = Reason::kCapacity;
  }
}

void ClusterSweeper::count(Reason reason) {
  switch (reason) {
    case Reason::kAge:
      ++counters_.by_age;
      return;
    case Reason::kEpoch:
      ++counters_.by_epoch;
      return;
    case Reason::kCapacity:
      ++counters_.by_capacity;
      return;
    case Reason::kOrphan:
      ++counters_.orphans;
      return;
    case Reason::kNone:
      return;
  }
}

// Entries that are still what was read. Then the run, also where there were none.
void ClusterSweeper::begin_removing() {
  stage_ = Stage::kRemoving;
  for (const auto& one : runs_) {
    Run& run = *one;
    if (run.reason == Reason::kNone || run.live.empty()) continue;
    run.op = {};
    run.op.kind = RadosKind::kChangeEntries;
    run.op.object = segment_object(run.header.root, run.header.segment);
    run.op.expected = run.live;
    for (const RadosEntry& entry : run.live) run.op.keys.push_back(entry.key);
    submit(run.op);
  }
  if (left_ == 0) finish();
}

void ClusterSweeper::finish() {
  if (stage_ == Stage::kRemoving && !failed_) {
    for (const auto& run : runs_) {
      const bool unnamed = run->live.empty() || run->op.error == 0;
      if (run->reason == Reason::kNone || !unnamed) continue;
      count(run->reason);
      parts_.chores->drop_run(run->header.root, run->header.name, run->header.run_bytes);
    }
  }
  runs_.clear();
  epochs_.clear();
  stage_ = Stage::kResting;
}

void ClusterSweeper::describe_pool(model::MetricSink& sink) const {
  sink.gauge("used_bytes", used_bytes_, "Bytes in the pool, of all hosts, before replication");
  sink.gauge("objects", object_count_, "RADOS objects in the pool");
  sink.gauge("capacity_bytes", options_.capacity_bytes,
             "What the pool is kept below by sweeping; 0: no limit");
}

}  // namespace quire::tiering
