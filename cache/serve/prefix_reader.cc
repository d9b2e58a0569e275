#include "cache/serve/prefix_reader.h"

#include <algorithm>
#include <bit>
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

// The span that ends after `end_block` blocks of the leased path.
NodeId PrefixReader::node_at(const Lease& lease, uint32_t end_block) const {
  const PrefixTree& tree = store_->tree();
  const uint32_t units = end_block * root_of(lease.span_node).layout->units_per_block;
  NodeId node = tree.link(lease.exact_node).units >= units ? lease.exact_node : lease.span_node;
  for (; tree.link(node).units > units; node = tree.parent(node)) store_->work().add(1);
  return node;
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

// One walk: every span of the range is pinned, and described when it is in RAM.
void PrefixReader::pin_spans(const Load& load, std::span<PageDescriptor> out,
                             std::vector<SlotId>* slots) {
  const PrefixTree& tree = store_->tree();
  store_->work().add(uint64_t{load.block_count} * (1 + load.pages_per_span));
  NodeId node = load.last;
  for (uint32_t block = load.block_count; block > 0; --block, node = tree.parent(node)) {
    store_->pin(node);
    if (store_->is_resident(node)) {
      write_span(load, node, size_t{block - 1} * load.pages_per_span, out, slots);
    } else {
      missing_.push_back(node);
    }
  }
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
                                       std::span<PageDescriptor> out, std::vector<SlotId>* slots) {
  Lease* lease = leases_->find(LeaseId{args.lease}, holder);
  if (lease == nullptr) return make_error(Errc::kNotFound, "no such lease; match first");
  if (lease->load_count == kMaxLoadsPerLease) {
    return make_error(Errc::kBusy, "16 loads of one lease; release it and match again");
  }
  const Range range = QUIRE_TRY(check_range(*lease, args));
  const KnownLayout& layout = *root_of(lease->span_node).layout;
  Load load;
  load.lease = LeaseId{args.lease};
  load.groups = args.groups == 0 ? ~uint64_t{0} : args.groups;
  load.pages_per_span = static_cast<uint32_t>(std::popcount(load.groups & layout.append));
  load.block_count = range.block_count;
  if (args.include_checkpoint != 0) load.checkpoint = lease->checkpoint_node;
  const size_t checkpoint_pages =
      load.checkpoint.valid() ? count_checkpoint_pages(load.checkpoint, load.groups) : 0;
  const size_t needed = size_t{range.block_count} * load.pages_per_span + checkpoint_pages;
  if (needed > out.size()) {
    return make_error(Errc::kInvalidArgument,
                      "the load needs room for " + std::to_string(needed) + " descriptors");
  }
  load.last = node_at(*lease, range.first_block + range.block_count);
  load.range_index = lease->load_count;
  lease->loads[lease->load_count++] = {range.first_block, range.block_count};
  missing_.clear();
  if (slots != nullptr) slots->resize(needed - checkpoint_pages);
  pin_spans(load, out, slots);
  std::reverse(missing_.begin(), missing_.end());
  if (load.checkpoint.valid() && !store_->is_resident(load.checkpoint)) {
    missing_.push_back(load.checkpoint);
  }
  load.missing_count = missing_.size();
  ++counters_.loads;
  if (load.missing_count > 0) return load;

  load.result.block_count = range.block_count;
  if (load.checkpoint.valid()) {
    load.result.checkpoint_count = write_checkpoint(load.checkpoint, load.groups,
                                                    out.subspan(needed - checkpoint_pages), slots);
  }
  load.result.descriptor_count = static_cast<uint32_t>(needed);
  counters_.delivered_pages += needed;
  return load;
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
  for (uint32_t block = load.block_count; block > 0; --block) {
    const NodeId parent = store_->tree().parent(node);
    if (block <= ready) {
      write_span(load, node, size_t{block - 1} * load.pages_per_span, out, slots);
    } else {
      store_->unpin(node);
    }
    node = parent;
  }
  lease->loads[load.range_index].block_count = ready;
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

// Returns how many nodes it unpinned.
uint32_t PrefixReader::release_last_range(Lease& lease) {
  const LoadRange range = lease.loads[--lease.load_count];
  NodeId node = node_at(lease, range.first_block + range.block_count);
  store_->work().add(range.block_count);
  for (uint32_t block = range.block_count; block > 0; --block) {
    const NodeId parent = store_->tree().parent(node);
    store_->unpin(node);
    node = parent;
  }
  return range.block_count;
}

model::Result<void> PrefixReader::release(LeaseHolder& holder, LeaseId id) {
  Lease* lease = leases_->find(id, holder);
  if (lease == nullptr) return make_error(Errc::kNotFound, "no such lease, or released before");
  while (lease->load_count > 0) release_last_range(*lease);
  const NodeId checkpoint = lease->checkpoint_node;
  const NodeId span = lease->span_node;
  leases_->remove(id);
  if (checkpoint.valid()) store_->unpin(checkpoint);
  store_->unpin(span);
  return {};
}

bool PrefixReader::release_some(LeaseHolder& holder, uint32_t& budget) {
  while (budget > 0) {
    const LeaseId id = leases_->first(holder);
    if (!id.valid()) return true;
    Lease& lease = *leases_->find(id, holder);
    const uint32_t nodes = lease.load_count > 0 ? release_last_range(lease) : 0;
    budget -= std::min(budget, 1 + nodes);
    if (lease.load_count == 0) QUIRE_CHECK(release(holder, id).ok());
  }
  return holder.lease_count == 0;
}

}  // namespace quire::cache
