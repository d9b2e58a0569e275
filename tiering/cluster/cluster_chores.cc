#include "tiering/cluster/cluster_chores.h"

#include <algorithm>

namespace quire::tiering {

RadosOp* ClusterChores::add(RadosKind kind) {
  if (under_way_.size() == kMaxChores) return nullptr;
  RadosOp* op = under_way_.emplace_back(std::make_unique<RadosOp>()).get();
  op->kind = kind;
  op->client = &client_;
  return op;
}

void ClusterChores::drop_entry(const ObjectName& name, const model::Hash256& segment,
                               const PlaceRecord& record) {
  RadosOp* op = add(RadosKind::kChangeEntries);
  if (op == nullptr) return;
  op->object = segment_object(name.root, segment);
  const std::string key = entry_key(name.kind, name.key);
  op->expected.push_back({key, sealed(record, name)});
  op->keys.push_back(key);
  ++counters_.dropped_entries;
  ops_->submit(op);
}

// The first piece last: while it is there a sweep finds the others by it.
void ClusterChores::drop_run(const model::Hash256& root, const RunName& run, uint64_t run_bytes) {
  ++counters_.dropped_runs;
  for (uint64_t piece = piece_count(run_bytes); piece > 0; --piece) {
    RadosOp* op = add(RadosKind::kRemove);
    if (op == nullptr) return;
    op->object = run_object(root, run, piece - 1);
    ops_->submit(op);
  }
}

void ClusterChores::step() {
  for (RadosOp* done : client_.take()) {
    std::erase_if(under_way_, [&](const auto& op) { return op.get() == done; });
  }
}

}  // namespace quire::tiering
