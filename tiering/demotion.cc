#include "tiering/demotion.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

using cache::Node;
using model::Errc;
using model::NodeId;

namespace {

constexpr size_t kCandidatesPerStep = 256;
constexpr uint32_t kSweptPerStep = 1024;  // nodes looked at
constexpr size_t kVictimsPerStep = 32;
// What is under way is pinned: this part of RAM at most, or commits would find nothing to evict.
constexpr uint64_t kRamPartUnderWay = 4;
constexpr int64_t kRetryNs = model::kNsPerMs;  // after a step that could start nothing

}  // namespace

Demotion::Demotion(const DemotionParts& parts, const DemotionOptions& options)
    : parts_(parts), options_(options), admission_(options.admission, parts.clock->now_ns()) {}

uint64_t Demotion::free_ram_bytes() const {
  const allocator::Pool& pool = parts_.cache->store().pool();
  uint64_t used = 0;
  for (uint16_t d = 0; d < pool.domain_count(); ++d)
    used += pool.usage(model::DomainId{d}).slot_bytes;
  return options_.ram_bytes - std::min(used, options_.ram_bytes);
}

bool Demotion::wanted(NodeId node) const {
  const Node& link = parts_.cache->store().tree().node(node);
  if (!link.is_object()) return false;
  return link.is_in_ram() && !link.is_in(parts_.tier->id()) && !link.is_moving() &&
         !link.is_quarantined() && !link.is_superseded() &&
         !parts_.cache->names().root(link.root()).dead;
}

bool Demotion::step(int64_t now_ns) {
  const uint64_t missed = parts_.cache->store().counters().fresh_missed;
  if (writes_through() && std::exchange(passed_over_, missed) != missed) sweep_due_ = true;
  sweep(now_ns);
  if (!may_write(parts_.tier->mode()) || now_ns < retry_at_ns_) return false;
  const bool due =
      !queue_.empty() && now_ns - queue_.front().since_ns >= options_.delay_ms * model::kNsPerMs;
  if (!due && writes_through()) return false;
  runs_.clear();
  run_ends_.clear();
  in_runs_.clear();
  if (due) gather_queue();
  const bool left_ram = gather_shortage(now_ns);
  const bool started = start_runs(now_ns);
  // What keeps runs from starting changes at the pace of the device, not of the core's turns.
  if (!started && !runs_.empty()) retry_at_ns_ = now_ns + kRetryNs;
  return started || left_ram;
}

// In write-back nothing is a candidate before RAM runs short.
void Demotion::take_fresh(std::span<const cache::FreshNode> fresh, int64_t now_ns) {
  if (!writes_through()) return;
  for (const cache::FreshNode& node : fresh) enqueue({node.node, node.batch, now_ns});
}

void Demotion::enqueue(const Candidate& candidate) {
  if (queue_.size() < options_.max_queued) {
    queue_.push_back(candidate);
    return;
  }
  ++counters_.set_aside;
  sweep_due_ = true;
}

// Looks, while the queue has little, for what is in RAM without a copy and not a candidate any
// more: it had found no place. Some of it may be a candidate all the same, and is written once.
void Demotion::sweep(int64_t now_ns) {
  if (!sweeping_ && !sweep_due_) return;
  if (!sweeping_) {
    sweeping_ = std::exchange(sweep_due_, false);
    sweep_hand_ = 0;
  }
  const uint32_t end = parts_.cache->store().tree().end_of_nodes();
  for (uint32_t looked = 0; looked < kSweptPerStep && sweep_hand_ < end; ++looked) {
    if (queue_.size() >= std::min(kCandidatesPerStep, options_.max_queued)) return;
    const NodeId node{sweep_hand_++};
    if (!wanted(node)) continue;
    ++counters_.found_again;
    enqueue({node, false, now_ns});
  }
  sweeping_ = sweep_hand_ < end;
}

// What came after a candidate that is due goes with it: they are neighbours as a rule.
void Demotion::gather_queue() {
  for (size_t looked = 0; looked < kCandidatesPerStep && !queue_.empty(); ++looked) {
    add_candidate(queue_.front());
    queue_.pop_front();
  }
}

// Write-back, RAM below the low watermark: what the policy would drop next leaves RAM when it has a
// copy, and is demoted when it has none.
bool Demotion::gather_shortage(int64_t now_ns) {
  const auto low =
      static_cast<uint64_t>(options_.low_watermark * static_cast<double>(options_.ram_bytes));
  short_of_ram_ = !writes_through() && free_ram_bytes() < low;
  if (!short_of_ram_) return false;
  cache::ObjectStore& store = parts_.cache->store();
  std::vector<cache::Pin> offered_again;  // when they go
  bool left = false;
  for (uint16_t d = 0; d < store.pool().domain_count(); ++d) {
    for (size_t i = 0; i < kVictimsPerStep; ++i) {
      const NodeId node = parts_.cache->evictor().take_ram_victim(model::DomainId{d});
      if (!node.valid()) break;
      if (store.tree().node(node).has_copy_below(model::TierId::kRam)) {
        store.leave_ram(node);
        left = true;
        continue;
      }
      offered_again.emplace_back(&store, node, cache::PinKind::kResidency);
      add_candidate({node, false, now_ns});
    }
  }
  return left;
}

// The node, after those of its ancestors that have no copy. Nothing where the tier could not hold
// the whole path: its end is found by all before it.
void Demotion::add_candidate(const Candidate& candidate) {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  if (!wanted(candidate.node) || !can_hold(candidate)) return;
  adding_ = candidate;
  std::vector<NodeId> path;
  for (NodeId up = candidate.node; wanted(up) && !in_runs_.contains(up.value);
       up = tree.parent(up)) {
    path.push_back(up);
  }
  for (auto at = path.rbegin(); at != path.rend(); ++at) append(*at);
}

void Demotion::append(NodeId node) {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  in_runs_.insert(node.value);
  const bool span = tree.node(node).is_span();
  if (span) {
    const auto end = run_ends_.find(tree.parent(node).value);
    if (end != run_ends_.end() && runs_[end->second].nodes.size() < kMaxJobObjects) {
      const size_t at = end->second;
      runs_[at].nodes.push_back(node);
      run_ends_.erase(end);
      run_ends_.emplace(node.value, at);
      return;
    }
    run_ends_.emplace(node.value, runs_.size());
  }
  runs_.push_back({{node}, adding_.batch, adding_.since_ns});
}

// What cannot start now goes back to the front of the queue, in order.
bool Demotion::start_runs(int64_t now_ns) {
  size_t done = 0;
  const uint64_t started = counters_.started;
  for (; done < runs_.size(); ++done) {
    if (start_run(runs_[done], now_ns) == Started::kLater) break;
  }
  const bool worked = done > 0 || counters_.started > started;
  for (size_t i = runs_.size(); i > done; --i) {
    const Run& run = runs_[i - 1];
    for (auto node = run.nodes.rbegin(); node != run.nodes.rend(); ++node) {
      queue_.push_front({*node, run.batch, run.since_ns});
    }
  }
  return worked;
}

model::Hash256 Demotion::first_span_of(NodeId node) const {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  NodeId up = node;
  while (tree.node(tree.parent(up)).is_span()) {
    up = tree.parent(up);
  }
  return tree.key(up);
}

// A walk to the top is paid only where the rule asks for it.
bool Demotion::admitted(const Run& run, uint64_t bytes, int64_t now_ns) {
  const AdmissionRule rule = options_.admission.rule;
  const model::Hash256 first =
      rule == AdmissionRule::kSecondUse ? first_span_of(run.nodes.front()) : model::Hash256{};
  return admission_.admit(first, run.batch, bytes, now_ns) == AdmissionVerdict::kAdmitted;
}

bool Demotion::can_hold(const Candidate& candidate) {
  const Fitting fitting = parts_.tier->fits(candidate.node);
  if (fitting.fit != Fit::kFits) count_refusal(fitting.fit, fitting.bytes, 1);
  return fitting.fit == Fit::kFits;
}

void Demotion::count_refusal(Fit fit, uint64_t bytes, size_t objects) {
  if (fit == Fit::kTooDeep) {
    counters_.too_deep += objects;
  } else {
    counters_.too_large += objects;
    counters_.largest_refused.raise_to(bytes);
  }
}

Demotion::Started Demotion::start_run(Run& run, int64_t now_ns) {
  if (bytes_under_way_ > options_.ram_bytes / kRamPartUnderWay) return Started::kLater;
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  // The parent's own demotion was refused or failed: without it this copy could not be found.
  const Node& above = tree.node(tree.parent(run.nodes.front()));
  if (!above.is_root() && !above.is_in(parts_.tier->id()) && !above.is_moving()) {
    return Started::kRefused;
  }
  WriteOffer offer = parts_.tier->reserve(run.nodes);
  if (offer.fit == Fit::kLater) return Started::kLater;
  if (offer.fit != Fit::kFits) {
    count_refusal(offer.fit, 0, run.nodes.size());
    return Started::kRefused;
  }
  // After the room was found: the budget is charged for what is written, and once.
  if (!admitted(run, offer.room.bytes(), now_ns)) return Started::kRefused;
  start_job(run, std::move(offer.room));
  // What hangs on the rest would be refused: its parent is not under way.
  return run.nodes.empty() ? Started::kYes : Started::kLater;
}

// Takes what goes off the run.
void Demotion::start_job(Run& run, WriteRoom&& room) {
  cache::ObjectStore& store = parts_.cache->store();
  const uint32_t count = room.objects();
  const uint32_t number = jobs_.take();
  WriteJob& job = jobs_[number];
  job.left = count;
  job.since_ns = run.since_ns;
  job.parent =
      cache::Pin(&store, store.tree().parent(run.nodes.front()), cache::PinKind::kPresence);
  for (uint32_t i = 0; i < count; ++i) {
    const NodeId node = run.nodes[i];
    job.nodes[i] = cache::Pin(&store, node, cache::PinKind::kResidency);
    job.ram_bytes += object_bytes(store.presence().plan_of(node));
    store.tree().marks().set_moving(node, true);
    ++counters_.started;
  }
  bytes_under_way_ += job.ram_bytes;
  parts_.tier->write(std::move(room), std::span(run.nodes).first(count), number);
  run.nodes.erase(run.nodes.begin(), run.nodes.begin() + count);
}

void Demotion::take(const TierEvent& event, int64_t now_ns) {
  switch (event.kind) {
    case TierEvent::Kind::kLost:
      enqueue({event.node, false, now_ns});
      return;
    case TierEvent::Kind::kRoomier:
      // What was refused while the tier could not grow may fit now.
      if (writes_through()) sweep_due_ = true;
      return;
    case TierEvent::Kind::kRead:
      return;
    case TierEvent::Kind::kWritten:
      break;
  }
  WriteJob& job = jobs_[event.job];
  if (event.code == Errc::kOk) {
    finish_written(job, event, now_ns);
  } else {
    finish_failed(job, event);
  }
  job.left -= event.count;
  if (job.left > 0) return;
  bytes_under_way_ -= job.ram_bytes;
  jobs_.give_back(event.job);
}

// Deepest first: what leaves RAM has no child there.
void Demotion::finish_written(WriteJob& job, const TierEvent& event, int64_t now_ns) {
  cache::ObjectStore& store = parts_.cache->store();
  const auto high =
      static_cast<uint64_t>(options_.high_watermark * static_cast<double>(options_.ram_bytes));
  for (uint32_t i = 0; i < event.count; ++i) {
    store.gain_copy(job.nodes[event.first + i].node(), parts_.tier->id(),
                    {.slot = event.place.slot + i,
                     .generation = static_cast<uint16_t>(event.place.generation + i)});
  }
  for (uint32_t i = event.first + event.count; i > event.first; --i) {
    cache::Pin& pin = job.nodes[i - 1];
    const NodeId node = pin.node();
    const Node& link = store.tree().node(node);
    // A node that is dropped with its last pin is not there afterwards.
    const bool stays = !link.is_quarantined() && !link.is_superseded();
    store.tree().marks().set_moving(node, false);
    pin.reset();
    if (i == 1) job.parent.reset();
    note_lag(now_ns - job.since_ns);
    const bool short_of_ram = !writes_through() && free_ram_bytes() < high;
    if (stays && short_of_ram && store.presence().may_leave(node, model::TierId::kRam)) {
      store.leave_ram(node);
    }
  }
}

// What the tier could not write goes once more when it works again, in the order of the path; what
// is not what was sealed is nobody's hit any more (law 4).
void Demotion::finish_failed(WriteJob& job, const TierEvent& event) {
  cache::ObjectStore& store = parts_.cache->store();
  const bool corrupt = event.code == Errc::kCorrupt;
  for (uint32_t i = event.first + event.count; i > event.first; --i) {
    cache::Pin& pin = job.nodes[i - 1];
    const NodeId node = pin.node();
    if (event.code != Errc::kBusy) ++counters_.failed;
    if (corrupt) {
      ++counters_.corrupt_in_ram;
      if (!store.tree().node(node).is_quarantined()) store.quarantine(node);
    }
    store.tree().marks().set_moving(node, false);
    pin.reset();
    if (i == 1) job.parent.reset();
    if (!corrupt) queue_.push_front({node, false, job.since_ns});
  }
}

void Demotion::note_lag(int64_t lag_ns) {
  if (lags_ns_.size() < kLags) {
    lags_ns_.push_back(lag_ns);
    return;
  }
  lags_ns_[next_lag_++ % kLags] = lag_ns;
}

void Demotion::describe_written(model::MetricSink& sink) const {
  DemotedCounters demoted = counters_;
  // The queue before this one's is one with it.
  demoted.set_aside += parts_.cache->store().counters().fresh_missed;
  model::describe(sink, demoted);
  model::describe(sink, admission_.counters());
  sink.metric(parts_.cache->evictor().evicted_copies());
  // Of a window, so that an operator sees today's device and not last month's.
  sink.summary(
      {.key = "durable_lag", .help = "From candidate to durable, over the last 4,096 objects"},
      durable_lags_ns());
}

}  // namespace quire::tiering
