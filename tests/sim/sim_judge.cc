#include "tests/sim/sim_judge.h"

#include <algorithm>

#include "model/boundary.h"
#include "tiering/io/crc_copy.h"

namespace quire::tests {

using model::FillKind;

void SimCoverage::add(const SimCoverage& other) {
  const auto* from = reinterpret_cast<const uint64_t*>(&other);
  auto* to = reinterpret_cast<uint64_t*>(this);
  for (size_t i = 0; i < sizeof(*this) / sizeof(uint64_t); ++i) to[i] += from[i];
}

void SimJudge::fail(const std::string& what) {
  const uint64_t turn = core_ == nullptr ? 0 : core_->turn_count();
  if (failure_.empty()) failure_ = "turn " + std::to_string(turn) + ": " + what;
}

SimJudge::Place SimJudge::place(uint32_t root, const SimChain& chain, FillKind kind,
                                uint32_t units) const {
  // A rule of its own, so that it can disagree with model/boundary.
  const uint32_t per_block = world_->layout_of(root).units_per_block();
  const uint32_t before = kind == FillKind::kSpan ? units - per_block : units - units % per_block;
  Place place{.key = {root, kind, chain[units - 1]}, .units = units};
  if (before > 0) place.parent = SimKey{root, FillKind::kSpan, chain[before - 1]};
  return place;
}

SimJudge::Object& SimJudge::object_of(const Place& place) {
  Object& object = objects_[place.key];
  object.units = place.units;
  object.parent = place.parent;
  return object;
}

void SimJudge::granted(const Place& place, uint32_t version) {
  Object& object = object_of(place);
  object.versions.push_back(version);
  object.granted_turn = core_->turn_count();
}

void SimJudge::became_visible(const Place& place, bool duplicate) {
  Object& object = object_of(place);
  if (object.versions.empty()) fail("a duplicate of what nobody wrote: " + text_of(place.key));
  ++(duplicate ? coverage_.duplicates : coverage_.commits);
  // What is no duplicate may have been there before, and have gone unseen.
  if (!object.present || !duplicate) object.present_since = core_->turn_count();
  object.present = true;
}

// A name that nobody wrote in this root may be somebody else's (law 13).
void SimJudge::pin(const SimKey& key) {
  const auto found = objects_.find(key);
  if (found == objects_.end()) fail("announced, and nobody wrote it: " + text_of(key));
  ++objects_[key].pins;
}

void SimJudge::unpin(const SimKey& key) {
  Object& object = objects_.at(key);
  if (object.pins == 0) return fail("the simulator unpins what it did not pin");
  --object.pins;
}

void SimJudge::begin_life(SimCore& core) {
  core_ = &core;
  for (auto& [key, object] : objects_) restore(key, object);
  observe();
}

void SimJudge::restore(const SimKey& key, Object& object) {
  object.pins = 0;
  object.present = core_->is_present(key);
  object.present_since = 0;
  object.granted_turn = 0;
  if (object.present) {
    ++coverage_.restored;
    if (!core_->is_durable(key)) fail("restored from nowhere: " + text_of(key));
  } else if (object.was_durable && is_strict()) {
    // Law 8.
    fail("durable, and lost with the daemon: " + text_of(key));
  }
  object.was_durable = false;
}

void SimJudge::end_life() {
  if (!config_->is_durable()) return;
  for (auto& [key, object] : objects_) object.was_durable = is_path_durable(key);
}

bool SimJudge::is_path_durable(const SimKey& key) {
  std::optional<SimKey> next = key;
  while (next) {
    if (!core_->is_durable(*next)) return false;
    const auto found = objects_.find(*next);
    next = found == objects_.end() ? std::nullopt : found->second.parent;
  }
  return true;
}

// Present at `turn`, now, and all the time in between.
bool SimJudge::was_there_since(const SimKey& key, uint64_t turn) {
  const auto found = objects_.find(key);
  if (found == objects_.end() || !found->second.present) return false;
  const Object& object = found->second;
  const bool known = object.present_since <= turn && object.granted_turn <= object.present_since;
  return known && core_->is_present(key);
}

void SimJudge::expect_present(const SimKey& key, const std::string& why) {
  if (config_->may_lose()) return;  // quarantine may have come first
  if (!core_->is_present(key)) fail(why + ", and it is not there: " + text_of(key));
}

void SimJudge::judge_match(uint32_t root, const SimChain& chain, const model::MatchArgs& args,
                           const model::MatchResult& result, uint64_t sent_turn) {
  const model::Layout& layout = world_->layout_of(root);
  const uint32_t per_block = layout.units_per_block();
  const uint32_t known = std::min(args.unit_count, args.prompt_tokens / layout.unit_tokens);
  const uint32_t span = result.span_tokens / layout.unit_tokens;
  const uint32_t exact = result.exact_tokens / layout.unit_tokens;
  if (result.span_tokens % layout.block_tokens != 0 || span > known)
    return fail("a hit of no span");
  if (result.exact_tokens >= std::max(args.prompt_tokens, 1u)) {
    return fail("a hit leaves nothing to compute");
  }
  if ((result.lease == 0) != (span == 0 && exact == 0)) return fail("a lease of nothing, or none");
  uint64_t tokens = 0;
  for (const uint32_t of : result.tokens.of) tokens += of;
  if (tokens != result.exact_tokens) return fail("tokens by tier are not those of the hit");
  coverage_.from_ssd += result.tokens[model::TierId::kSsd];
  coverage_.from_cluster += result.tokens[model::TierId::kCluster];
  for (uint32_t units = per_block; units <= span; units += per_block) {
    expect_present({root, FillKind::kSpan, chain[units - 1]}, "a hit was announced");
  }
  const bool checkpoints = model::needs_checkpoint(layout);
  if (exact > 0 && checkpoints) {
    expect_present({root, FillKind::kCheckpoint, chain[exact - 1]}, "a checkpoint was announced");
    if (exact - exact % per_block > span) return fail("a checkpoint beyond its spans");
  }
  if (!checkpoints && exact > span) return fail("an exact hit beyond its spans");
  if (result.lease != 0) ++coverage_.hits;
  if (!is_strict()) return;
  // The longest: what was there all the time is no miss.
  const uint32_t next = span + per_block;
  if (next <= known && was_there_since({root, FillKind::kSpan, chain[next - 1]}, sent_turn)) {
    return fail("the span behind a hit was there");
  }
  const uint32_t last = (args.prompt_tokens - 1) / layout.unit_tokens;
  for (uint32_t units = exact + 1; checkpoints && units <= std::min(last, known); ++units) {
    if (units - units % per_block > span) break;
    if (was_there_since({root, FillKind::kCheckpoint, chain[units - 1]}, sent_turn)) {
      return fail("a later checkpoint than the one of the hit was there");
    }
  }
}

void SimJudge::judge_known(uint32_t root, const SimChain& chain, uint32_t tokens) {
  const model::Layout& layout = world_->layout_of(root);
  const uint32_t per_block = layout.units_per_block();
  for (uint32_t units = per_block; units * layout.unit_tokens <= tokens; units += per_block) {
    const auto found = objects_.find({root, FillKind::kSpan, chain[units - 1]});
    if (found != objects_.end() && !found->second.versions.empty()) continue;
    return fail("told to be here, and nobody wrote it below root " + std::to_string(root));
  }
}

std::optional<std::span<std::byte>> SimJudge::bytes_of(model::DomainId domain,
                                                       const model::PageDescriptor& page) {
  // A client has mapped its own domain's segments and no others.
  const auto* segment = core_->pool().find_segment(domain, model::SegmentId{page.segment});
  if (segment == nullptr || page.offset + page.bytes > segment->bytes()) {
    fail("a page in no segment of its client's domain");
    return std::nullopt;
  }
  return std::span(segment->data() + page.offset, page.bytes);
}

std::optional<SimPageHead> SimJudge::judge_page(model::DomainId domain,
                                                const model::PageDescriptor& page,
                                                const Wanted& wanted) {
  const auto bytes = bytes_of(domain, page);
  if (!bytes) return std::nullopt;
  const uint64_t page_bytes = world_->layout_of(wanted.key.root).groups[wanted.group].page_bytes;
  if (page.group != wanted.group || page.bytes != page_bytes ||
      (page.flags & 1) != (wanted.checkpoint ? 1 : 0)) {
    fail("a descriptor of another page than was asked for");
    return std::nullopt;
  }
  const SimPageHead head = head_of(*bytes);
  const bool right = head.hash == wanted.key.hash && head.root == wanted.key.root &&
                     head.kind == static_cast<uint8_t>(wanted.key.kind) &&
                     head.group == wanted.group && (head.tail != 0) == wanted.tail;
  if (!right || !is_whole_sim_page(*bytes)) {
    fail("wrong bytes in a page of " + text_of(wanted.key));
    return std::nullopt;
  }
  const auto known = objects_.find(wanted.key);
  const bool written = known != objects_.end() &&
                       std::find(known->second.versions.begin(), known->second.versions.end(),
                                 head.version) != known->second.versions.end();
  if (!written) fail("bytes that no fill ever had, of " + text_of(wanted.key));
  if (tiering::crc32c(bytes->data(), bytes->size()) != page.crc32c) fail("a wrong checksum");
  ++coverage_.pages;
  return head;
}

void SimJudge::judge_held(model::DomainId domain, const model::PageDescriptor& page,
                          const SimPageHead& head) {
  const auto bytes = bytes_of(domain, page);
  if (bytes && !has_sim_ends(*bytes, head)) fail("a page changed under its lease");
}

void SimJudge::vanish(const SimKey& key, Object& object) {
  if (object.pins > 0 && is_strict()) fail("pinned, and gone: " + text_of(key));
  object.present = false;
  ++coverage_.vanished;
}

void SimJudge::observe() {
  for (auto& [key, object] : objects_) {
    if (object.versions.empty()) continue;
    const bool present = core_->is_present(key);
    if (object.present && !present) vanish(key, object);
    if (!object.present && present) {
      object.present = true;
      object.present_since = core_->turn_count();
    }
  }
  // Leaf first: nothing present hangs from something that went.
  for (const auto& [key, object] : objects_) {
    if (!object.present || !object.parent) continue;
    if (!objects_.at(*object.parent).present) {
      return fail("present without the span before it: " + text_of(key));
    }
  }
}

}  // namespace quire::tests
