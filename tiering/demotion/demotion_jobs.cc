#include "tiering/demotion/demotion_jobs.h"

#include <algorithm>
#include <limits>

#include "model/check.h"

namespace quire::tiering {

uint32_t DemotionJobs::start(std::span<const model::NodeId> nodes, int64_t since_ns) {
  QUIRE_CHECK(!nodes.empty() && nodes.size() <= kMaxJobObjects);
  const uint32_t number = jobs_.take();
  Job& job = jobs_[number];
  job.left = static_cast<uint32_t>(nodes.size());
  job.since_ns = since_ns;
  job.parent = cache::Pin(store_, store_->tree().parent(nodes.front()), cache::PinKind::kPresence);
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    job.nodes[i] = cache::Pin(store_, nodes[i], cache::PinKind::kResidency);
    job.bytes += object_bytes(store_->presence().plan_of(nodes[i]));
    store_->tree().marks().set_moving(nodes[i], true);
    under_way_.insert(nodes[i].value);
  }
  bytes_ += job.bytes;
  job.domain = names_->root(store_->tree().node(nodes.front()).root()).key.domain;
  under_way_of_all_->add(job.domain, job.bytes);
  return number;
}

// Asked while an operator waits: a walk over some hundred records.
int64_t DemotionJobs::oldest_since_ns() const {
  int64_t oldest = std::numeric_limits<int64_t>::max();
  for (uint32_t i = 0; i < jobs_.end_of_numbers(); ++i) {
    if (jobs_[i].left > 0) oldest = std::min(oldest, jobs_[i].since_ns);
  }
  return oldest;
}

// The mark before the pin, with which the node may go.
void DemotionJobs::release(uint32_t number, uint32_t object) {
  Job& job = jobs_[number];
  cache::Pin& pin = job.nodes[object];
  store_->tree().marks().set_moving(pin.node(), false);
  under_way_.erase(pin.node().value);
  pin.reset();
  // Ends come from the deep end on, so nothing of the job hangs on the parent any more.
  if (object == 0) job.parent.reset();
}

void DemotionJobs::finish(uint32_t number, uint32_t objects) {
  Job& job = jobs_[number];
  QUIRE_CHECK(objects <= job.left);
  job.left -= objects;
  if (job.left > 0) return;
  bytes_ -= job.bytes;
  under_way_of_all_->remove(job.domain, job.bytes);
  jobs_.give_back(number);
}

}  // namespace quire::tiering
