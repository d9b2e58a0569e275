#include "server/rings/turn_meter.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace quire::server {

using model::Errc;
using model::NodeId;

namespace {

cache::BlockShape shape_of(const cache::KnownLayout& layout) {
  const uint64_t bytes = std::min<uint64_t>(layout.span_plan.page_bytes, UINT32_MAX);
  return {.tokens = layout.layout.block_tokens, .bytes = static_cast<uint32_t>(bytes)};
}

uint64_t bytes_of(const model::PagePlan& plan, model::GroupMask groups) {
  uint64_t bytes = 0;
  for (const model::PlannedPage& page : plan.pages) {
    if (groups >> page.group & 1) bytes += page.bytes;
  }
  return bytes;
}

// The least interval that the layout itself declares; 0: none.
uint32_t own_step(const model::Layout& layout) {
  uint32_t least = 0;
  for (const model::Group& group : layout.groups) {
    if (group.kind == model::GroupKind::kAppend) continue;
    const uint32_t step = group.checkpoints == model::CheckpointRule::kAll
                              ? layout.unit_tokens
                              : group.checkpoint_every_tokens;
    if (step > 0 && (least == 0 || step < least)) least = step;
  }
  return least;
}

cache::CheckpointFacts facts_of(const cache::KnownLayout& layout,
                                const cache::CacheSession& session,
                                const model::MatchResult& result) {
  if (!layout.needs_checkpoint) return {};
  return {.bytes = layout.checkpoint_plan.page_bytes,
          .tail_bytes = layout.checkpoint_tail_plan.page_bytes,
          .unit_tokens = layout.layout.unit_tokens,
          .own_step = own_step(layout.layout),
          .exact_tokens = result.exact_tokens,
          .tail_tokens = session.tail_tokens,
          .owner = session.owner_tag,
          .diverged = result.diverged};
}

// Names that a session was opened with fit: they came in such fields.
model::WireName field_of(const std::string& name) {
  model::WireName field{};
  std::copy_n(name.begin(), std::min(name.size(), model::kMaxNameBytes), field.begin());
  return field;
}

TraceTurn trace_turn(const Session& session) {
  return {.session = session.id.value,
          .turn = session.turn.number(),
          .uid = session.uid,
          .tenant = session.tenant};
}

}  // namespace

void TurnTotals::add(const TurnRecord& record) {
  if (record.turn > 0) ++turns;
  prompt_tokens += record.prompt_tokens;
  hit_tokens += record.hit_tokens;
  replayed_tokens += record.replayed_tokens;
  missed_tokens += record.missed_tokens;
  announced_tokens += record.announced_tokens;
  delivered_ram_tokens += record.delivered.of[model::index_of(model::TierId::kRam)];
  delivered_ssd_tokens += record.delivered.of[model::index_of(model::TierId::kSsd)];
  delivered_cluster_tokens += record.delivered.of[model::index_of(model::TierId::kCluster)];
  undelivered_tokens += record.undelivered_tokens;
  output_tokens += record.output_tokens;
  for (const WrittenObjects& written : record.written) written_bytes += written.bytes;
  if (record.turn > 0 && record.how == model::ResumedHow::kUnsaid) ++unsaid;
}

Turn TurnMeter::first_turn(const cache::KnownLayout& layout) {
  return Turn(
      {.block_tokens = layout.layout.block_tokens, .needs_checkpoint = layout.needs_checkpoint});
}

void TurnMeter::matched(Attachment& attachment, const model::MatchArgs& args,
                        const model::MatchResult& result) {
  Session& session = attachment.session();
  // A rank that gives no id has its first match in a turn that another one opened.
  const bool joins = args.request_id == 0 ? session.turn.number() > attachment.matched_turn &&
                                                !session.turn.is_idle()
                                          : session.turn.is_of(args.request_id);
  if (!joins) {
    close(session, model::ReceiptEnd::kNextTurn);
    session.turn.open(args.request_id, clock_->now_ns());
  }
  if (!joins) learn_tail(attachment, args);
  attachment.matched_turn = session.turn.number();
  const bool whole = session.turn.announce(args, result);
  changed(session);
  if (memory_ != nullptr && whole) {
    RememberedTurn& turn = remember(attachment, args, joins);
    turn.exact_tokens = result.exact_tokens;
    turn.span_tokens = result.span_tokens;
    turn.announced = result.tokens;
    turn.miss = cache_->explain(session.cached, attachment.lane().chain().first(args.unit_count),
                                args.prompt_tokens, result);
  }
  if (ghosts_ != nullptr && whole) tell_match(attachment, args, result);
  // Ranks of one request, and an engine that asks again, are one request.
  if (!joins && records()) trace_match(attachment, args, result);
  if (result.lease == 0) return;
  cache_->reader().set_turn(attachment.leases, model::LeaseId{result.lease}, session.turn.number());
}

void TurnMeter::reset(Attachment& attachment) {
  Session& session = attachment.session();
  close(session, model::ReceiptEnd::kNextTurn);
  session.turn.reset();
  session.remembered = 0;
  // The process writes other hashes where these were.
  if (ghosts_ != nullptr) ghosts_->forget(&attachment);
}

void TurnMeter::refused_as_stale(Attachment& attachment, const model::MatchArgs& args) {
  if (memory_ == nullptr) return;
  // Who asks again and again is remembered once.
  const RememberedTurn* last = memory_->find(attachment.session().remembered);
  const bool again = last != nullptr && last->miss.reason == cache::MissReason::kStaleEpoch;
  if (!again) remember_outcome(attachment.session(), false);
  remember(attachment, args, again).miss = {.reason = cache::MissReason::kStaleEpoch};
}

RememberedTurn& TurnMeter::remember(Attachment& attachment, const model::MatchArgs& args,
                                    bool joins) {
  Session& session = attachment.session();
  RememberedTurn* known = joins ? memory_->find(session.remembered) : nullptr;
  RememberedTurn& turn = known != nullptr ? *known : memory_->add();
  session.remembered = turn.sequence;
  const cache::Root& root = cache_->names().root(session.cached.root);
  const cache::KnownLayout& layout = *root.layout;
  turn.request_id = args.request_id;
  turn.session = session.id.value;
  turn.conversation = session.billing.conversation;
  turn.turn = session.turn.number();
  turn.uid = session.uid;
  turn.at_ns = clock_->now_ns();
  turn.open = true;
  turn.tenant = field_of(root.key.tenant);
  turn.namespace_name = field_of(root.key.namespace_name);
  turn.salt = field_of(root.key.salt);
  turn.epoch = root.key.weights_epoch;
  turn.layout = root.key.layout;
  turn.layout_digest = layout.digest.word(0);
  turn.unit_tokens = layout.layout.unit_tokens;
  turn.root = session.cached.root;
  turn.root_hash = root.hash;
  turn.prompt_tokens = args.prompt_tokens;
  if (args.unit_count < layout.units_per_block) return turn;
  turn.first_block = attachment.lane().chain().after(layout.units_per_block);
  turn.content = args.content;
  return turn;
}

// What loads brought, so far or in all.
void TurnMeter::remember_outcome(Session& session, bool open) {
  RememberedTurn* turn = memory_ == nullptr ? nullptr : memory_->find(session.remembered);
  if (turn == nullptr || turn->miss.reason == cache::MissReason::kStaleEpoch) return;
  const TurnRecord record = session.turn.close();
  turn->delivered = record.delivered;
  turn->undelivered_tokens = record.undelivered_tokens;
  turn->late = record.late;
  turn->open = open;
}

LoadFacts TurnMeter::begun(Session& session, const cache::PendingLoad& loading) {
  const cache::Load& load = loading.load;
  const cache::PrefixTree& tree = cache_->store().tree();
  const cache::KnownLayout& layout = *cache_->layouts().find(session.layout);
  LoadFacts facts;
  facts.turn = load.turn;
  if (load.block_count > 0) {
    facts.asked.end = tree.node(load.last).units() / layout.units_per_block;
    facts.asked.first = facts.asked.end - load.block_count;
  }
  facts.checkpoint = load.checkpoint.valid();
  if (facts.checkpoint) {
    const uint32_t units = tree.node(load.checkpoint).units();
    const uint32_t span_units = tree.node(tree.parent(load.checkpoint)).units();
    facts.checkpoint_tokens = units * layout.layout.unit_tokens;
    facts.tail_tokens = (units - span_units) * layout.layout.unit_tokens;
    facts.checkpoint_bytes =
        bytes_of(layout.plan(model::FillKind::kCheckpoint, units), load.groups);
  }
  facts.block_bytes = bytes_of(layout.span_plan, load.groups);
  for (const NodeId node : loading.missing) {
    // What none can read now is not delivered either.
    const auto source = cache_->store().presence().source_of(node);
    const model::TierId tier = source.value_or(model::TierId::kSsd);
    if (node == load.checkpoint) {
      facts.checkpoint_tier = tier;
      continue;
    }
    const uint32_t end = tree.node(node).units() / layout.units_per_block;
    const bool goes_on = !facts.below.empty() && facts.below.back().tier == tier &&
                         facts.below.back().blocks.end == end - 1;
    if (goes_on) {
      facts.below.back().blocks.end = end;
    } else {
      facts.below.push_back({{end - 1, end}, tier});
    }
  }
  // Else the load's turn is closed and its record written.
  if (facts.turn == session.turn.number()) session.turn.ask(facts);
  return facts;
}

void TurnMeter::delivered(Session& session, const LoadFacts& facts, const model::LoadResult& result,
                          bool late) {
  if (facts.turn == session.turn.number()) {
    session.turn.deliver(facts, result, late);
    remember_outcome(session, true);
    changed(session);
  } else if (result.descriptor_count > 0) {
    ++totals_.late_loads;
  }
}

model::Result<model::ResumedResult> TurnMeter::resumed(Session& session,
                                                       const model::ResumedArgs& args) {
  const bool present = args.request_id == 0 ? session.turn.number() > 0 && !session.turn.is_idle()
                                            : session.turn.is_of(args.request_id);
  if (!present) {
    return model::make_error(Errc::kNotFound, "resumed: no such turn is open in this session");
  }
  QUIRE_TRY(session.turn.resume(args));
  changed(session);
  const TurnRecord record = session.turn.close();
  model::ResumedResult result{};
  result.turn = record.turn;
  result.tokens = {.prompt = record.prompt_tokens,
                   .hit = record.hit_tokens,
                   .replayed = record.replayed_tokens,
                   .missed = record.missed_tokens,
                   .output = static_cast<uint32_t>(record.output_tokens),
                   .written = static_cast<uint32_t>(record.written[0].tokens)};
  return result;
}

void TurnMeter::wrote(Session& session, model::FillKind kind, uint32_t end_units) {
  const cache::KnownLayout& layout = *cache_->layouts().find(session.layout);
  const uint64_t bytes = layout.plan(kind, end_units).page_bytes;
  const uint64_t tokens = kind == model::FillKind::kSpan ? layout.layout.block_tokens : 0;
  session.turn.wrote(kind, tokens, bytes);
  changed(session);
  if (ghosts_ == nullptr && !records()) return;
  if (kind == model::FillKind::kCheckpoint) {
    if (ghosts_ != nullptr) ghosts_->wrote_checkpoint(bytes, clock_->now_ns());
    return;
  }
  const NodeId node = written_span(session, end_units);
  if (!node.valid()) return;
  if (ghosts_ != nullptr) tell_span(node, layout);
  if (!records()) return;
  traces_->wrote(trace_turn(session), end_units / layout.units_per_block - 1,
                 cache_->store().tree().key(node));
}

// Who names no conversation has no turn before this one to learn from, but goes by what is known.
void TurnMeter::learn_tail(Attachment& attachment, const model::MatchArgs& args) {
  Session& session = attachment.session();
  const cache::KnownLayout& layout = *cache_->layouts().find(session.layout);
  if (!layout.needs_checkpoint) return;
  const cache::CacheSession& cached = session.cached;
  cache::TailDistances& tails = cache_->tails();
  if (session.billing.conversation != 0) {
    tails.asked({.namespace_key = cached.tail_namespace,
                 .conversation = uint64_t{cached.root.value} << 32 | cached.owner_tag,
                 .layout = &layout.layout,
                 .chain = attachment.lane().chain().first(args.unit_count),
                 .tokens = args.prompt_tokens});
  }
  if (cached.learns_tail) session.set_tail(tails.learnt(cached.tail_namespace));
}

void TurnMeter::tell_match(Attachment& attachment, const model::MatchArgs& args,
                           const model::MatchResult& result) {
  const cache::KnownLayout& layout = *cache_->layouts().find(attachment.session().layout);
  const uint32_t block_tokens = layout.layout.block_tokens;
  const uint32_t below = result.exact_tokens - result.tokens[model::TierId::kRam];
  const uint32_t in_ram = result.span_tokens - std::min(result.span_tokens, below);
  ghosts_->matched({.owner = &attachment,
                    .chain = attachment.lane().chain().first(args.unit_count),
                    .units_per_block = layout.units_per_block,
                    .shape = shape_of(layout),
                    .prompt_tokens = args.prompt_tokens,
                    .ram_blocks = in_ram / block_tokens,
                    .all_blocks = result.span_tokens / block_tokens,
                    .checkpoints = facts_of(layout, attachment.session().cached, result)},
                   clock_->now_ns());
}

void TurnMeter::trace_match(Attachment& attachment, const model::MatchArgs& args,
                            const model::MatchResult& result) {
  const Session& session = attachment.session();
  const cache::KnownLayout& layout = *cache_->layouts().find(session.layout);
  traces_->matched({.turn = trace_turn(session),
                    .conversation = session.cached.owner_tag,
                    .chain = attachment.lane().chain().first(args.unit_count),
                    .units_per_block = layout.units_per_block,
                    .block_tokens = layout.layout.block_tokens,
                    .prompt_tokens = args.prompt_tokens,
                    .hit_tokens = result.exact_tokens});
}

// The session's tip is the span, as a rule.
NodeId TurnMeter::written_span(const Session& session, uint32_t end_units) const {
  if (!session.cached.tip.valid()) return {};
  const cache::PrefixTree& tree = cache_->store().tree();
  const NodeId node = session.cached.tip.node();
  return tree.node(node).is_span() && tree.node(node).units() == end_units ? node : NodeId{};
}

void TurnMeter::tell_span(NodeId node, const cache::KnownLayout& layout) {
  const cache::PrefixTree& tree = cache_->store().tree();
  const NodeId parent = tree.parent(node);
  ghosts_->wrote({.time_us = clock_->now_ns() / 1000,
                  .parent_key = tree.node(parent).is_span() ? tree.key(parent).word(1) : 0,
                  .key = tree.key(node).word(1),
                  .shape = shape_of(layout)});
}

void TurnMeter::end(Session& session) {
  const auto end = stopping_                  ? model::ReceiptEnd::kDaemonStopped
                   : session.closed_by_client ? model::ReceiptEnd::kClosed
                                              : model::ReceiptEnd::kClientDied;
  close(session, end);
  // A turn without content: a second end tells nobody anything.
  session.turn = Turn();
}

TurnRecord TurnMeter::record_of(const Session& session, int64_t now_ns) const {
  TurnRecord record = session.turn.close();
  record.session = session.id.value;
  record.domain = session.domain;
  record.uid = session.uid;
  record.tenant = session.tenant;
  record.namespace_name = session.namespace_name;
  record.payer = session.billing.payer;
  record.conversation = session.billing.conversation;
  record.billing = {.model = session.billing.model,
                    .service_tier = session.billing.service_tier,
                    .retention = session.billing.retention,
                    .is_explicit = session.billing.is_explicit};
  record.closed_ns = now_ns;
  if (record.turn == 0) record.opened_ns = now_ns;  // no match opened it
  return record;
}

void TurnMeter::close(Session& session, model::ReceiptEnd end) {
  forget_change(session);
  if (session.turn_is_open) --open_count_;
  session.turn_is_open = false;
  if (!session.turn.has_content()) return;
  remember_outcome(session, false);
  TurnRecord record = record_of(session, clock_->now_ns());
  record.end = end;
  totals_.add(record);
  recent_.add(record.closed_ns, record.prompt_tokens, record.hit_tokens);
  if (session.cached.payer.valid()) tenants_.add(session.cached.payer, record);
  if (records()) traces_->ended(trace_turn(session), record.output_tokens);
  if (sink_ == nullptr) return;
  anything_new_ = true;
  sink_->on_turn(record);
}

void TurnMeter::changed(Session& session) {
  if (sink_ == nullptr) return;
  anything_new_ = true;
  if (!std::exchange(session.turn_is_open, true)) ++open_count_;
  if (session.changed_list == nullptr) put_into(changed_, session);
}

void TurnMeter::put_into(std::vector<Session*>& list, Session& session) {
  session.changed_list = &list;
  session.changed_place = static_cast<uint32_t>(list.size());
  list.push_back(&session);
}

void TurnMeter::forget_change(Session& session) {
  if (session.changed_list == nullptr) return;
  std::vector<Session*>& list = *session.changed_list;
  list.back()->changed_place = session.changed_place;
  list[session.changed_place] = list.back();
  list.pop_back();
  session.changed_list = nullptr;
}

// A pass is of those that had changed when it began: what changes meanwhile waits for the next one,
// so that nobody's turns are told again and again before others' are told at all.
bool TurnMeter::step(int64_t now_ns) {
  if (sink_ == nullptr || now_ns < next_told_ns()) return false;
  if (!telling_now_) {
    telling_now_ = true;
    anything_new_ = false;
    while (!changed_.empty()) {
      Session& session = *changed_.back();
      forget_change(session);
      put_into(telling_, session);
    }
  }
  for (uint32_t told = 0; !telling_.empty() && told < kToldPerStep; ++told) {
    Session& session = *telling_.back();
    if (!sink_->on_open_turn(record_of(session, now_ns))) {
      // Who sleeps until it is time must not be woken at once.
      refused_until_ns_ = now_ns + kTellEveryNs;
      return false;
    }
    forget_change(session);
  }
  if (!telling_.empty()) return true;
  telling_now_ = false;
  told_ns_ = now_ns;
  sink_->on_told();
  return false;
}

// The time is told even where nothing happens: what is not told is not known.
int64_t TurnMeter::next_told_ns() const {
  if (sink_ == nullptr) return INT64_MAX;
  const int64_t every_ns = anything_new_ || open_count_ > 0 ? kTellEveryNs : kTellIdleEveryNs;
  return std::max(told_ns_ + every_ns, refused_until_ns_);
}

}  // namespace quire::server
