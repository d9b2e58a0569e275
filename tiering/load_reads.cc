#include "tiering/load_reads.h"

#include <algorithm>
#include <utility>

namespace quire::tiering {

using cache::ObjectStore;
using model::Errc;
using model::NodeId;
using model::SlotId;

namespace {

// What the device could not read is remembered for so many objects; others count as corrupt.
constexpr size_t kMaxUnreadable = 1 << 16;

constexpr uint8_t bit(model::TierId tier) {
  return static_cast<uint8_t>(1u << model::index_of(tier));
}

}  // namespace

Tier* LoadReads::source_of(NodeId node, uint8_t but) const {
  const cache::Node& link = cache_->store().tree().node(node);
  const auto found = std::find_if(tiers_.begin(), tiers_.end(), [&](const Tier* tier) {
    return tier != nullptr && link.is_in(tier->id()) && (but & bit(tier->id())) == 0 &&
           may_read(tier->mode());
  });
  return found == tiers_.end() ? nullptr : *found;
}

bool LoadReads::moves_for(model::DomainId domain) const {
  // A moment between two tiers; whose it is is not asked.
  if (!again_.empty()) return true;
  return std::any_of(tiers_.begin(), tiers_.end(),
                     [&](const Tier* tier) { return tier != nullptr && tier->moves_for(domain); });
}

// How many bytes that is.
uint64_t LoadReads::note_issued(LoadRecord& load, model::TierId tier,
                                std::span<const ReadObject> objects, uint32_t job_number) {
  ObjectStore& store = cache_->store();
  ReadJob& job = jobs_[job_number];
  job.load = load.tag;
  job.load_class = load.load_class;
  job.order = load.order;
  job.left = static_cast<uint32_t>(objects.size());
  for (size_t i = 0; i < objects.size(); ++i) {
    const NodeId node = objects[i].node;
    job.nodes[i] = cache::Pin(&store, node, cache::PinKind::kResidency);
    job.slots.insert(job.slots.end(), objects[i].slots.begin(), objects[i].slots.end());
    job.slot_ends[i] = static_cast<uint32_t>(job.slots.size());
    job.bytes += object_bytes(store.presence().plan_of(node));
    store.tree().marks().set_moving(node, true);
  }
  load.issued += objects.size();
  load.bytes_under_way += job.bytes;
  under_way(tier, job.load_class) += job.bytes;
  return job.bytes;
}

// Offers its tier the nodes from load.issued on that need reading.
LoadReads::Issued LoadReads::issue_run(LoadRecord& load) {
  std::array<ReadObject, kMaxJobObjects> run;
  Tier* tier = source_of(load.nodes[load.issued].node());
  const uint64_t most = load.is_batch() ? kTierBatchBytes : kTierBytes;
  // A part of each is under way all the same: what others asked for may stay there for ever.
  const uint64_t own = load.is_batch() ? 1 : kOwnBytes;
  if (under_way(tier->id(), load.load_class) >= most && load.bytes_under_way >= own) return {};
  size_t count = 0;
  while (count < run.size() && load.issued + count < load.nodes.size()) {
    const size_t index = load.issued + count;
    const NodeId node = load.nodes[index].node();
    const std::span<const SlotId> slots = load.slots_of(index);
    if (slots.empty() || !memory_->needs_slots(node) || source_of(node) != tier) break;
    run[count++] = {node, slots};
  }
  const std::span<const ReadObject> objects = std::span(run).first(count);
  const uint32_t job = jobs_.take();
  const auto taken = tier->read(
      {.job = job, .load_class = load.load_class, .order = load.order, .objects = objects});
  if (!taken.ok()) {
    const bool shortage = taken.code() == Errc::kResourceExhausted;
    load.failure = shortage ? Errc::kResourceExhausted : Errc::kIoError;
  }
  if (!taken.ok() || *taken == 0) {
    jobs_.give_back(job);
    return {.refused = true};
  }
  return {.bytes = note_issued(load, tier->id(), objects.first(*taken), job)};
}

LoadReads::Issued LoadReads::issue(LoadRecord& load) {
  while (load.issued < load.nodes.size() && load.bytes_under_way < kLoadBytes) {
    const NodeId node = load.nodes[load.issued].node();
    if (load.slots_of(load.issued).empty() || !memory_->needs_slots(node) ||
        source_of(node) == nullptr) {
      // In RAM by now, on its way, or out of reach: its slots, if it has any, are not needed.
      memory_->free_slots(load, load.issued);
      ++load.issued;
      continue;
    }
    return issue_run(load);
  }
  return {};
}

std::span<const SlotId> LoadReads::slots_of(const ReadJob& job, uint32_t index) {
  const uint32_t begin = index == 0 ? 0 : job.slot_ends[index - 1];
  return std::span<const SlotId>(job.slots).subspan(begin, job.slot_ends[index] - begin);
}

void LoadReads::finish_object(model::TierId tier, ReadJob& job, uint32_t index, Errc code) {
  ObjectStore& store = cache_->store();
  const NodeId node = job.nodes[index].node();
  if (code == Errc::kOk) {
    store.tree().marks().set_moving(node, false);
    store.make_resident(node, slots_of(job, index));
    job.nodes[index].reset();
    return;
  }
  const bool corrupt = code == Errc::kCorrupt;
  ++(corrupt ? counters(tier).corrupt : counters(tier).read_failures);
  const uint8_t tried = job.tried | bit(tier);
  // Nobody is to wait for what was hidden meanwhile.
  if (!store.tree().node(node).is_quarantined() && source_of(node, tried) != nullptr) {
    ++counters(tier).passed_on;
    return pass_on(tier, job, index, tried, corrupt);
  }
  give_up(job, index, corrupt);
}

// No tier delivered it.
void LoadReads::give_up(ReadJob& job, uint32_t index, bool corrupt) {
  ObjectStore& store = cache_->store();
  const NodeId node = job.nodes[index].node();
  store.tree().marks().set_moving(node, false);
  for (const SlotId slot : slots_of(job, index)) store.pool().free(slot);
  if (!corrupt && unreadable_.size() < kMaxUnreadable) {
    unreadable_[node.value] = store.tree().key(node);
  }
  // Out of the index before anyone is answered, or the next match would promise it again.
  if (!store.tree().node(node).is_quarantined()) {
    store.quarantine(
        node, corrupt ? cache::DepartureCause::kDamaged : cache::DepartureCause::kUnreadable);
  }
  job.nodes[index].reset();
}

// Its bytes count as under way, for its load and its slots, until its last tier answered.
void LoadReads::pass_on(model::TierId tier, ReadJob& job, uint32_t index, uint8_t tried,
                        bool corrupt) {
  const std::span<const SlotId> slots = slots_of(job, index);
  Again again{
      .job = {.load = job.load,
              .load_class = job.load_class,
              .order = job.order,
              .tried = tried,
              .bytes = object_bytes(cache_->store().presence().plan_of(job.nodes[index].node())),
              .left = 1,
              .nodes = {},
              .slots = {slots.begin(), slots.end()}},
      .corrupt = corrupt};
  again.job.nodes[0] = std::move(job.nodes[index]);
  again.job.slot_ends[0] = static_cast<uint32_t>(slots.size());
  job.bytes -= again.job.bytes;
  under_way(tier, job.load_class) -= again.job.bytes;
  again_.push_back(std::move(again));
}

// False: its tier takes no more now.
bool LoadReads::begin_again(Again& again) {
  const NodeId node = again.job.nodes[0].node();
  Tier* tier = source_of(node, again.job.tried);
  if (tier == nullptr) {
    // It went off since, or the node was hidden; its load sees to itself.
    give_up(again.job, 0, again.corrupt);
    return true;
  }
  const ReadObject object{node, slots_of(again.job, 0)};
  const uint32_t number = jobs_.take();
  const auto taken = tier->read({.job = number,
                                 .load_class = again.job.load_class,
                                 .order = again.job.order,
                                 .objects = {&object, 1}});
  if (taken.ok() && *taken == 1) {
    under_way(tier->id(), again.job.load_class) += again.job.bytes;
    jobs_[number] = std::move(again.job);
    return true;
  }
  jobs_.give_back(number);
  if (taken.ok()) return false;
  give_up(again.job, 0, again.corrupt);
  return true;
}

bool LoadReads::step() {
  bool worked = false;
  while (!again_.empty() && begin_again(again_.front())) {
    again_.pop_front();
    worked = true;
  }
  return worked;
}

LoadReads::Ended LoadReads::take(Tier& tier, const TierEvent& event) {
  ReadJob& job = jobs_[event.job];
  for (uint32_t i = 0; i < event.count; ++i) {
    finish_object(tier.id(), job, event.first + i, event.code);
  }
  job.left -= event.count;
  Ended ended{.job = job.left == 0, .load = job.load, .bytes = job.bytes};
  if (ended.job) {
    under_way(tier.id(), job.load_class) -= job.bytes;
    jobs_.give_back(event.job);
  }
  return ended;
}

bool LoadReads::is_unreadable(NodeId node) const {
  const auto found = unreadable_.find(node.value);
  return found != unreadable_.end() && found->second == cache_->store().tree().key(node);
}

}  // namespace quire::tiering
