#include "cache/serve/prefix_loader.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <string>

#include "cache/objects/path.h"
#include "model/session_shm.h"

namespace quire::cache {

using model::Errc;
using model::LeaseId;
using model::make_error;
using model::NodeId;
using model::PageDescriptor;
using model::SlotId;

namespace {

// Spans and pages of a load lie adjacent and are read in order: four of them cost less than the one
// random read that a step stands for.
constexpr uint64_t kWalkedPerStep = 4;

// How many spans of so many pages a budget is for; at least one.
uint32_t spans_within(uint64_t steps, uint32_t pages_per_span) {
  const uint64_t walked = 1 + uint64_t{pages_per_span};
  const uint64_t spans = (steps * kWalkedPerStep + walked - 1) / walked;
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(spans, 1, std::numeric_limits<uint32_t>::max()));
}

uint64_t steps_of(uint64_t spans, uint32_t pages_per_span) {
  return (spans * (1 + uint64_t{pages_per_span}) + kWalkedPerStep - 1) / kWalkedPerStep;
}

}  // namespace

const Root& PrefixLoader::root_of(NodeId node) const {
  return names_->root(store_->tree().node(node).root());
}

model::Result<PrefixLoader::Range> PrefixLoader::check_range(const Lease& lease,
                                                             const model::LoadArgs& args) const {
  const uint32_t per_block = root_of(lease.exact_node).layout->units_per_block;
  const uint32_t blocks = store_->tree().node(lease.span.node()).units() / per_block;
  const uint32_t exact_blocks = store_->tree().node(lease.exact_node).units() / per_block;
  Range range{args.first_block, args.block_count};
  // 0 stands for all up to the resume point. Spans behind it, which a replay needs, are asked for
  // by number.
  if (range.block_count == 0 && range.first_block <= exact_blocks) {
    range.block_count = exact_blocks - range.first_block;
  }
  if (range.first_block > blocks || range.block_count > blocks - range.first_block) {
    return make_error(Errc::kInvalidArgument,
                      "blocks outside the hit, which has " + std::to_string(blocks));
  }
  return range;
}

// What the arguments ask for of this lease.
model::Result<Load> PrefixLoader::plan(const Lease& lease, const model::LoadArgs& args,
                                       size_t out_count) const {
  const Range range = QUIRE_TRY(check_range(lease, args));
  Load load;
  load.root = store_->tree().node(lease.span.node()).root();
  load.groups = args.groups == 0 ? ~uint64_t{0} : args.groups;
  load.form = static_cast<model::LoadForm>(args.form);
  load.pages_per_span =
      static_cast<uint32_t>(std::popcount(load.groups & names_->root(load.root).layout->append));
  load.first_block = range.first_block;
  load.block_count = range.block_count;
  if (args.include_checkpoint != 0) load.checkpoint = lease.checkpoint.node();
  const size_t needed =
      size_t{range.block_count} * load.pages_per_span + writer_.count_checkpoint_pages(load);
  if (needed > model::kMaxLoadPages) {
    return make_error(Errc::kInvalidArgument,
                      "a load of " + std::to_string(needed) + " pages; load it in pieces");
  }
  // Runs are fewer than pages, by how much is known at the end: RunWriter::overflowed().
  if (needed > out_count && load.form == model::LoadForm::kPages) {
    return make_error(Errc::kInvalidArgument,
                      "the load needs room for " + std::to_string(needed) + " descriptors");
  }
  load.lease = LeaseId{args.lease};
  load.turn = lease.turn;
  return load;
}

model::Result<Load> PrefixLoader::load(LeaseHolder& holder, const model::LoadArgs& args,
                                       std::span<PageDescriptor> out) {
  PendingLoad pending;
  QUIRE_TRY(begin_load(holder, args, out.size(), false, pending));
  while (!step_load(holder, pending, out, std::numeric_limits<uint32_t>::max())) {
  }
  return pending.load;
}

model::Result<void> PrefixLoader::begin_load(LeaseHolder& holder, const model::LoadArgs& args,
                                             size_t out_count, bool want_slots,
                                             PendingLoad& pending) {
  Lease* lease = leases_->find(LeaseId{args.lease}, holder);
  if (lease == nullptr || lease->ending) {
    return make_error(Errc::kNotFound, "no such lease; match first");
  }
  if (lease->load_count == kMaxLoadsPerLease) {
    return make_error(Errc::kBusy, "16 loads of one lease; release it and match again");
  }
  Load load = QUIRE_TRY(plan(*lease, args, out_count));
  if (!lease->path.valid()) {
    lease->path = hold_path(*store_, names_->root(load.root), lease->span.node());
  }
  load.range_index = lease->load_count++;
  lease->loads[load.range_index] = PathPins(store_);
  if (load.checkpoint.valid() && !lease->checkpoint_pages.valid()) {
    lease->checkpoint_pages = Pin(store_, load.checkpoint, PinKind::kResidency);
  }
  const uint32_t per_block = names_->root(load.root).layout->units_per_block;
  const size_t span_pages = size_t{load.block_count} * load.pages_per_span;
  pending.load = load;
  pending.hold = LoadHold(leases_, load.lease);
  pending.missing.clear();
  pending.slots_wanted = want_slots;
  pending.slots.assign(want_slots ? span_pages : 0, SlotId{});
  pending.runs.begin(static_cast<uint32_t>(out_count), load.pages_per_span);
  pending.blocks_left = load.block_count;
  pending.end_units = (load.first_block + load.block_count) * per_block;
  pending.quarantined_before = store_->counters().quarantined;
  // The walk starts at the nearer of two pinned nodes: what lies behind the hit need not be passed.
  const bool within_hit = store_->tree().node(lease->exact_node).units() >= pending.end_units;
  pending.next = within_hit ? lease->exact_node : lease->span.node();
  return {};
}

// Goes up to where the range ends, then pins every span of it, and describes those in RAM. True
// when none is left.
bool PrefixLoader::pin_spans(PendingLoad& pending, PathPins& pins, std::span<PageDescriptor> out,
                             uint32_t budget) {
  const PrefixTree& tree = store_->tree();
  const Load& load = pending.load;
  uint64_t steps = 0;
  for (; tree.node(pending.next).units() > pending.end_units && steps < budget; ++steps) {
    pending.next = tree.parent(pending.next);
  }
  store_->work().add(steps);
  if (tree.node(pending.next).units() > pending.end_units) return false;
  if (!load.last.valid()) pending.load.last = pending.next;
  if (steps < budget) {
    const uint32_t count =
        std::min(pending.blocks_left, spans_within(budget - steps, load.pages_per_span));
    writer_.pin_path(pending, pins, count, pending.target(out));
    store_->work().add(steps_of(count, load.pages_per_span));
  }
  return pending.blocks_left == 0;
}

bool PrefixLoader::step_load(LeaseHolder& holder, PendingLoad& pending,
                             std::span<PageDescriptor> out, uint32_t budget) {
  Load& load = pending.load;
  Lease* lease = leases_->find(load.lease, holder);
  QUIRE_CHECK(lease != nullptr && load.range_index < lease->load_count);
  const bool pinned = pin_spans(pending, lease->loads[load.range_index], out, budget);
  // What is missing uses it up when a tier gets slots for it (LoadMemory).
  set_spans_used(
      *lease, load.range_index,
      lease->loads[load.range_index].count() - static_cast<uint32_t>(pending.missing.size()));
  if (!pinned) return false;
  std::reverse(pending.missing.begin(), pending.missing.end());
  if (load.checkpoint.valid()) {
    if (!store_->tree().node(load.checkpoint).is_in_ram()) {
      pending.missing.push_back(load.checkpoint);
    }
    load.is_damaged = load.is_damaged || store_->tree().node(load.checkpoint).is_quarantined();
  }
  // A span that was described in an earlier piece may be among what was quarantined since.
  if (store_->counters().quarantined != pending.quarantined_before) load.is_damaged = true;
  load.missing_count = pending.missing.size();
  ++counters_.loads;
  if (!load.is_whole()) return true;
  load.code = writer_.finish(load, load.block_count, load.checkpoint.valid(), pending.target(out),
                             load.result);
  counters_.delivered_pages += load.result.descriptor_count;
  return true;
}

void PrefixLoader::describe_blocks(const Load& load, NodeId last, const BlockSpan& blocks,
                                   std::span<PageDescriptor> out) const {
  writer_.write_path(load, last, blocks, {.out = out});
}

bool PrefixLoader::is_usable(NodeId id) const {
  const Node& node = store_->tree().node(id);
  return node.is_in_ram() && !node.is_quarantined();
}

void PrefixLoader::begin_delivery(LeaseHolder& holder, const Load& load, size_t out_count,
                                  bool want_slots, Delivery& delivery) {
  const Lease* lease = leases_->find(load.lease, holder);
  QUIRE_CHECK(lease != nullptr && load.range_index < lease->load_count);
  delivery.load = load;
  delivery.out_count = static_cast<uint32_t>(out_count);
  delivery.slots_wanted = want_slots;
  look_again(delivery, lease->loads[load.range_index]);
}

void PrefixLoader::look_again(Delivery& delivery, const PathPins& pins) const {
  delivery.phase = Delivery::Phase::kLook;
  delivery.ready = delivery.left = pins.count();
  delivery.next = pins.count() > 0 ? pins.last() : NodeId{};
  delivery.quarantined_before = store_->counters().quarantined;
  delivery.runs.begin(delivery.out_count, delivery.load.pages_per_span);
}

// How many blocks from the start of the range can be delivered: up to the first one that cannot.
uint32_t PrefixLoader::look(Delivery& delivery, uint32_t spans) const {
  const uint32_t count = std::min(delivery.left, spans);
  const uint32_t first = delivery.left - count;
  const Path path(store_->tree(), delivery.next, count);
  auto step = path.begin();
  for (; step != path.end(); ++step) {
    const auto [block, span] = *step;
    // The walk goes up, so the last one that is noted is the shallowest, and all before it is
    // usable.
    if (!is_usable(span)) delivery.ready = first + block;
  }
  delivery.next = step.span();
  delivery.left = first;
  return count;
}

// Who was told of pages that turned out bad meanwhile would have no way to know: then it all begins
// again.
bool PrefixLoader::step_delivery(LeaseHolder& holder, Delivery& delivery,
                                 std::span<PageDescriptor> out, uint32_t budget) {
  Lease* lease = leases_->find(delivery.load.lease, holder);
  PathPins& pins = lease->loads[delivery.load.range_index];
  if (delivery.quarantined_before != store_->counters().quarantined) look_again(delivery, pins);
  const uint32_t pages = delivery.load.pages_per_span;
  const uint32_t spans = spans_within(budget, pages);
  uint32_t left = spans;
  const bool written = go_on(delivery, pins, out, left);
  // What came is in RAM, and counted by no load of a tier any more; what did not is let go.
  set_spans_used(*lease, delivery.load.range_index,
                 written ? pins.count()
                         : std::min(pins.count(), lease->spans_used[delivery.load.range_index]));
  store_->work().add(steps_of(spans - left, pages));
  if (written) end_delivery(delivery, out);
  return written;
}

// What did not come is let go first: it is the deep end of the range. Lowers `spans` by those that
// it came to. True: all that did come is written.
bool PrefixLoader::go_on(Delivery& delivery, PathPins& pins, std::span<PageDescriptor> out,
                         uint32_t& spans) {
  using Phase = Delivery::Phase;
  if (delivery.phase == Phase::kLook) {
    spans -= look(delivery, spans);
    if (delivery.left > 0) return false;
    delivery.phase = Phase::kLetGo;
  }
  if (delivery.phase == Phase::kLetGo) {
    spans -= pins.release(std::min(spans, pins.count() - delivery.ready));
    if (pins.count() > delivery.ready) return false;
    delivery.phase = Phase::kWrite;
    delivery.left = delivery.ready;
    delivery.next = delivery.ready > 0 ? pins.last() : NodeId{};
    if (delivery.slots_wanted) {
      delivery.slots.resize(size_t{delivery.ready} * delivery.load.pages_per_span);
    }
  }
  const uint32_t count = std::min(delivery.left, spans);
  spans -= count;
  delivery.left -= count;
  delivery.next = writer_.write_path(delivery.load, delivery.next, {delivery.left, count},
                                     delivery.target(out));
  return delivery.left == 0;
}

void PrefixLoader::end_delivery(Delivery& delivery, std::span<PageDescriptor> out) {
  const Load& load = delivery.load;
  const bool all_blocks = delivery.ready == load.block_count;
  const bool with_checkpoint = load.checkpoint.valid() && all_blocks && is_usable(load.checkpoint);
  DeliveredLoad& delivered = delivery.delivered;
  delivered.whole = all_blocks && (with_checkpoint || writer_.count_checkpoint_pages(load) == 0);
  delivered.code =
      writer_.finish(load, delivery.ready, with_checkpoint, delivery.target(out), delivered.result);
  counters_.delivered_pages += delivered.result.descriptor_count;
}

void PrefixLoader::set_spans_used(Lease& lease, uint32_t range_index, uint32_t spans) const {
  uint32_t& used = lease.spans_used[range_index];
  if (spans == used) return;
  const ReservationRef reservation = lease.holder->reservation;
  const uint64_t bytes = root_of(lease.exact_node).layout->span_plan.page_bytes;
  // Both are absolute, so a load that is cut short takes back exactly what it used.
  if (spans > used) {
    reservation.use((spans - used) * bytes);
  } else {
    reservation.unuse((used - spans) * bytes);
  }
  used = spans;
}

// Of the end of the range, so many spans at most. Returns how many there were.
uint32_t PrefixLoader::release_last_range(Lease& lease, uint32_t budget) {
  PathPins& pins = lease.loads[lease.load_count - 1];
  const uint32_t count = pins.release(budget);
  store_->work().add(count);
  const uint32_t range = lease.load_count - 1;
  set_spans_used(lease, range, std::min(pins.count(), lease.spans_used[range]));
  if (pins.count() == 0) --lease.load_count;
  return count;
}

model::Result<void> PrefixLoader::release(LeaseHolder& holder, LeaseId id) {
  while (!QUIRE_TRY(release_part(holder, id, std::numeric_limits<uint32_t>::max()))) {
  }
  return {};
}

model::Result<bool> PrefixLoader::release_part(LeaseHolder& holder, LeaseId id, uint32_t budget) {
  Lease* lease = leases_->find(id, holder);
  if (lease == nullptr) return make_error(Errc::kNotFound, "no such lease, or released before");
  if (lease->under_way > 0) {
    return make_error(Errc::kBusy, "a load of this lease is under way; release it when that ended");
  }
  // From the first piece on no load may begin: begin_load() would pin into a lease that is going.
  lease->ending = true;
  while (lease->load_count > 0 && budget > 0) budget -= release_last_range(*lease, budget);
  if (lease->load_count > 0) return false;
  leases_->remove(id);
  return true;
}

bool PrefixLoader::release_some(LeaseHolder& holder, uint32_t& budget) {
  while (budget > 0) {
    const LeaseId id = leases_->first(holder);
    if (!id.valid()) return true;
    Lease& lease = *leases_->find(id, holder);
    // The load's owner ends it first; its hold names this lease.
    if (lease.under_way > 0) return false;
    const uint32_t nodes = lease.load_count > 0 ? release_last_range(lease, budget) : 0;
    budget -= std::min(budget, 1 + nodes);
    if (lease.load_count > 0) continue;
    leases_->remove(id);
    ++counters_.expired_leases;
  }
  return holder.lease_count == 0;
}

}  // namespace quire::cache
