#include "tiering/ssd_demoter.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

using cache::Node;
using cache::NodeKind;
using model::NodeId;

namespace {

constexpr size_t kCandidatesPerStep = 256;
constexpr uint32_t kSweptPerStep = 1024;  // nodes looked at
constexpr size_t kVictimsPerStep = 32;
// What is under way is pinned: this part of RAM at most, or commits would find nothing to evict.
constexpr uint64_t kRamPartUnderWay = 4;
constexpr int64_t kNsPerMs = 1'000'000;
constexpr uint64_t kMaxEncodedBytes = 16 << 20;  // of an object: what is larger is stored as it is
constexpr int64_t kRetryNs = kNsPerMs;           // after a step that could start nothing

}  // namespace

SsdDemoter::SsdDemoter(const CommitterParts& parts, SsdCommitter* committer,
                       const DemoterOptions& options, uint64_t first_generation)
    : parts_(parts),
      committer_(committer),
      options_(options),
      admission_(options.admission, parts.clock->now_ns()),
      codec_(options.codec),
      room_(parts, committer),
      next_generation_(first_generation) {}

uint64_t SsdDemoter::free_ram_bytes() const {
  const allocator::Pool& pool = parts_.cache->store().pool();
  uint64_t used = 0;
  for (uint16_t d = 0; d < pool.domain_count(); ++d)
    used += pool.usage(model::DomainId{d}).slot_bytes;
  return options_.ram_bytes - std::min(used, options_.ram_bytes);
}

bool SsdDemoter::wanted(NodeId node) const {
  const Node& link = parts_.cache->store().tree().node(node);
  if (!link.is_object()) return false;
  return link.is_in_ram() && !link.is_in(model::TierId::kSsd) && !link.is_moving() &&
         !link.is_quarantined() && !link.is_superseded() &&
         !parts_.cache->names().root(link.root()).dead;
}

bool SsdDemoter::step(int64_t now_ns) {
  room_.step(now_ns);
  take_finished(now_ns);
  take_fresh(now_ns);
  sweep(now_ns);
  if (!parts_.health->may_write() || now_ns < retry_at_ns_) return false;
  if (queue_.empty()) blocked_by_.clear();
  const bool due =
      !queue_.empty() && now_ns - queue_.front().since_ns >= options_.delay_ms * kNsPerMs;
  if (!due && options_.policy == WritePolicy::kThrough) return false;
  runs_.clear();
  run_ends_.clear();
  in_runs_.clear();
  if (due) gather_queue();
  const bool left_ram = gather_shortage();
  const bool started = start_runs(now_ns);
  // What keeps runs from starting changes at the pace of the device, not of the core's turns.
  if (!started && !runs_.empty()) retry_at_ns_ = now_ns + kRetryNs;
  return started || left_ram;
}

void SsdDemoter::take_fresh(int64_t now_ns) {
  cache::ObjectStore& store = parts_.cache->store();
  std::vector<cache::FreshNode>& fresh = store.fresh();
  if (options_.policy == WritePolicy::kThrough) {
    for (const cache::FreshNode& node : fresh) enqueue({node.node, node.batch, now_ns});
    // What was refused while the tier could not grow may fit now.
    const uint64_t passed_over = store.counters().fresh_missed + room_.relieved_count();
    if (std::exchange(passed_over_, passed_over) != passed_over) sweep_due_ = true;
  }
  fresh.clear();
}

void SsdDemoter::enqueue(const Candidate& candidate) {
  if (queue_.size() < options_.max_queued) {
    queue_.push_back(candidate);
    return;
  }
  ++counters_.set_aside;
  sweep_due_ = true;
}

// Looks, while the queue has little, for what is in RAM without a copy and not a candidate any
// more: it had found no place. Some of it may be a candidate all the same, and is written once.
void SsdDemoter::sweep(int64_t now_ns) {
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
void SsdDemoter::gather_queue() {
  for (size_t looked = 0; looked < kCandidatesPerStep && !queue_.empty(); ++looked) {
    add_candidate(queue_.front());
    queue_.pop_front();
  }
}

// Write-back, RAM below the low watermark: what the policy would drop next leaves RAM when it has a
// copy, and is demoted when it has none.
bool SsdDemoter::gather_shortage() {
  const auto low =
      static_cast<uint64_t>(options_.low_watermark * static_cast<double>(options_.ram_bytes));
  short_of_ram_ = options_.policy == WritePolicy::kBack && free_ram_bytes() < low;
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
      add_candidate({node, false, parts_.clock->now_ns()});
    }
  }
  return left;
}

// The node, after those of its ancestors that have no copy. Nothing where the tier could not hold
// the whole path: its end is found by all before it.
void SsdDemoter::add_candidate(const Candidate& candidate) {
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

void SsdDemoter::append(NodeId node) {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  in_runs_.insert(node.value);
  const bool span = tree.node(node).is_span();
  if (span) {
    const auto end = run_ends_.find(tree.parent(node).value);
    if (end != run_ends_.end() && runs_[end->second].nodes.size() < kMaxRunObjects &&
        runs_[end->second].as_it_is == adding_.as_it_is) {
      const size_t at = end->second;
      runs_[at].nodes.push_back(node);
      run_ends_.erase(end);
      run_ends_.emplace(node.value, at);
      return;
    }
    run_ends_.emplace(node.value, runs_.size());
  }
  runs_.push_back({{node}, adding_.batch, adding_.since_ns, adding_.as_it_is});
}

// What cannot start now goes back to the front of the queue, in order.
bool SsdDemoter::start_runs(int64_t now_ns) {
  size_t done = 0;
  const uint64_t started = counters_.started;
  blocked_by_.clear();
  for (; done < runs_.size(); ++done) {
    if (start_run(runs_[done], now_ns) == Started::kLater) break;
  }
  const bool worked = done > 0 || counters_.started > started;
  for (size_t i = runs_.size(); i > done; --i) {
    const Run& run = runs_[i - 1];
    for (auto node = run.nodes.rbegin(); node != run.nodes.rend(); ++node) {
      queue_.push_front({*node, run.batch, run.since_ns, run.as_it_is});
    }
  }
  return worked;
}

model::Hash256 SsdDemoter::first_span_of(NodeId node) const {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  NodeId up = node;
  while (tree.node(tree.parent(up)).is_span()) {
    up = tree.parent(up);
  }
  return tree.key(up);
}

// A walk to the top is paid only where the rule asks for it.
bool SsdDemoter::admitted(const Run& run, uint64_t bytes, int64_t now_ns) {
  const AdmissionRule rule = options_.admission.rule;
  const model::Hash256 first =
      rule == AdmissionRule::kSecondUse ? first_span_of(run.nodes.front()) : model::Hash256{};
  return admission_.admit(first, run.batch, bytes, now_ns) == AdmissionVerdict::kAdmitted;
}

// That the node takes on the device with all before it on its path.
uint64_t SsdDemoter::regions_of_path(NodeId node, uint64_t slot_bytes) const {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const NodeId parent = tree.parent(node);
  const uint32_t step = layout_of(node).units_per_block;
  const uint64_t before = tree.node(parent).units() / step;
  if (tree.node(node).is_span()) return room_.regions_of(slot_bytes, before + 1);
  const uint64_t spans =
      before == 0 ? 0 : room_.regions_of(parts_.mover->object_bytes(parent), before);
  return room_.regions_of(slot_bytes, 1) + spans;
}

bool SsdDemoter::can_hold(const Candidate& candidate) {
  const int64_t now_ns = parts_.clock->now_ns();
  const uint64_t slot_bytes = slot_bytes_of(candidate.node, candidate.as_it_is);
  if (!room_.can_hold(slot_bytes, now_ns)) {
    ++counters_.too_large;
    counters_.largest_refused.raise_to(slot_bytes);
    return false;
  }
  const bool whole_path =
      room_.can_hold_regions(regions_of_path(candidate.node, slot_bytes), now_ns);
  if (!whole_path) ++counters_.too_deep;
  return whole_path;
}

// What the path has on the device stays there, wherever it lies: others were written in between, or
// slots had another size before. In regions of this size slots beside it may become free, until
// nothing more can go.
bool SsdDemoter::path_leaves_room(NodeId node, uint64_t slot_bytes, int64_t now_ns) const {
  const cache::ObjectStore& store = parts_.cache->store();
  const cache::PrefixTree& tree = store.tree();
  std::unordered_set<uint32_t> regions;
  for (NodeId up = tree.parent(node); !tree.node(up).is_root(); up = tree.parent(up)) {
    const auto place = store.presence().place(up);
    if (!place) continue;
    const uint32_t region = SsdSlot{place->slot}.region();
    const bool shared = !room_.stuck() && parts_.space->slot_bytes(region) == slot_bytes &&
                        parts_.space->geometry(region).slot_count > 1;
    if (shared || !regions.insert(region).second) continue;
    const auto more = parts_.space->more_regions(region);
    regions.insert(more.begin(), more.end());
  }
  return room_.can_hold_beside(regions, slot_bytes, now_ns);
}

// Not of the parent's place: its child's copy would be lost with it.
bool SsdDemoter::make_room(NodeId node, uint64_t slot_bytes, int64_t now_ns) {
  cache::ObjectStore& store = parts_.cache->store();
  const NodeId parent = store.tree().parent(node);
  const cache::Pin stays(&store, parent, cache::PinKind::kPresence);
  return room_.make(slot_bytes, now_ns);
}

// The walk to the top is paid before anything makes way, and again where nothing can.
SsdDemoter::Started SsdDemoter::start_with_new_room(Run& run, uint64_t slot_bytes, int64_t now_ns) {
  const NodeId node = run.nodes.front();
  const bool again = std::exchange(room_for_, node) == node && !room_.stuck();
  if (!again && !path_leaves_room(node, slot_bytes, now_ns)) {
    counters_.too_deep += run.nodes.size();
    return Started::kRefused;
  }
  if (make_room(node, slot_bytes, now_ns)) return start_run(run, now_ns);
  blocked_by_ = room_.blocked_by();
  return Started::kLater;
}

SsdDemoter::Started SsdDemoter::start_run(Run& run, int64_t now_ns) {
  if (room_.allocating() || bytes_under_way_ > options_.ram_bytes / kRamPartUnderWay) {
    return Started::kLater;
  }
  const uint64_t slot_bytes = slot_bytes_of(run.nodes.front(), run.as_it_is);
  cache::ObjectStore& store = parts_.cache->store();
  // The parent's own demotion was refused or failed: without it this copy could not be found.
  const NodeId parent = store.tree().parent(run.nodes.front());
  const Node& above = store.tree().node(parent);
  const bool root = above.is_root();
  if (!root && !above.is_in(model::TierId::kSsd) && !above.is_moving()) return Started::kRefused;
  Transfer* transfer = parts_.mover->take(TransferKind::kDemote, TransferClass::kDemote);
  if (transfer == nullptr) return Started::kLater;
  const bool encode = slot_bytes != parts_.mover->object_bytes(run.nodes.front());
  auto count = static_cast<uint32_t>(run.nodes.size());
  if (encode) {
    count = std::min(count, parts_.mover->max_encoded(TransferKind::kDemote, slot_bytes));
    if (!parts_.mover->set_encoded(*transfer, count, slot_bytes)) {
      parts_.mover->give_back(transfer);
      return Started::kLater;
    }
  }
  const auto place = root ? std::nullopt : store.presence().place(parent);
  const auto slots = room_.take(slot_bytes, count, place ? SsdSlot{place->slot} : SsdSlot{});
  if (!slots) {
    parts_.mover->give_back(transfer);
    return start_with_new_room(run, slot_bytes, now_ns);
  }
  // A region that was restored may not have been touched yet.
  const auto opened = parts_.files->open(slots->first.region(), true);
  if (!opened.ok()) {
    blocked_by_ = opened.error().text;
    parts_.health->open_failed(opened.error(), now_ns);
  }
  if (!opened.ok() || !admitted(run, slots->count * (slot_bytes + kSsdBlockBytes), now_ns)) {
    parts_.space->cancel(slots->first, slots->count);
    parts_.mover->give_back(transfer);
    return opened.ok() ? Started::kRefused : Started::kLater;
  }
  start_transfer(*transfer, run, *slots);
  run.nodes.erase(run.nodes.begin(), run.nodes.begin() + slots->count);
  // What hangs on the rest would be refused: its parent is not under way.
  return run.nodes.empty() ? Started::kYes : Started::kLater;
}

const cache::KnownLayout& SsdDemoter::layout_of(NodeId node) const {
  const Node& link = parts_.cache->store().tree().node(node);
  return *parts_.cache->names().root(link.root()).layout;
}

uint64_t SsdDemoter::slot_bytes_of(NodeId node, bool as_it_is) {
  const uint64_t plain = parts_.mover->object_bytes(node);
  if (as_it_is || plain > kMaxEncodedBytes) return plain;
  return codec_.slot_size(layout_of(node), parts_.cache->store().presence().plan_of(node));
}

void SsdDemoter::choose_codec(Transfer& transfer, uint32_t index) {
  TransferObject& object = transfer.objects[index];
  const cache::KnownLayout& layout = layout_of(object.node);
  if (transfer.stored_form != nullptr) {
    for (uint32_t p = 0; p < object.page_count; ++p) {
      const TransferPage& page = transfer.pages[object.first_page + p];
      transfer.headers[index].pages[p].element_bytes = codec_.element_bytes(layout, page.group);
    }
  } else if (const auto trial =
                 codec_.next_trial(layout, parts_.cache->store().presence().plan_of(object.node))) {
    object.check.sampled_page = trial->page;
    object.check.sample = trial->sample;
  }
}

// From all objects that were checked; counted are the first `written` of them.
void SsdDemoter::learn_codec(const Transfer& transfer, uint32_t written) {
  const bool encoded = transfer.stored_form != nullptr;
  bool fitted = true;
  for (uint32_t i = 0; i < transfer.object_count; ++i) {
    const TransferObject& object = transfer.objects[i];
    const cache::KnownLayout& layout = layout_of(object.node);
    if (const PageSample& sample = object.check.sample; sample.plain_bytes > 0) {
      const TransferPage& page = transfer.pages[object.first_page + object.check.sampled_page];
      codec_.observe(layout, page.group, sample.plain_bytes, sample.stored_bytes);
    }
    if (!object.check.good) {
      ++counters_.encoded_misfits;
      fitted = false;
    }
    for (uint32_t p = 0; encoded && object.check.good && p < object.page_count; ++p) {
      const TransferPage& page = transfer.pages[object.first_page + p];
      const StoredPage& stored = object.check.stored[p];
      // A block or less cannot take fewer, and says nothing of its group.
      if (page.bytes <= kSsdBlockBytes || codec_.element_bytes(layout, page.group) == 0) continue;
      codec_.observe(layout, page.group, page.bytes,
                     stored.element_bytes != 0 ? stored.stored_bytes : 0);
    }
  }
  if (!encoded) return;
  const NodeId first = transfer.objects[0].node;
  codec_.observe_fit(parts_.cache->store().presence().plan_of(first), transfer.object_count,
                     fitted);
  counters_.encoded_objects += written;
  counters_.encoded_plain_bytes += written * parts_.mover->object_bytes(first);
  counters_.encoded_stored_bytes += written * transfer.stored_slot_bytes;
}

void SsdDemoter::describe(Transfer& transfer, uint32_t object) {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const NodeId node = transfer.objects[object].node;
  const Node& link = tree.node(node);
  const Node& above = tree.node(tree.parent(node));
  const cache::Root& root = parts_.cache->names().root(link.root());
  const bool below_root = above.is_root();
  ExtentHeader& header = transfer.headers[object];
  header = ExtentHeader{};
  header.kind = static_cast<uint8_t>(link.kind());
  header.generation = transfer.run.generation + object;
  header.slot = transfer.first.value + object;
  header.units = link.units();
  header.parent_units = above.units();
  header.owner_tag = transfer.run.owner_tag;
  header.kept = transfer.run.kept ? 1 : 0;
  header.more_count = static_cast<uint32_t>(transfer.run.more.size());
  std::copy(transfer.run.more.begin(), transfer.run.more.end(), header.more.begin());
  header.instance = parts_.instance;
  header.root = root.hash;
  header.key = tree.key(node);
  header.parent_key = below_root ? root.hash : tree.key(tree.parent(node));
  header.layout_digest = root.layout->digest;
  header.weights_epoch = root.key.weights_epoch;
  const auto copy_name = [](auto& field, const std::string& name) {
    std::memcpy(field.data(), name.data(), std::min(name.size(), field.size() - 1));
  };
  copy_name(header.domain, parts_.cache->names().domain_name(root.key.domain));
  copy_name(header.tenant, root.key.tenant);
  copy_name(header.namespace_name, root.key.namespace_name);
}

void SsdDemoter::start_transfer(Transfer& transfer, const Run& run, const SsdRun& slots) {
  cache::ObjectStore& store = parts_.cache->store();
  const Node& link = store.tree().node(run.nodes.front());
  const Node& above = store.tree().node(store.tree().parent(run.nodes.front()));
  const cache::Root& root = parts_.cache->names().root(link.root());
  const bool checkpoint = link.is_checkpoint();
  transfer.first = slots.first;
  transfer.since_ns = run.since_ns;
  transfer.run.key = {.root = parts_.roots->number(link.root()),
                      .units = link.units(),
                      .kind = static_cast<uint8_t>(link.kind()),
                      .slot = slots.first};
  transfer.run.generation = next_generation_;
  transfer.run.unit_step = root.layout->units_per_block;
  transfer.run.parent_units = above.units();
  transfer.run.owner_tag = link.owner_tag();
  transfer.run.kept = checkpoint && link.is_kept();
  transfer.run.slot_bytes = transfer.stored_slot_bytes;
  const auto more = parts_.space->more_regions(slots.first.region());
  transfer.run.more.assign(more.begin(), more.end());
  next_generation_ += slots.count;
  transfer.parent_pin = cache::Pin(&store, link.parent(), cache::PinKind::kPresence);
  std::vector<model::SlotId> pages;
  for (uint32_t i = 0; i < slots.count; ++i) {
    const NodeId node = run.nodes[i];
    pages.clear();
    for (model::SlotId slot = store.presence().first_page(node); slot.valid();
         slot = store.presence().next_page(slot)) {
      pages.push_back(slot);
    }
    parts_.mover->add_object(transfer, node, pages);
    transfer.objects[i].pin = cache::Pin(&store, node, cache::PinKind::kResidency);
    store.tree().marks().set_moving(node, true);
    describe(transfer, i);
    choose_codec(transfer, i);
    transfer.run.keys.push_back(store.tree().key(node));
    ++counters_.started;
  }
  transfer.run.parent_key = transfer.headers[0].parent_key;
  transfer.ram_bytes = slots.count * parts_.mover->object_bytes(run.nodes.front());
  bytes_under_way_ += transfer.ram_bytes;
  parts_.mover->start(transfer);
}

void SsdDemoter::end(Transfer& transfer) {
  bytes_under_way_ -= transfer.ram_bytes;
  parts_.mover->give_back(&transfer);
}

// With the last object that came to an end: those before the first that failed go on to be made
// durable.
void SsdDemoter::on_settled(Transfer& transfer) {
  if (++transfer.handled < transfer.object_count) return;
  uint32_t good = 0;
  while (good < transfer.object_count && transfer.objects[good].state == ObjectState::kGood) ++good;
  learn_codec(transfer, good);
  parts_.mover->drop_stored_form(transfer);
  parts_.space->cancel({transfer.first.value + good}, transfer.object_count - good);
  const bool misfit =
      good < transfer.object_count && transfer.objects[good].state == ObjectState::kTooLarge;
  for (uint32_t i = transfer.object_count; i > good; --i) {
    if (!misfit) ++counters_.failed;
    const bool corrupt = transfer.objects[i - 1].state == ObjectState::kCorrupt;
    const NodeId node = transfer.objects[i - 1].node;
    if (corrupt) {
      ++counters_.corrupt_in_ram;
      if (!parts_.cache->store().tree().node(node).is_quarantined()) {
        parts_.cache->store().quarantine(node);
      }
    }
    let_go(transfer, i - 1);
    // Not written: once more when the device works again. In the order of the path.
    if (!corrupt) queue_.push_front({node, false, transfer.since_ns, misfit && i - 1 == good});
  }
  transfer.object_count = good;
  transfer.run.keys.resize(good);
  if (good > 0) {
    committer_->add_written(&transfer);
  } else {
    end(transfer);
  }
}

void SsdDemoter::let_go(Transfer& transfer, uint32_t object) {
  parts_.cache->store().tree().marks().set_moving(transfer.objects[object].node, false);
  transfer.objects[object].pin.reset();
  if (object == 0) transfer.parent_pin.reset();
}

void SsdDemoter::take_finished(int64_t now_ns) {
  for (Transfer* transfer : committer_->durable()) finish(*transfer, true);
  committer_->durable().clear();
  for (Transfer* transfer : committer_->failed()) {
    for (uint32_t i = 0; i < transfer->object_count; ++i) {
      enqueue(transfer->objects[i].node, now_ns);
    }
    finish(*transfer, false);
  }
  committer_->failed().clear();
}

void SsdDemoter::note_lag(int64_t lag_ns) {
  if (lags_ns_.size() < kLags) {
    lags_ns_.push_back(lag_ns);
    return;
  }
  lags_ns_[next_lag_++ % kLags] = lag_ns;
}

// Deepest first: what leaves RAM has no child there.
void SsdDemoter::finish(Transfer& transfer, bool durable) {
  cache::ObjectStore& store = parts_.cache->store();
  const auto high =
      static_cast<uint64_t>(options_.high_watermark * static_cast<double>(options_.ram_bytes));
  for (uint32_t i = 0; i < transfer.object_count && durable; ++i) {
    store.gain_copy(transfer.objects[i].node, model::TierId::kSsd,
                    {.slot = transfer.first.value + i,
                     .generation = static_cast<uint16_t>(transfer.run.generation + i)});
  }
  for (uint32_t i = transfer.object_count; i > 0; --i) {
    const NodeId node = transfer.objects[i - 1].node;
    // A node that is dropped with its last pin is not there afterwards.
    const bool stays =
        !store.tree().node(node).is_quarantined() && !store.tree().node(node).is_superseded();
    let_go(transfer, i - 1);
    if (durable) {
      note_lag(parts_.clock->now_ns() - transfer.since_ns);
    } else {
      ++counters_.failed;
    }
    const bool short_of_ram = options_.policy == WritePolicy::kBack && free_ram_bytes() < high;
    const bool leaves =
        durable && stays && short_of_ram && store.presence().may_leave(node, model::TierId::kRam);
    if (leaves) store.leave_ram(node);
  }
  end(transfer);
}

}  // namespace quire::tiering
