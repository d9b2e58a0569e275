#include "cache/serve/prefix_reader.h"

#include <algorithm>
#include <limits>

#include "cache/objects/path.h"

namespace quire::cache {

using model::Errc;
using model::LeaseId;
using model::make_error;
using model::NodeId;
using model::TierId;

// The one search behind match, positions and locate.
model::Result<PrefixMatch> PrefixReader::find(model::RootId id, const ChainView& chain,
                                              uint32_t prompt_tokens) const {
  if (prompt_tokens == 0) return make_error(Errc::kInvalidArgument, "prompt_tokens is 0");
  const Root& root = names_->root(id);
  if (root.dead) return make_error(Errc::kStaleHandle, "the namespace moved to a later epoch");
  const PrefixMatch found =
      find_prefix(store_->presence(), store_->tree(), id, root, chain, prompt_tokens);
  store_->work().add(found.steps);
  return found;
}

uint32_t PrefixReader::known_units(model::RootId id, const ChainView& chain) const {
  return cache::known_units(store_->presence(), store_->tree(), id, names_->root(id), chain);
}

void PrefixReader::set_turn(LeaseHolder& holder, LeaseId lease, uint32_t turn) {
  leases_->find(lease, holder)->turn = turn;
}

model::Result<model::PositionsResult> PrefixReader::positions(
    const CacheSession& session, const ChainView& chain, const PositionsQuery& query,
    std::span<model::ResumePosition> out) {
  const PrefixMatch found = QUIRE_TRY(find(session.root, chain, query.prompt_tokens));
  const PositionSearch search(*store_, names_->root(session.root), chain, load_time_);
  const FoundPositions all = search.list(found, query, out);
  store_->work().add(all.steps);
  return all.result;
}

model::Result<model::LocateResult> PrefixReader::locate(model::RootId id, const ChainView& chain) {
  const Root& root = names_->root(id);
  // A token behind the chain, so that all of it may be resumed.
  const uint64_t tokens = uint64_t{chain.count()} * root.layout->layout.unit_tokens + 1;
  const auto prompt_tokens =
      static_cast<uint32_t>(std::min<uint64_t>(tokens, std::numeric_limits<uint32_t>::max()));
  const PrefixMatch found = QUIRE_TRY(find(id, chain, prompt_tokens));
  const PositionSearch search(*store_, root, chain, load_time_);
  const Located located = search.locate(found);
  store_->work().add(located.steps);
  return located.result;
}

namespace {

// Of the whole blocks behind the spans that were found: an engine would have been told of so many
// pages more, had all been here.
uint64_t missed_pages(const KnownLayout& layout, const PrefixMatch& found, uint32_t prompt_tokens) {
  const uint32_t blocks = prompt_tokens / layout.layout.block_tokens;
  const uint32_t here = std::min(blocks, found.span_units / layout.units_per_block);
  return uint64_t{blocks - here} * layout.span_plan.pages.size();
}

}  // namespace

// Where tokens of prompts were is told by tier, and what was nowhere beside it: they add up to all.
void PrefixReader::describe(model::MetricSink& sink) const {
  using model::MetricFamily;
  model::describe(sink, counters_);
  const uint64_t below = counters_.ssd_hit_tokens + counters_.cluster_hit_tokens;
  sink.counter("ram_hit_tokens", counters_.hit_tokens - below, "Of these, tokens that were in RAM",
               {MetricFamily::kLookupTokens, R"(tier="ram",result="hit")"});
  sink.counter("missed_tokens", counters_.prompt_tokens - counters_.hit_tokens,
               "Tokens of the prompts matched that were not announced",
               {MetricFamily::kLookupTokens, R"(tier="none",result="miss")"});
}

model::Result<model::MatchResult> PrefixReader::match(CacheSession& session, LeaseHolder& holder,
                                                      const ChainView& chain,
                                                      uint32_t prompt_tokens, uint32_t have_tokens,
                                                      const PrefillCost& cost) {
  PrefixMatch found = QUIRE_TRY(find(session.root, chain, prompt_tokens));
  const Root& root = names_->root(session.root);
  note_parting(session, found);
  ++counters_.matches;
  counters_.prompt_tokens += prompt_tokens;
  counters_.missed_pages += missed_pages(*root.layout, found, prompt_tokens);
  if (found.span_node == root.node && !found.checkpoint_node.valid()) {
    Lease none;
    return announce(session, found, root, none);
  }
  // The bound is checked before anything is pinned.
  const LeaseId id = QUIRE_TRY(leases_->add(holder));
  Lease& lease = *leases_->find(id, holder);
  // Pinned before anything is announced (law 3). A node with a child is never dropped, so the
  // deepest pin keeps the path.
  lease.span = Pin(store_, found.span_node, PinKind::kPresence);
  lease.exact_node = found.exact_node;
  if (found.checkpoint_node.valid()) {
    lease.checkpoint = Pin(store_, found.checkpoint_node, PinKind::kPresence);
  }
  if (!store_->has_lower_tier()) lease.path = hold_path(*store_, root, found.span_node);
  model::MatchResult result = announce(session, found, root, lease);
  result.lease = id.value;
  // With everything in RAM, as a rule, a match costs its search alone.
  if (store_->presence().count_below_ram() > 0) {
    const HitTiers tiers =
        weigh_hit(*store_, root, found, chain, prompt_tokens, have_tokens, cost, load_time_);
    store_->work().add(tiers.steps);
    result.tokens = tiers.below_tokens;
    result.tokens[TierId::kRam] = result.exact_tokens - tiers.below_tokens[TierId::kSsd] -
                                  tiers.below_tokens[TierId::kCluster];
    result.load_estimate_us = tiers.load_us;
    result.cut_tokens = tiers.cut_tokens;
    counters_.ssd_hit_tokens += result.tokens[TierId::kSsd];
    counters_.cluster_hit_tokens += result.tokens[TierId::kCluster];
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
  result.diverged = match.diverged ? 1 : 0;
  result.limit = static_cast<uint8_t>(match.limit);
  result.limit_tokens = match.limit_units * unit_tokens;
  result.tokens[TierId::kRam] = result.exact_tokens;
  result.cut_tokens = result.exact_tokens;
  const bool worth_replaying = result.span_tokens > result.exact_tokens;
  if (worth_replaying && root.layout->replay_tokens > 0) {
    result.replay_tokens = std::min(root.layout->replay_tokens, result.span_tokens);
    result.replay_exact = root.layout->replay_exact ? 1 : 0;
  }
  // Only the deepest: a parent inherits the time of its child when that leaves
  // (CandidateListener::left), so no use walks the path.
  if (lease.span.valid()) board_->used_path(lease.span.node());
  if (lease.checkpoint.valid()) note_checkpoint_hit(session, lease.checkpoint.node());
  counters_.hit_tokens += result.exact_tokens;
  if (match.limit == model::MatchLimit::kNoCheckpoint) {
    ++counters_.no_checkpoint_matches;
    counters_.no_checkpoint_tokens += result.limit_tokens - result.exact_tokens;
  }
  return result;
}

// A branch also where the other conversation ended before the block in which both part was whole.
void PrefixReader::note_parting(const CacheSession& session, PrefixMatch& found) const {
  if (!found.lacks_branch || found.branch_units > 0) return;
  const EndedBehind ended = ended_behind(store_->tree(), found, session.owner_tag);
  if (ended.found) found.branch_units = found.span_units;
  store_->work().add(ended.steps);
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

}  // namespace quire::cache
