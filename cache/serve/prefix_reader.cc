#include "cache/serve/prefix_reader.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <string>

namespace quire::cache {

using model::Errc;
using model::FillKind;
using model::LeaseId;
using model::make_error;
using model::NodeId;
using model::PageDescriptor;
using model::SlotId;

const Root& PrefixReader::root_of(NodeId node) const {
  return names_->root(model::RootId{store_->tree().link(node).root});
}

model::Result<model::MatchResult> PrefixReader::match(CacheSession& session, LeaseHolder& holder,
                                                      const ChainView& chain,
                                                      uint32_t prompt_tokens, uint32_t have_tokens,
                                                      const PrefillCost& cost) {
  if (prompt_tokens == 0) return make_error(Errc::kInvalidArgument, "prompt_tokens is 0");
  const Root& root = names_->root(session.root);
  if (root.dead) return make_error(Errc::kStaleHandle, "the namespace moved to a later epoch");
  const bool on_ssd = store_->nonresident_count() > 0;
  const PrefixMatch found = find_prefix(store_->tree(), session.root, root, chain, prompt_tokens,
                                        on_ssd && !store_->ssd_readable());
  store_->work().add(found.steps);
  ++counters_.matches;
  counters_.prompt_tokens += prompt_tokens;
  if (found.span_node == root.node && !found.checkpoint_node.valid()) {
    Lease none;
    return announce(session, found, root, none);
  }
  const LeaseId id = QUIRE_TRY(leases_->add(holder));
  Lease& lease = *leases_->find(id, holder);
  lease.span_node = found.span_node;
  lease.exact_node = found.exact_node;
  lease.checkpoint_node = found.checkpoint_node;
  store_->pin(lease.span_node);
  if (lease.checkpoint_node.valid()) store_->pin(lease.checkpoint_node);
  model::MatchResult result = announce(session, found, root, lease);
  result.lease = id.value;
  if (on_ssd) {
    const HitTiers tiers =
        weigh_hit(*store_, root, found, chain, prompt_tokens, have_tokens, cost, load_time_);
    store_->work().add(tiers.steps);
    result.tokens_ssd = std::min(tiers.ssd_tokens, result.exact_tokens);
    result.tokens_ram = result.exact_tokens - result.tokens_ssd;
    result.load_estimate_us = tiers.load_us;
    result.cut_tokens = tiers.cut_tokens;
    counters_.ssd_hit_tokens += result.tokens_ssd;
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
  result.tokens_ram = result.exact_tokens;
  result.cut_tokens = result.exact_tokens;
  const bool worth_replaying = result.span_tokens > result.exact_tokens;
  if (worth_replaying && root.layout->replay_tokens > 0) {
    result.replay_tokens = std::min(root.layout->replay_tokens, result.span_tokens);
    result.replay_exact = root.layout->replay_exact ? 1 : 0;
  }
  if (lease.span_node.valid()) store_->use(lease.span_node);
  if (lease.checkpoint_node.valid()) note_checkpoint_hit(session, lease.checkpoint_node);
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
  store_->use(checkpoint);
  NodeLink& link = store_->tree().link(checkpoint);
  if (link.first_child == session.owner_tag) {
    const model::Hash256& key = store_->tree().key(checkpoint);
    if (session.tail_tokens == 0) {
      session.has_previous_checkpoint = true;
      session.previous_checkpoint = key;
    } else if (session.previous_checkpoint == key) {
      session.has_previous_checkpoint = false;  // a new turn: this is where it begins
    }
  } else {
    link.kept = 1;
  }
}

model::Result<PrefixReader::Range> PrefixReader::check_range(const Lease& lease,
                                                             const model::LoadArgs& args) const {
  const uint32_t per_block = root_of(lease.exact_node).layout->units_per_block;
  const uint32_t blocks = store_->tree().link(lease.span_node).units / per_block;
  const uint32_t exact_blocks = store_->tree().link(lease.exact_node).units / per_block;
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

PageDescriptor PrefixReader::describe(SlotId slot, model::GroupIndex group, bool checkpoint) const {
  const allocator::PageEntry& page = store_->pool().page(slot);
  const allocator::SlotPlace place = store_->pool().place(slot);
  return {.offset = place.offset,
          .bytes = store_->pool().page_bytes(slot),
          .segment = place.segment.value,
          .generation = page.generation(),
          .crc32c = page.crc32c,
          .group = group,
          .flags = static_cast<uint16_t>(checkpoint ? 1 : 0)};
}

void PrefixReader::write_span(const Load& load, NodeId node, size_t index,
                              std::span<PageDescriptor> out, std::vector<SlotId>* slots) const {
  SlotId slot = store_->first_page(node);
  for (const model::PlannedPage& planned : root_of(node).layout->span_plan.pages) {
    if (load.groups >> planned.group & 1) {
      if (slots != nullptr) (*slots)[index] = slot;
      out[index++] = describe(slot, planned.group, false);
    }
    slot = SlotId{store_->pool().page(slot).next - 1};
  }
}

// Goes up to where the range ends, then pins every span of it, and describes those in RAM. True
// when none is left.
bool PrefixReader::pin_spans(PendingLoad& pending, LoadRange& range, std::span<PageDescriptor> out,
                             uint32_t budget) {
  const PrefixTree& tree = store_->tree();
  const Load& load = pending.load;
  NodeId& node = pending.next;
  uint64_t steps = 0;
  for (; tree.link(node).units > pending.end_units && steps < budget; ++steps) {
    node = tree.parent(node);
  }
  if (tree.link(node).units == pending.end_units) pending.load.last = range.last = node;
  for (; pending.blocks_left > 0 && steps < budget; steps += 1 + load.pages_per_span) {
    store_->pin(node);
    ++range.block_count;
    const uint32_t block = --pending.blocks_left;
    if (store_->is_resident(node)) {
      write_span(load, node, size_t{block} * load.pages_per_span, out, pending.wanted_slots());
    } else {
      pending.missing.push_back(node);
    }
    node = tree.parent(node);
  }
  store_->work().add(steps);
  return pending.load.last.valid() && pending.blocks_left == 0;
}

size_t PrefixReader::count_checkpoint_pages(NodeId checkpoint, model::GroupMask groups) const {
  const uint32_t units = store_->tree().link(checkpoint).units;
  const auto& pages = root_of(checkpoint).layout->plan(FillKind::kCheckpoint, units).pages;
  return static_cast<size_t>(std::count_if(
      pages.begin(), pages.end(),
      [&](const model::PlannedPage& page) { return (groups >> page.group & 1) != 0; }));
}

uint32_t PrefixReader::write_checkpoint(NodeId checkpoint, model::GroupMask groups,
                                        std::span<PageDescriptor> out,
                                        std::vector<SlotId>* slots) const {
  const NodeLink& link = store_->tree().link(checkpoint);
  const model::PagePlan& plan = root_of(checkpoint).layout->plan(FillKind::kCheckpoint, link.units);
  SlotId slot = store_->first_page(checkpoint);
  uint32_t count = 0;
  for (const model::PlannedPage& planned : plan.pages) {
    if (groups >> planned.group & 1) {
      if (slots != nullptr) slots->push_back(slot);
      out[count++] = describe(slot, planned.group, true);
    }
    slot = SlotId{store_->pool().page(slot).next - 1};
  }
  return count;
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
  const KnownLayout& layout = *root_of(lease->span_node).layout;
  Load load;
  load.groups = args.groups == 0 ? ~uint64_t{0} : args.groups;
  load.pages_per_span = static_cast<uint32_t>(std::popcount(load.groups & layout.append));
  load.block_count = range.block_count;
  if (args.include_checkpoint != 0) load.checkpoint = lease->checkpoint_node;
  const size_t span_pages = size_t{range.block_count} * load.pages_per_span;
  const size_t needed =
      span_pages +
      (load.checkpoint.valid() ? count_checkpoint_pages(load.checkpoint, load.groups) : 0);
  if (needed > out_count) {
    return make_error(Errc::kInvalidArgument,
                      "the load needs room for " + std::to_string(needed) + " descriptors");
  }
  load.lease = LeaseId{args.lease};
  load.result.descriptor_count = static_cast<uint32_t>(needed);
  load.range_index = lease->load_count++;
  lease->loads[load.range_index] = {};
  pending.load = load;
  pending.missing.clear();
  pending.slots_wanted = want_slots;
  pending.slots.assign(want_slots ? span_pages : 0, SlotId{});
  pending.blocks_left = range.block_count;
  pending.end_units = (range.first_block + range.block_count) * layout.units_per_block;
  const bool within_hit = store_->tree().link(lease->exact_node).units >= pending.end_units;
  pending.next = within_hit ? lease->exact_node : lease->span_node;
  return {};
}

bool PrefixReader::step_load(LeaseHolder& holder, PendingLoad& pending,
                             std::span<PageDescriptor> out, uint32_t budget) {
  Load& load = pending.load;
  Lease* lease = leases_->find(load.lease, holder);
  QUIRE_CHECK(lease != nullptr && load.range_index < lease->load_count);
  if (!pin_spans(pending, lease->loads[load.range_index], out, budget)) return false;
  std::reverse(pending.missing.begin(), pending.missing.end());
  if (load.checkpoint.valid() && !store_->is_resident(load.checkpoint)) {
    pending.missing.push_back(load.checkpoint);
  }
  load.missing_count = pending.missing.size();
  ++counters_.loads;
  if (load.missing_count > 0) {
    load.result = {};
    return true;
  }
  load.result.block_count = load.block_count;
  if (load.checkpoint.valid()) {
    const size_t span_pages = size_t{load.block_count} * load.pages_per_span;
    load.result.checkpoint_count = write_checkpoint(
        load.checkpoint, load.groups, out.subspan(span_pages), pending.wanted_slots());
  }
  counters_.delivered_pages += load.result.descriptor_count;
  return true;
}

// Blocks from the start of the range that could be delivered now.
uint32_t PrefixReader::ready_blocks(const Load& load) const {
  const PrefixTree& tree = store_->tree();
  uint32_t ready = load.block_count;
  NodeId node = load.last;
  for (uint32_t block = load.block_count; block > 0; --block, node = tree.parent(node)) {
    if (!store_->is_resident(node) || tree.link(node).quarantined) ready = block - 1;
  }
  return ready;
}

void PrefixReader::describe_blocks(const Load& load, NodeId last, uint32_t first, uint32_t count,
                                   std::span<PageDescriptor> out) const {
  NodeId node = last;
  for (uint32_t block = first + count; block > first; --block) {
    write_span(load, node, size_t{block - 1} * load.pages_per_span, out, nullptr);
    node = store_->tree().parent(node);
  }
}

model::LoadResult PrefixReader::deliver(LeaseHolder& holder, const Load& load,
                                        std::span<PageDescriptor> out, std::vector<SlotId>* slots) {
  Lease* lease = leases_->find(load.lease, holder);
  QUIRE_CHECK(lease != nullptr && load.range_index < lease->load_count);
  const uint32_t ready = ready_blocks(load);
  store_->work().add(uint64_t{load.block_count} * (2 + load.pages_per_span));
  model::LoadResult result{};
  result.block_count = ready;
  size_t count = size_t{ready} * load.pages_per_span;
  if (slots != nullptr) slots->resize(count);
  NodeId node = load.last;
  NodeId last_ready;
  for (uint32_t block = load.block_count; block > 0; --block) {
    const NodeId parent = store_->tree().parent(node);
    if (block == ready) last_ready = node;
    if (block <= ready) {
      write_span(load, node, size_t{block - 1} * load.pages_per_span, out, slots);
    } else {
      store_->unpin(node);
    }
    node = parent;
  }
  lease->loads[load.range_index] = {last_ready, ready};
  const bool with_checkpoint = load.checkpoint.valid() && ready == load.block_count &&
                               store_->is_resident(load.checkpoint) &&
                               !store_->tree().link(load.checkpoint).quarantined;
  if (with_checkpoint) {
    result.checkpoint_count =
        write_checkpoint(load.checkpoint, load.groups, out.subspan(count), slots);
    count += result.checkpoint_count;
  }
  result.descriptor_count = static_cast<uint32_t>(count);
  counters_.delivered_pages += count;
  return result;
}

// Of the end of the range, so many spans at most. Returns how many there were.
uint32_t PrefixReader::release_last_range(Lease& lease, uint32_t budget) {
  LoadRange& range = lease.loads[lease.load_count - 1];
  const uint32_t count = std::min(range.block_count, budget);
  store_->work().add(count);
  for (uint32_t i = 0; i < count; ++i) {
    const NodeId parent = store_->tree().parent(range.last);
    store_->unpin(range.last);
    range.last = parent;
  }
  range.block_count -= count;
  if (range.block_count == 0) --lease.load_count;
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
  const NodeId checkpoint = lease->checkpoint_node;
  const NodeId span = lease->span_node;
  leases_->remove(id);
  if (checkpoint.valid()) store_->unpin(checkpoint);
  store_->unpin(span);
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
