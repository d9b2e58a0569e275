#include "server/rings/turn.h"

#include <algorithm>

namespace quire::server {

using model::Errc;
using model::ResumedHow;
using model::TierId;

namespace {

model::Error refused(const char* why) {
  return model::make_error(Errc::kInvalidArgument, std::string("resumed: ") + why);
}

// Blocks that both have.
uint64_t overlap(const BlockRange& one, const BlockRange& other) {
  const uint32_t first = std::max(one.first, other.first);
  const uint32_t end = std::min(one.end, other.end);
  return first < end ? end - first : 0;
}

uint32_t clamp_tokens(uint64_t tokens) {
  return static_cast<uint32_t>(std::min<uint64_t>(tokens, UINT32_MAX));
}

}  // namespace

bool Turn::has_content() const {
  const bool wrote = record_.written[0].objects > 0 || record_.written[1].objects > 0;
  return wrote || (record_.turn > 0 && !idle_);
}

void Turn::begin_next() {
  // A number stands in one record alone; one that was never told is the next turn's.
  const uint32_t number = record_.turn + (idle_ && !has_content() ? 0 : 1);
  // Nothing of the last turn may be counted once more; its record was taken by close().
  *this = Turn(shape_);
  record_.turn = number == 0 ? 1 : number;  // 0 is the turn before the first, also after a wrap
}

void Turn::reset() {
  begin_next();
  idle_ = true;
}

void Turn::open(uint64_t request_id, int64_t now_ns) {
  begin_next();
  record_.request_id = request_id;
  record_.opened_ns = now_ns;
}

// A turn's ranks match one after the other, and an engine may match again after a preemption: the
// last answer is what the engine went by. The prompt, and what limited its hit, are those of the
// longest: who chose an earlier position matches up to there, and the request is no shorter by it.
bool Turn::announce(const model::MatchArgs& args, const model::MatchResult& result) {
  record_.have_tokens = std::min(args.have_tokens, args.prompt_tokens);
  record_.announced_tokens = result.exact_tokens;
  record_.announced = result.tokens;
  if (args.prompt_tokens < record_.prompt_tokens) return false;
  record_.prompt_tokens = args.prompt_tokens;
  record_.withheld_tokens = result.span_tokens - std::min(result.span_tokens, result.exact_tokens);
  record_.limit = static_cast<model::MatchLimit>(result.limit);
  record_.limit_group = result.limit_group;
  record_.limit_tokens = result.limit_tokens;
  span_tokens_ = std::max(result.span_tokens, result.exact_tokens);
  return true;
}

void Turn::ask(const LoadFacts& facts) {
  asked_.add(facts.asked, [](const BlockRange&) {});
  if (facts.checkpoint) {
    // Ranks ask for one checkpoint each in its groups: the tail is one, not as many as they are.
    asked_tail_tokens_ = std::max<uint64_t>(asked_tail_tokens_, facts.tail_tokens);
  }
}

template <typename Count>
void Turn::by_tier(const LoadFacts& facts, const BlockRange& range, Count&& count) {
  std::array<uint64_t, model::kTierCount> blocks{};
  uint64_t in_ram = range.end - range.first;
  for (const TierBlocks& part : facts.below) {
    const uint64_t both = overlap(range, part.blocks);
    blocks[index_of(part.tier)] += both;
    in_ram -= both;
  }
  blocks[index_of(TierId::kRam)] += in_ram;
  for (const TierId tier : model::kTiers) count(tier, blocks[index_of(tier)]);
}

// Every load counts here, also one that brings again what another rank has: bytes moved.
void Turn::count_bytes(const LoadFacts& facts, const model::LoadResult& result) {
  const BlockRange head{facts.asked.first, facts.asked.first + result.block_count};
  by_tier(facts, head, [&](TierId tier, uint64_t blocks) {
    record_.moved_bytes[index_of(tier)] += blocks * facts.block_bytes;
  });
  if (result.checkpoint_count == 0) return;
  record_.moved_bytes[index_of(facts.checkpoint_tier)] += facts.checkpoint_bytes;
}

void Turn::deliver(const LoadFacts& facts, const model::LoadResult& result, bool late) {
  record_.late = record_.late || late;
  count_bytes(facts, result);
  const BlockRange head{facts.asked.first, facts.asked.first + result.block_count};
  // Only what no rank was delivered before: a token is counted once a turn.
  delivered_.add(head, [&](const BlockRange& fresh) {
    by_tier(facts, fresh, [&](TierId tier, uint64_t blocks) {
      record_.delivered[tier] += clamp_tokens(blocks * shape_.block_tokens);
    });
  });
  if (result.checkpoint_count == 0) return;
  delivered_checkpoint_ = std::max(delivered_checkpoint_, facts.checkpoint_tokens);
  // Tokens behind the last block end come with the checkpoint's tail pages.
  if (facts.tail_tokens <= delivered_tail_tokens_) return;
  record_.delivered[facts.checkpoint_tier] +=
      clamp_tokens(facts.tail_tokens - delivered_tail_tokens_);
  delivered_tail_tokens_ = facts.tail_tokens;
}

model::Result<void> Turn::resume(const model::ResumedArgs& args) {
  if (args.how > static_cast<uint8_t>(ResumedHow::kNothing)) return refused("unknown way");
  const auto how = static_cast<ResumedHow>(args.how);
  // What the engine may claim is bounded by what it was told and what it said it held: a record is
  // charged by it.
  const uint32_t reach =
      std::min(record_.prompt_tokens, std::max(span_tokens_, record_.have_tokens));
  if (args.resumed_tokens > reach) {
    return refused("further than the match and have_tokens allow");
  }
  if (args.replayed_tokens > args.resumed_tokens) return refused("more replayed than resumed");
  if (args.replayed_tokens > 0 && how != ResumedHow::kSpan) {
    return refused("only a resume at the spans' end replays");
  }
  if (how == ResumedHow::kNothing && args.resumed_tokens > 0) {
    return refused("nothing was resumed, but a position is given");
  }
  if (how == ResumedHow::kUnsaid) return refused("say how");
  record_.how = how;
  record_.resumed_tokens = args.resumed_tokens;
  record_.replayed_tokens = args.replayed_tokens;
  record_.output_tokens = args.output_tokens;
  return {};
}

void Turn::wrote(model::FillKind kind, uint64_t tokens, uint64_t bytes) {
  WrittenObjects& written = record_.written[static_cast<size_t>(kind)];
  ++written.objects;
  written.tokens += tokens;
  written.bytes += bytes;
}

// What an engine that says nothing can have resumed from: the end of what it got or held, without a
// gap; with checkpoints, only where it got one.
uint32_t Turn::implied_resume() const {
  const uint32_t held_blocks = record_.have_tokens / shape_.block_tokens;
  const uint64_t end = uint64_t{delivered_.end_from(held_blocks)} * shape_.block_tokens;
  uint64_t resumed = record_.have_tokens;
  if (!shape_.needs_checkpoint) {
    resumed = std::max<uint64_t>(resumed, std::min<uint64_t>(end, record_.announced_tokens));
  } else if (delivered_checkpoint_ < end + shape_.block_tokens) {
    resumed = std::max<uint64_t>(resumed, delivered_checkpoint_);
  }
  return clamp_tokens(std::min<uint64_t>(resumed, record_.prompt_tokens));
}

TurnRecord Turn::close() const {
  TurnRecord record = record_;
  if (record.how == ResumedHow::kUnsaid) record.resumed_tokens = implied_resume();
  record.replayed_tokens = std::min(record.replayed_tokens, record.resumed_tokens);
  record.hit_tokens = record.resumed_tokens - record.replayed_tokens;
  record.missed_tokens = record.prompt_tokens - record.resumed_tokens;
  const uint64_t asked = asked_.count() * shape_.block_tokens + asked_tail_tokens_;
  const uint64_t delivered = delivered_.count() * shape_.block_tokens + delivered_tail_tokens_;
  record.undelivered_tokens = asked - std::min(asked, delivered);
  return record;
}

}  // namespace quire::server
