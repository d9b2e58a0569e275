#include "tiering/demotion/demotion.h"

#include <algorithm>
#include <string>
#include <utility>

namespace quire::tiering {

using cache::Node;
using model::Errc;
using model::NodeId;

namespace {

constexpr size_t kVictimsPerStep = 32;
constexpr size_t kOwnEvictionsPerStep = 64;
// What is under way is pinned: this part of a domain's RAM at most, to whichever tiers, or its
// commits would find nothing to evict.
constexpr uint64_t kRamPartUnderWay = 4;
constexpr int64_t kRetryNs = model::kNsPerMs;  // after a step that could start nothing

}  // namespace

Demotion::Demotion(const DemotionParts& parts, const DemotionOptions& options)
    : parts_(parts),
      options_(options),
      admission_(options.admission, parts.clock->now_ns()),
      queue_(parts.cache, parts.tier->id(), options.max_queued),
      runs_(parts.cache, parts.tier->id()),
      jobs_(parts.cache, parts.under_way) {}

uint64_t Demotion::free_ram_bytes() const {
  const allocator::Pool& pool = parts_.cache->store().pool();
  uint64_t used = 0;
  for (uint16_t d = 0; d < pool.domain_count(); ++d)
    used += pool.usage(model::DomainId{d}).slot_bytes;
  return options_.ram_bytes - std::min(used, options_.ram_bytes);
}

bool Demotion::step(int64_t now_ns) {
  const uint64_t missed = parts_.cache->store().counters().fresh_missed;
  if (writes_through() && std::exchange(passed_over_, missed) != missed) queue_.sweep_soon();
  counters_.found_again += queue_.sweep(now_ns);
  const bool sweeps = step_flush(now_ns);
  if (!may_write(parts_.tier->mode()) || now_ns < retry_at_ns_) return sweeps;
  const bool due = queue_.is_due(now_ns, delay_ns());
  if (!due && writes_through()) return sweeps;
  runs_.clear();
  waiting_.clear();
  if (due) gather_queue();
  const bool left_ram = gather_shortage(now_ns);
  const uint64_t before = counters_.started;
  const bool passed = start_runs(now_ns);
  const bool started = waiting_.empty() ? passed : counters_.started > before;
  // What keeps runs from starting changes at the pace of the device, not of the core's turns.
  if (!started && !(runs_.empty() && waiting_.empty())) retry_at_ns_ = now_ns + kRetryNs;
  for (auto one = waiting_.rbegin(); one != waiting_.rend(); ++one) queue_.add_first(*one);
  return started || left_ram || sweeps;
}

int64_t Demotion::delay_ns() const {
  return flush_.is_running() ? 0 : options_.delay_ms * model::kNsPerMs;
}

void Demotion::start_flush() {
  queue_.sweep_soon();
  flush_.start();
}

// True while the sweep of a flush can go on at once. Else the device sets the pace.
bool Demotion::step_flush(int64_t now_ns) {
  if (!flush_.is_running()) return false;
  if (!may_write(parts_.tier->mode())) flush_.stop();
  if (flush_.is_sweeping() && !queue_.is_sweeping()) flush_.note_swept(now_ns);
  const int64_t first = queue_.empty() ? Flush::kNone : queue_.first_since_ns();
  flush_.note_oldest(std::min(first, jobs_.oldest_since_ns()));
  return flush_.is_sweeping() && queue_.size() < CandidateQueue::kAtOnce;
}

// In write-back nothing is a candidate before RAM runs short.
void Demotion::take_fresh(std::span<const cache::FreshNode> fresh, int64_t now_ns) {
  if (!writes_through()) return;
  for (const cache::FreshNode& node : fresh) enqueue({node.node, node.batch, now_ns});
}

void Demotion::enqueue(const Candidate& candidate) {
  if (!queue_.add(candidate)) ++counters_.set_aside;
}

// What came after a candidate that is due goes with it: they are neighbours as a rule.
void Demotion::gather_queue() {
  for (size_t i = 0; i < CandidateQueue::kAtOnce && !queue_.empty(); ++i) {
    add_candidate(queue_.take_first());
  }
}

// What is pinned only while nothing else is there, nor on its way.
NodeId Demotion::take_victim(model::DomainId domain, bool first) {
  cache::Evictor& evictor = parts_.cache->evictor();
  const NodeId node = evictor.take_ram_victim(domain);
  const bool may_take_pinned = first && jobs_.bytes() == 0 && runs_.empty();
  return node.valid() || !may_take_pinned ? node : evictor.take_pinned_victim(domain);
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
      const NodeId node = take_victim(model::DomainId{d}, i == 0);
      if (!node.valid()) break;
      if (store.tree().node(node).has_copy_below(model::TierId::kRam)) {
        parts_.cache->evictor().evict_node(model::TierId::kRam, node,
                                           cache::DepartureCause::kPolicy);
        left = true;
        continue;
      }
      offered_again.emplace_back(&store, node, cache::PinKind::kResidency);
      add_candidate({node, false, now_ns});
    }
  }
  return left;
}

// Another tier has it under way: what becomes of that is not known yet.
bool Demotion::is_anothers(NodeId node) const {
  return parts_.cache->store().tree().node(node).is_moving() && !jobs_.contains(node);
}

// Nothing where the tier could not hold the whole path: its end is found by all before it.
void Demotion::add_candidate(const Candidate& candidate) {
  if (lacks_copy(*parts_.cache, parts_.tier->id(), candidate.node) && is_anothers(candidate.node)) {
    waiting_.push_back(candidate);
    return;
  }
  if (!wants_copy(*parts_.cache, parts_.tier->id(), candidate.node) || !can_hold(candidate)) return;
  runs_.add(candidate);
}

// What cannot start now goes back to the front of the queue, in order.
bool Demotion::start_runs(int64_t now_ns) {
  const std::span<DemotionRun> runs = runs_.runs();
  size_t done = 0;
  const uint64_t started = counters_.started;
  for (; done < runs.size(); ++done) {
    if (start_run(runs[done], now_ns) == Started::kLater) break;
  }
  const bool worked = done > 0 || counters_.started > started;
  for (size_t i = runs.size(); i > done; --i) {
    const DemotionRun& run = runs[i - 1];
    for (auto node = run.nodes.rbegin(); node != run.nodes.rend(); ++node) {
      queue_.add_first({*node, run.batch, run.since_ns});
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

// By a name that no other tenant has, nor gets when this one has left.
std::string Demotion::tenant_of(NodeId node) const {
  const cache::NamespaceTable& names = parts_.cache->names();
  const cache::RootKey& key = names.root(parts_.cache->store().tree().node(node).root()).key;
  return names.domain_name(key.domain) + '\0' + key.tenant;
}

// Before anything makes way for it. A run whose parent is on its way goes with it: its policy knows
// nothing of the parent yet, and took it a moment ago.
bool Demotion::is_worth_it(const DemotionRun& run, NodeId parent) {
  const bool asks = admission_.rule() == AdmissionRule::kPolicy && parts_.tier->is_full();
  if (!asks || jobs_.contains(parent)) return true;
  const model::Hash256& key = parts_.cache->store().tree().key(run.nodes.front());
  const bool admits = parts_.cache->board().admits(parent, key, parts_.tier->id());
  admission_.count_asked(admits);
  return admits;
}

// What of its domain is behind it waits likewise: nothing ends within a step.
bool Demotion::has_enough_under_way(NodeId node) const {
  const cache::ObjectStore& store = parts_.cache->store();
  const model::DomainId domain =
      parts_.cache->names().root(store.tree().node(node).root()).key.domain;
  return parts_.under_way->bytes(domain) >
         store.pool().usage(domain).segment_bytes / kRamPartUnderWay;
}

// A walk to the top is paid only where the rule asks for it.
bool Demotion::admitted(const DemotionRun& run, uint64_t bytes, int64_t now_ns) {
  const AdmissionRule rule = options_.admission.rule;
  const model::Hash256 first =
      rule == AdmissionRule::kSecondUse ? first_span_of(run.nodes.front()) : model::Hash256{};
  const std::string tenant =
      admission_.asks_for_tenant() ? tenant_of(run.nodes.front()) : std::string();
  const AdmissionVerdict verdict = admission_.admit(
      {.first_span = first, .batch_class = run.batch, .tenant = tenant, .bytes = bytes}, now_ns);
  if (verdict == AdmissionVerdict::kAdmitted) return true;
  flush_.note_refused(
      verdict == AdmissionVerdict::kRefusedByRule ? &FlushCounts::by_rule : &FlushCounts::by_budget,
      run.nodes.size());
  return false;
}

bool Demotion::can_hold(const Candidate& candidate) {
  const Fitting fitting = parts_.tier->fits(candidate.node);
  if (fitting.fit != Fit::kFits) count_refusal(fitting.fit, fitting.bytes, 1);
  return fitting.fit == Fit::kFits;
}

void Demotion::count_refusal(Fit fit, uint64_t bytes, size_t objects) {
  flush_.note_refused(fit == Fit::kTooDeep ? &FlushCounts::too_deep : &FlushCounts::too_large,
                      objects);
  if (fit == Fit::kTooDeep) {
    counters_.too_deep += objects;
  } else {
    counters_.too_large += objects;
    counters_.largest_refused.raise_to(bytes);
  }
}

Demotion::Started Demotion::start_run(DemotionRun& run, int64_t now_ns) {
  if (has_enough_under_way(run.nodes.front())) {
    for (const NodeId node : run.nodes) waiting_.push_back({node, run.batch, run.since_ns});
    return Started::kYes;
  }
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  // The parent's own demotion was refused or failed: without it this copy could not be found.
  const NodeId parent = tree.parent(run.nodes.front());
  const Node& above = tree.node(parent);
  if (!above.is_root() && !above.is_in(parts_.tier->id()) && !jobs_.contains(parent)) {
    if (above.is_in_ram() && is_anothers(parent)) {
      for (const NodeId node : run.nodes) waiting_.push_back({node, run.batch, run.since_ns});
      return Started::kYes;
    }
    flush_.note_refused(&FlushCounts::behind_refused, run.nodes.size());
    return Started::kRefused;
  }
  if (!is_worth_it(run, parent)) {
    flush_.note_refused(&FlushCounts::by_rule, run.nodes.size());
    return Started::kRefused;
  }
  if (const Started own = make_own_room(run); own != Started::kYes) return own;
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

// Who would be above its burst on the tier gives copies of its own; kYes: below it with this run.
// What is being written does not count yet.
Demotion::Started Demotion::make_own_room(const DemotionRun& run) {
  cache::ObjectStore& store = parts_.cache->store();
  const cache::QuotaTable& quotas = parts_.cache->quotas();
  const model::TierId tier = parts_.tier->id();
  const NodeId first = run.nodes.front();
  const model::TenantId tenant = parts_.cache->names().root(store.tree().node(first).root()).tenant;
  const cache::Owner owner = quotas.owner_of(tier, tenant);
  uint64_t bytes = 0;
  for (const NodeId node : run.nodes) bytes += store.presence().plan_of(node).page_bytes;
  if (!quotas.exceeds(tier, owner, bytes)) return Started::kYes;
  // Not of the parent's copy: this one could not be found.
  const cache::Pin stays(&store, store.tree().parent(first), cache::PinKind::kPresence);
  const bool fits = bytes <= quotas.of(tier, owner).burst_bytes;
  for (size_t i = 0; fits && i < kOwnEvictionsPerStep; ++i) {
    if (!parts_.cache->evictor().evict_own(tier, tenant)) break;
    if (!quotas.exceeds(tier, owner, bytes)) return Started::kYes;
    if (i + 1 == kOwnEvictionsPerStep) return Started::kLater;
  }
  counters_.over_burst += run.nodes.size();
  flush_.note_refused(&FlushCounts::over_burst, run.nodes.size());
  return Started::kRefused;
}

// Takes what goes off the run.
void Demotion::start_job(DemotionRun& run, WriteRoom&& room) {
  const auto nodes = std::span(run.nodes).first(room.objects());
  counters_.started += nodes.size();
  // Pinned before the tier has them: it may look at their pages at once.
  const uint32_t job = jobs_.start(nodes, run.since_ns);
  parts_.tier->write(std::move(room), nodes, job);
  run.nodes.erase(run.nodes.begin(), run.nodes.begin() + static_cast<ptrdiff_t>(nodes.size()));
}

void Demotion::take(const TierEvent& event, int64_t now_ns) {
  switch (event.kind) {
    case TierEvent::Kind::kLost:
      enqueue({event.node, false, now_ns});
      return;
    case TierEvent::Kind::kRoomier:
      // What was refused while the tier could not grow may fit now.
      if (writes_through()) queue_.sweep_soon();
      return;
    case TierEvent::Kind::kRead:
    case TierEvent::Kind::kFound:
      return;
    case TierEvent::Kind::kWritten:
      break;
  }
  if (event.code == Errc::kOk) {
    finish_written(event, now_ns);
  } else {
    finish_failed(event);
  }
  jobs_.finish(event.job, event.count);
}

// Deepest first: what leaves RAM has no child there.
void Demotion::finish_written(const TierEvent& event, int64_t now_ns) {
  cache::ObjectStore& store = parts_.cache->store();
  const auto high =
      static_cast<uint64_t>(options_.high_watermark * static_cast<double>(options_.ram_bytes));
  // All copies first: a node that leaves RAM must find its parent's copy.
  for (uint32_t i = 0; i < event.count; ++i) {
    store.gain_copy(jobs_.node(event.job, event.first + i), parts_.tier->id(),
                    {.slot = event.place.slot + i,
                     .generation = static_cast<uint16_t>(event.place.generation + i)});
  }
  for (uint32_t i = event.first + event.count; i > event.first; --i) {
    const NodeId node = jobs_.node(event.job, i - 1);
    const Node& link = store.tree().node(node);
    // A node that is dropped with its last pin is not there afterwards.
    const bool stays = !link.is_quarantined() && !link.is_superseded();
    flush_.note_written(store.presence().plan_of(node).page_bytes);
    jobs_.release(event.job, i - 1);
    note_lag(now_ns - jobs_.since_ns(event.job));
    const bool short_of_ram = !writes_through() && free_ram_bytes() < high;
    if (stays && short_of_ram && store.presence().may_leave(node, model::TierId::kRam)) {
      parts_.cache->evictor().evict_node(model::TierId::kRam, node, cache::DepartureCause::kPolicy);
    }
  }
}

// What the tier could not write goes once more when it works again, in the order of the path; what
// is not what was sealed is nobody's hit any more (law 4).
void Demotion::finish_failed(const TierEvent& event) {
  cache::ObjectStore& store = parts_.cache->store();
  const bool corrupt = event.code == Errc::kCorrupt;
  for (uint32_t i = event.first + event.count; i > event.first; --i) {
    const NodeId node = jobs_.node(event.job, i - 1);
    if (event.code != Errc::kBusy) ++counters_.failed;
    if (corrupt) {
      ++counters_.corrupt_in_ram;
      flush_.note_refused(&FlushCounts::corrupt, 1);
      // While it is pinned: afterwards it may be gone.
      if (!store.tree().node(node).is_quarantined()) store.quarantine(node);
    }
    jobs_.release(event.job, i - 1);
    if (!corrupt) queue_.add_first({node, false, jobs_.since_ns(event.job)});
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
  if (parts_.tier->id() == cache::Presence::kPlacedTier) {
    sink.metric(parts_.cache->evictor().evicted_copies());
  }
  // Of a window, so that an operator sees today's device and not last month's.
  sink.summary(
      {.key = "durable_lag", .help = "From candidate to durable, over the last 4,096 objects"},
      durable_lags_ns());
}

}  // namespace quire::tiering
