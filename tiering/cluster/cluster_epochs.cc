#include "tiering/cluster/cluster_epochs.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace quire::tiering {
namespace {

const std::string kEpochKey = "epoch";

}  // namespace

std::string ClusterEpochs::object_of(const cache::RootKey& key) const {
  return epoch_object(cache_->names().domain_name(key.domain), key.tenant, key.namespace_name);
}

uint64_t ClusterEpochs::epoch_in(const RadosOp& read) {
  uint64_t latest = 0;
  for (const RadosEntry& entry : read.entries) {
    if (entry.key == kEpochKey) latest = parse_epoch(entry.value).value_or(0);
  }
  return latest;
}

uint64_t& ClusterEpochs::known(const std::string& object) {
  if (known_.size() >= kMaxKnown && !known_.contains(object)) known_.clear();
  return known_[object];
}

bool ClusterEpochs::learn(const cache::RootKey& key, uint64_t epoch) {
  uint64_t& latest = known(object_of(key));
  latest = std::max(latest, epoch);
  if (epoch <= key.weights_epoch) return true;
  cache::RootKey later = key;
  later.weights_epoch = epoch;
  cache_->names().raise_epoch(later);
  return false;
}

void ClusterEpochs::raise(const cache::RootKey& key) {
  if (key.weights_epoch == 0) return;
  const std::string object = object_of(key);
  if (known(object) >= key.weights_epoch || changes_.contains(object)) return;
  auto begun = std::make_unique<Change>();
  begun->object = object;
  begun->client = &client_;
  begun->epoch = key.weights_epoch;
  begun->create = true;
  change(*begun);
  changes_.emplace(object, std::move(begun));
}

void ClusterEpochs::change(Change& change) {
  change.kind = RadosKind::kChangeEntries;
  change.keys.clear();
  change.entries = {{kEpochKey, epoch_text(change.epoch)}};
  ops_->submit(&change);
}

bool ClusterEpochs::next(Change& done) {
  if (done.kind == RadosKind::kReadEntries) {
    if (done.error != 0) return false;
    const uint64_t there = epoch_in(done);
    uint64_t& latest = known(done.object);
    latest = std::max(latest, there);
    if (there >= done.epoch) return false;
    done.create = false;
    done.expected = {{kEpochKey, epoch_text(there)}};
    change(done);
    return true;
  }
  if (done.error == 0) {
    uint64_t& latest = known(done.object);
    latest = std::max(latest, done.epoch);
  }
  if (done.error != EEXIST && done.error != ECANCELED) return false;
  done.kind = RadosKind::kReadEntries;
  done.keys.clear();
  ops_->submit(&done);
  return true;
}

void ClusterEpochs::step() {
  for (RadosOp* op : client_.take()) {
    auto& change = static_cast<Change&>(*op);
    if (!next(change)) changes_.erase(std::string(change.object));
  }
}

}  // namespace quire::tiering
