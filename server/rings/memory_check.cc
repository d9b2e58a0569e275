#include "server/rings/memory_check.h"

#include <algorithm>

namespace quire::server {

using cache::Node;
using model::NodeId;
using model::SlotId;

namespace {

constexpr uint32_t kNodesPerStep = 256;  // looked at, most of them not in RAM perhaps
// A tenth of what one core's memory gives: a pass over 100 GB takes minutes, and nobody notices.
constexpr uint64_t kBytesPerSecond = 1ull << 30;
constexpr int64_t kMaxCatchUpNs = 10'000'000;  // after a turn that took long

}  // namespace

void MemoryCheck::start(int64_t now_ns) {
  if (status_.running) return;
  status_.running = true;
  status_.bytes_per_second = kBytesPerSecond;
  next_node_ = 0;
  next_at_ns_ = now_ns;
}

bool MemoryCheck::step(int64_t now_ns) {
  if (!status_.running) return false;
  // What was missed is not caught up beyond this: a burst would take the memory's bandwidth from
  // clients.
  next_at_ns_ = std::max(next_at_ns_, now_ns - kMaxCatchUpNs);
  const cache::ObjectStore& store = cache_->store();
  bool worked = false;
  for (uint32_t i = 0; i < kNodesPerStep; ++i) {
    if (next_node_ >= store.tree().end_of_nodes()) break;
    const Node& link = store.tree().node(NodeId{next_node_});
    if (link.is_object() && link.is_in_ram() && !link.is_quarantined()) {
      // The hand stays at this node: it is looked at again when there is time, or a job.
      if (in_flight_ >= kInFlight || now_ns < next_at_ns_ || !check(NodeId{next_node_})) break;
      worked = true;
    }
    ++next_node_;
  }
  if (next_node_ < store.tree().end_of_nodes() || in_flight_ > 0) return worked;
  ++status_.passes;
  status_.running = false;
  return true;
}

// False when no job is free: later.
bool MemoryCheck::check(NodeId node) {
  cache::ObjectStore& store = cache_->store();
  const model::RootId root = store.tree().node(node).root();
  CopyJob* job = jobs_->take(cache_->names().root(root).key.domain);
  if (job == nullptr) return false;
  job->purpose = CopyPurpose::kMemory;
  job->attachment = nullptr;
  job->node = node;
  job->page_count = 0;
  uint64_t bytes = 0;
  const cache::Presence& presence = store.presence();
  for (SlotId slot = presence.first_page(node); slot.valid(); slot = presence.next_page(slot)) {
    tiering::CopyPage& page = job->pages[job->page_count++];
    page = {.source = store.pool().place(slot).data, .bytes = store.pool().page_bytes(slot)};
    bytes += page.bytes;
  }
  job->task.pages = std::span(job->pages.data(), job->page_count);
  pins_[job->task.id] =
      cache::Pin(&store, node,
                 cache::PinKind::kResidency);  // its pages stay in place while a worker reads them
  ++in_flight_;
  status_.bytes += bytes;
  next_at_ns_ +=
      static_cast<int64_t>(static_cast<double>(bytes) * 1e9 / static_cast<double>(kBytesPerSecond));
  QUIRE_CHECK(copies_->submit(&job->task));
  return true;
}

void MemoryCheck::finish(CopyJob* job) {
  cache::ObjectStore& store = cache_->store();
  const NodeId node = job->node;
  bool good = true;
  uint32_t i = 0;
  const cache::Presence& presence = store.presence();
  for (SlotId slot = presence.first_page(node); slot.valid();
       slot = presence.next_page(slot), ++i) {
    good = good && job->pages[i].crc32c == store.pool().page(slot).crc32c;
  }
  // Pinned since it was submitted, so it has the same pages.
  QUIRE_CHECK(i == job->page_count);
  // Goes when what is bad is out of the index.
  const auto pin = pins_.extract(job->task.id);
  jobs_->give_back(job);
  --in_flight_;
  ++status_.objects;
  if (!good) {
    ++status_.bad;
    // Found by somebody else meanwhile, perhaps.
    if (!store.tree().node(node).is_quarantined()) store.quarantine(node);
  }
}

MemoryCheckStatus MemoryCheck::status() const {
  MemoryCheckStatus status = status_;
  const uint32_t end = cache_->store().tree().end_of_nodes();
  if (status.running && end > 0) status.progress = static_cast<double>(next_node_) / end;
  return status;
}

}  // namespace quire::server
