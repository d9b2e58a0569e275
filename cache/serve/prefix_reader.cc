#include "cache/serve/prefix_reader.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <string>

#include "model/session_shm.h"

namespace quire::cache {

using model::Errc;
using model::FillKind;
using model::LeaseId;
using model::make_error;
using model::NodeId;
using model::PageDescriptor;
using model::SlotId;
using model::TierId;

namespace {

// Spans and pages of a load lie adjacent and are read in order: four of them cost less than the one
// random read that a step stands for.
constexpr uint64_t kWalkedPerStep = 4;

}  // namespace

const Root& PrefixReader::root_of(NodeId node) const {
  return names_->root(store_->tree().node(node).root());
}

// The one search behind match, positions and locate.
model::Result<PrefixMatch> PrefixReader::find(const CacheSession& session, const ChainView& chain,
                                              uint32_t prompt_tokens) const {
  if (prompt_tokens == 0) return make_error(Errc::kInvalidArgument, "prompt_tokens is 0");
  const Root& root = names_->root(session.root);
  if (root.dead) return make_error(Errc::kStaleHandle, "the namespace moved to a later epoch");
  const PrefixMatch found =
      find_prefix(store_->presence(), store_->tree(), session.root, root, chain, prompt_tokens);
  store_->work().add(found.steps);
  return found;
}

void PrefixReader::set_turn(LeaseHolder& holder, LeaseId lease, uint32_t turn) {
  leases_->find(lease, holder)->turn = turn;
}

model::Result<model::PositionsResult> PrefixReader::positions(
    const CacheSession& session, const ChainView& chain, const PositionsQuery& query,
    std::span<model::ResumePosition> out) {
  const PrefixMatch found = QUIRE_TRY(find(session, chain, query.prompt_tokens));
  const PositionSearch search(*store_, names_->root(session.root), chain, load_time_);
  const FoundPositions all = search.list(found, query, out);
  store_->work().add(all.steps);
  return all.result;
}

model::Result<model::LocateResult> PrefixReader::locate(const CacheSession& session,
                                                        const ChainView& chain) {
  const Root& root = names_->root(session.root);
  // A token behind the chain, so that all of it may be resumed.
  const uint64_t tokens = uint64_t{chain.count()} * root.layout->layout.unit_tokens + 1;
  const auto prompt_tokens =
      static_cast<uint32_t>(std::min<uint64_t>(tokens, std::numeric_limits<uint32_t>::max()));
  const PrefixMatch found = QUIRE_TRY(find(session, chain, prompt_tokens));
  const PositionSearch search(*store_, root, chain, load_time_);
  const Located located = search.locate(found);
  store_->work().add(located.steps);
  return located.result;
}

model::Result<model::MatchResult> PrefixReader::match(CacheSession& session, LeaseHolder& holder,
                                                      const ChainView& chain,
                                                      uint32_t prompt_tokens, uint32_t have_tokens,
                                                      const PrefillCost& cost) {
  const PrefixMatch found = QUIRE_TRY(find(session, chain, prompt_tokens));
  const Root& root = names_->root(session.root);
  ++counters_.matches;
  counters_.prompt_tokens += prompt_tokens;
  if (found.span_node == root.node && !found.checkpoint_node.valid()) {
    Lease none;
    return announce(session, found, root, none);
  }
  const LeaseId id = QUIRE_TRY(leases_->add(holder));
  Lease& lease = *leases_->find(id, holder);
  lease.span = Pin(store_, found.span_node, PinKind::kPresence);
  lease.exact_node = found.exact_node;
  if (found.checkpoint_node.valid()) {
    lease.checkpoint = Pin(store_, found.checkpoint_node, PinKind::kPresence);
  }
  model::MatchResult result = announce(session, found, root, lease);
  result.lease = id.value;
  if (store_->presence().count_below_ram() > 0) {
    const HitTiers tiers =
        weigh_hit(*store_, root, found, chain, prompt_tokens, have_tokens, cost, load_time_);
    store_->work().add(tiers.steps);
    const uint32_t below = std::min(tiers.below_tokens, result.exact_tokens);
    result.tokens[TierId::kSsd] = below;
    result.tokens[TierId::kRam] = result.exact_tokens - below;
    result.load_estimate_us = tiers.load_us;
    result.cut_tokens = tiers.cut_tokens;
    counters_.below_hit_tokens += below;
  }
  return result;
}

model::MatchResult PrefixReader::announce(CacheSession& session, const PrefixMatch& match,
                                          const Root& root, Lease& lease) {
  const uint32_t unit_tokens = root.layout->layout.unit_tokens;
  model::MatchResult result{};
  result.exact_tokens = match.exact_units * unit_tokens;
  result.span_tokens = match.span_units * unit_tokens;
  result.branch_tokens = match.branch_units * unit_tokens;
  result.limit = static_cast<uint8_t>(match.limit);
  result.limit_tokens = match.limit_units * unit_tokens;
  result.tokens[TierId::kRam] = result.exact_tokens;
  result.cut_tokens = result.exact_tokens;
  const bool worth_replaying = result.span_tokens > result.exact_tokens;
  if (worth_replaying && root.layout->replay_tokens > 0) {
    result.replay_tokens = std::min(root.layout->replay_tokens, result.span_tokens);
    result.replay_exact = root.layout->replay_exact ? 1 : 0;
  }
  if (lease.span.valid()) board_->used(lease.span.node());
  if (lease.checkpoint.valid()) note_checkpoint_hit(session, lease.checkpoint.node());
  counters_.hit_tokens += result.exact_tokens;
  if (match.limit == model::MatchLimit::kNoCheckpoint) {
    ++counters_.no_checkpoint_matches;
    counters_.no_checkpoint_tokens += result.limit_tokens - result.exact_tokens;
  }
  return result;
}

// A conversation that comes back to its own checkpoint will supersede it; a checkpoint that
// somebody else resumes from is a branch point from now on.
void PrefixReader::note_checkpoint_hit(CacheSession& session, NodeId checkpoint) {
  board_->used(checkpoint);
  if (store_->tree().node(checkpoint).owner_tag() == session.owner_tag) {
    const model::Hash256& key = store_->tree().key(checkpoint);
    if (session.tail_tokens == 0) {
      session.has_previous_checkpoint = true;
      session.previous_checkpoint = key;
    } else if (session.previous_checkpoint == key) {
      session.has_previous_checkpoint = false;  // a new turn: this is where it begins
    }
  } else {
    store_->tree().marks().set_kept(checkpoint, true);
  }
}

model::Result<PrefixReader::Range> PrefixReader::check_range(const Lease& lease,
                                                             const model::LoadArgs& args) const {
  const uint32_t per_block = root_of(lease.exact_node).layout->units_per_block;
  const uint32_t blocks = store_->tree().node(lease.span.node()).units() / per_block;
  const uint32_t exact_blocks = store_->tree().node(lease.exact_node).units() / per_block;
  Range range{args.first_block, args.block_count};
  if (range.block_count == 0 && range.first_block <= exact_blocks) {
    range.block_count = exact_blocks - range.first_block;
  }
  if (range.first_block > blocks || range.block_count > blocks - range.first_block) {
    return make_error(Errc::kInvalidArgument,
                      "blocks outside the hit, which has " + std::to_string(blocks));
  }
  return range;
}

// Goes up to where the range ends, then pins every span of it, and describes those in RAM. True
// when none is left.
bool PrefixReader::pin_spans(PendingLoad& pending, PathPins& pins, std::span<PageDescriptor> out,
                             uint32_t budget) {
  const PrefixTree& tree = store_->tree();
  const Load& load = pending.load;
  uint64_t steps = 0;
  for (; tree.node(pending.next).units() > pending.end_units && steps < budget; ++steps) {
    pending.next = tree.parent(pending.next);
  }
  if (tree.node(pending.next).units() > pending.end_units) {
    store_->work().add(steps);
    return false;
  }
  if (!load.last.valid()) pending.load.last = pending.next;
  const uint64_t walked = 1 + load.pages_per_span;  // of a span
  const uint64_t room = budget > steps ? (budget - steps) * kWalkedPerStep : 0;
  const auto count =
      static_cast<uint32_t>(std::min<uint64_t>(pending.blocks_left, (room + walked - 1) / walked));
  writer_.pin_path(pending, pins, count, pending.target(out));
  store_->work().add(steps + (count * walked + kWalkedPerStep - 1) / kWalkedPerStep);
  return pending.blocks_left == 0;
}

model::Result<Load> PrefixReader::load(LeaseHolder& holder, const model::LoadArgs& args,
                                       std::span<PageDescriptor> out) {
  PendingLoad pending;
  QUIRE_TRY(begin_load(holder, args, out.size(), false, pending));
  while (!step_load(holder, pending, out, std::numeric_limits<uint32_t>::max())) {
  }
  return pending.load;
}

model::Result<void> PrefixReader::begin_load(LeaseHolder& holder, const model::LoadArgs& args,
                                             size_t out_count, bool want_slots,
                                             PendingLoad& pending) {
  Lease* lease = leases_->find(LeaseId{args.lease}, holder);
  if (lease == nullptr || lease->ending) {
    return make_error(Errc::kNotFound, "no such lease; match first");
  }
  if (lease->load_count == kMaxLoadsPerLease) {
    return make_error(Errc::kBusy, "16 loads of one lease; release it and match again");
  }
  const Range range = QUIRE_TRY(check_range(*lease, args));
  const KnownLayout& layout = *root_of(lease->span.node()).layout;
  Load load;
  load.root = store_->tree().node(lease->span.node()).root();
  load.groups = args.groups == 0 ? ~uint64_t{0} : args.groups;
  load.form = static_cast<model::LoadForm>(args.form);
  load.pages_per_span = static_cast<uint32_t>(std::popcount(load.groups & layout.append));
  load.first_block = range.first_block;
  load.block_count = range.block_count;
  if (args.include_checkpoint != 0) load.checkpoint = lease->checkpoint.node();
  const size_t span_pages = size_t{range.block_count} * load.pages_per_span;
  const size_t needed = span_pages + writer_.count_checkpoint_pages(load);
  if (needed > model::kMaxLoadPages) {
    return make_error(Errc::kInvalidArgument,
                      "a load of " + std::to_string(needed) + " pages; load it in pieces");
  }
  if (needed > out_count && load.form == model::LoadForm::kPages) {
    return make_error(Errc::kInvalidArgument,
                      "the load needs room for " + std::to_string(needed) + " descriptors");
  }
  load.lease = LeaseId{args.lease};
  load.turn = lease->turn;
  load.range_index = lease->load_count++;
  lease->loads[load.range_index] = PathPins(store_);
  if (load.checkpoint.valid() && !lease->checkpoint_pages.valid()) {
    lease->checkpoint_pages = Pin(store_, load.checkpoint, PinKind::kResidency);
  }
  pending.load = load;
  pending.missing.clear();
  pending.slots_wanted = want_slots;
  pending.slots.assign(want_slots ? span_pages : 0, SlotId{});
  pending.runs.begin(static_cast<uint32_t>(out_count), load.pages_per_span);
  pending.blocks_left = range.block_count;
  pending.end_units = (range.first_block + range.block_count) * layout.units_per_block;
  const bool within_hit = store_->tree().node(lease->exact_node).units() >= pending.end_units;
  pending.next = within_hit ? lease->exact_node : lease->span.node();
  return {};
}

bool PrefixReader::step_load(LeaseHolder& holder, PendingLoad& pending,
                             std::span<PageDescriptor> out, uint32_t budget) {
  Load& load = pending.load;
  Lease* lease = leases_->find(load.lease, holder);
  QUIRE_CHECK(lease != nullptr && load.range_index < lease->load_count);
  if (!pin_spans(pending, lease->loads[load.range_index], out, budget)) return false;
  std::reverse(pending.missing.begin(), pending.missing.end());
  if (load.checkpoint.valid() && !store_->tree().node(load.checkpoint).is_in_ram()) {
    pending.missing.push_back(load.checkpoint);
  }
  load.missing_count = pending.missing.size();
  ++counters_.loads;
  if (load.missing_count > 0) return true;
  load.code = writer_.finish(load, load.block_count, load.checkpoint.valid(), pending.target(out),
                             load.result);
  counters_.delivered_pages += load.result.descriptor_count;
  return true;
}

// Blocks from the start of the range that could be delivered now.
uint32_t PrefixReader::ready_blocks(const Load& load) const {
  uint32_t ready = load.block_count;
  for (const auto [block, span] : Path(store_->tree(), load.last, load.block_count)) {
    const Node& node = store_->tree().node(span);
    if (!node.is_in_ram() || node.is_quarantined()) ready = block;
  }
  return ready;
}

void PrefixReader::describe_blocks(const Load& load, NodeId last, uint32_t first, uint32_t count,
                                   std::span<PageDescriptor> out) const {
  writer_.write_path(load, last, {first, count}, {.out = out});
}

// What did not come is let go first: it is the deep end of the range.
DeliveredLoad PrefixReader::deliver(LeaseHolder& holder, const Load& load,
                                    std::span<PageDescriptor> out, std::vector<SlotId>* slots) {
  Lease* lease = leases_->find(load.lease, holder);
  QUIRE_CHECK(lease != nullptr && load.range_index < lease->load_count);
  const uint32_t ready = ready_blocks(load);
  PathPins& pins = lease->loads[load.range_index];
  store_->work().add(uint64_t{load.block_count} * (2 + load.pages_per_span));
  if (slots != nullptr) slots->resize(size_t{ready} * load.pages_per_span);
  pins.release(load.block_count - ready);
  RunWriter runs;
  runs.begin(static_cast<uint32_t>(out.size()), load.pages_per_span);
  const LoadTarget target{out, slots, &runs};
  writer_.write_path(load, pins.last(), {0, ready}, target);
  const bool with_checkpoint = load.checkpoint.valid() && ready == load.block_count &&
                               store_->tree().node(load.checkpoint).is_in_ram() &&
                               !store_->tree().node(load.checkpoint).is_quarantined();
  DeliveredLoad delivered;
  delivered.whole =
      ready == load.block_count && (with_checkpoint || writer_.count_checkpoint_pages(load) == 0);
  delivered.code = writer_.finish(load, ready, with_checkpoint, target, delivered.result);
  counters_.delivered_pages += delivered.result.descriptor_count;
  return delivered;
}

// Of the end of the range, so many spans at most. Returns how many there were.
uint32_t PrefixReader::release_last_range(Lease& lease, uint32_t budget) {
  PathPins& pins = lease.loads[lease.load_count - 1];
  const uint32_t count = pins.release(budget);
  store_->work().add(count);
  if (pins.count() == 0) --lease.load_count;
  return count;
}

model::Result<void> PrefixReader::release(LeaseHolder& holder, LeaseId id) {
  while (!QUIRE_TRY(release_part(holder, id, std::numeric_limits<uint32_t>::max()))) {
  }
  return {};
}

model::Result<bool> PrefixReader::release_part(LeaseHolder& holder, LeaseId id, uint32_t budget) {
  Lease* lease = leases_->find(id, holder);
  if (lease == nullptr) return make_error(Errc::kNotFound, "no such lease, or released before");
  lease->ending = true;
  while (lease->load_count > 0 && budget > 0) budget -= release_last_range(*lease, budget);
  if (lease->load_count > 0) return false;
  leases_->remove(id);
  return true;
}

bool PrefixReader::release_some(LeaseHolder& holder, uint32_t& budget) {
  while (budget > 0) {
    const LeaseId id = leases_->first(holder);
    if (!id.valid()) return true;
    Lease& lease = *leases_->find(id, holder);
    const uint32_t nodes = lease.load_count > 0 ? release_last_range(lease, budget) : 0;
    budget -= std::min(budget, 1 + nodes);
    if (lease.load_count == 0) QUIRE_CHECK(release(holder, id).ok());
  }
  return holder.lease_count == 0;
}

}  // namespace quire::cache
