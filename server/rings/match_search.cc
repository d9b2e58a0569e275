#include "server/rings/match_search.h"

#include <algorithm>

#include "model/boundary.h"

namespace quire::server {

MatchSearch::Range MatchSearch::range_of(Attachment& attachment,
                                         const model::MatchArgs& args) const {
  const model::RootId id = attachment.session().cached.root;
  const cache::Root& root = parts_.cache->names().root(id);
  // The client's word, which the caller has compared with the area that the hashes lie in.
  const uint32_t units =
      std::min(args.unit_count, args.prompt_tokens / root.layout->layout.unit_tokens);
  return {
      .known_units = parts_.cache->reader().known_units(id, attachment.lane().chain().first(units)),
      .all_units = units};
}

std::optional<Wait> MatchSearch::wanted(Attachment& attachment, const model::Submission& submission,
                                        PendingId id) const {
  const SearchOptions& options = parts_.options;
  if (id.valid() && parts_.requests->table().request(id).deadline_ns == kNoDeadline) {
    return std::nullopt;
  }
  if (options.budget_ms == 0 || parts_.tiers == nullptr || !parts_.tiers->searches().can_ask()) {
    return std::nullopt;
  }
  const model::MatchArgs& args = submission.args.match;
  const cache::Root& root = parts_.cache->names().root(attachment.session().cached.root);
  if (args.unit_count > attachment.lane().shape().max_units || root.dead) return std::nullopt;
  const Range range = range_of(attachment, args);
  const uint32_t unit_tokens = root.layout->layout.unit_tokens;
  // What the engine holds itself it does not ask for.
  const uint32_t from = std::max(range.known_units, args.have_tokens / unit_tokens);
  const uint32_t end = model::block_floor_units(range.all_units, root.layout->units_per_block);
  const bool worth_it =
      end > from && uint64_t{end - from} * unit_tokens >= std::max(options.min_tokens, 1u);
  if (!worth_it) return std::nullopt;
  return Wait{.what = WaitsFor::kSearch,
              .fill = {},
              .until_ns = parts_.clock->now_ns() + options.budget_ms * model::kNsPerMs};
}

void MatchSearch::begin(PendingId id) {
  const PendingRequest& request = parts_.requests->table().request(id);
  Attachment& attachment = *request.attachment;
  const model::MatchArgs& args = request.submission.args.match;
  const Range range = range_of(attachment, args);
  const auto asked =
      parts_.tiers->searches().ask({.tag = id.value,
                                    .root = attachment.session().cached.root,
                                    .chain = attachment.lane().chain().first(range.all_units),
                                    .known_units = range.known_units});
  if (!asked.ok()) parts_.requests->wake(id);
}

void MatchSearch::expire(PendingId id) {
  PendingTable& table = parts_.requests->table();
  const PendingRequest& request = table.request(id);
  const PendingId front = table.front(request.attachment->pending, request.submission.verb);
  if (table.waits(front).what == WaitsFor::kSearch) {
    parts_.tiers->searches().leave(front.value, true);
    parts_.requests->wake(front);
  }
  table.drop_deadlines_to(id);
}

void MatchSearch::end(PendingId id) { parts_.tiers->searches().leave(id.value, false); }

size_t MatchSearch::step() {
  if (parts_.tiers == nullptr) return 0;
  size_t woken = 0;
  for (const uint64_t tag : parts_.tiers->searches().answered()) {
    const PendingId id{tag};
    const PendingTable& table = parts_.requests->table();
    // One that ended meanwhile, or was answered at its deadline.
    if (!table.is_live(id) || table.waits(id).what != WaitsFor::kSearch) continue;
    parts_.requests->wake(id);
    ++woken;
  }
  parts_.tiers->searches().answered().clear();
  return woken;
}

}  // namespace quire::server
