#include "server/control/locate_verb.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace quire::server {

using model::ClusterAnswer;
using model::Errc;
using model::LocateReply;
using model::make_error;
using model::Result;
using model::TierId;

bool LocateVerb::may_ask(const VerbCall& call, const cache::Root& root) const {
  const Connection& connection = call.connection;
  if (call.roles.has(model::VerbRole::kReader)) return true;
  // A shared namespace has no tenant.
  return root.key.domain == connection.domain &&
         (root.key.tenant.empty() || parts_.speaks_for(connection.peer().uid, root.key.tenant));
}

Result<LocateReply> LocateVerb::here(model::RootId root,
                                     const std::vector<model::Hash256>& chain) const {
  const auto found = QUIRE_TRY(
      parts_.cache->reader().locate(root, {chain.data(), static_cast<uint32_t>(chain.size())}));
  LocateReply reply;
  reply.root_known = 1;
  reply.span_tokens = found.span_tokens;
  reply.exact_tokens = found.exact_tokens;
  reply.load_estimate_us = found.load_estimate_us;
  reply.tier_tokens = found.tokens.of;
  return reply;
}

// What the cluster has beyond what is here it alone would deliver.
void LocateVerb::add(LocateReply& reply, const cache::Root& root,
                     const tiering::ChainLooks::Answer& found) const {
  const cache::KnownLayout& known = *root.layout;
  const uint32_t unit_tokens = known.layout.unit_tokens;
  const uint32_t span_tokens = found.span_units * unit_tokens;
  cache::TierBytes bytes{};
  if (span_tokens > reply.span_tokens) {
    const uint32_t more = span_tokens - reply.span_tokens;
    bytes[TierId::kCluster] +=
        more / known.layout.block_tokens * tiering::object_bytes(known.span_plan);
    reply.tier_tokens[model::index_of(TierId::kCluster)] += more;
    reply.span_tokens = span_tokens;
    if (!known.needs_checkpoint) reply.exact_tokens = span_tokens;
  }
  const uint32_t checkpoint_tokens = found.checkpoint_units * unit_tokens;
  if (known.needs_checkpoint && checkpoint_tokens > reply.exact_tokens) {
    reply.exact_tokens = checkpoint_tokens;
    bytes[TierId::kCluster] += tiering::object_bytes(known.checkpoint_plan);
  }
  const uint64_t us = reply.load_estimate_us + parts_.tiers->loads().estimate_us(bytes);
  reply.load_estimate_us = static_cast<uint32_t>(std::min<uint64_t>(us, UINT32_MAX));
}

Result<void> LocateVerb::locate(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::LocateRequest>(call.payload));
  const std::string_view hashes = call.payload.substr(sizeof(request));
  if (request.unit_count == 0 || hashes.size() != request.unit_count * sizeof(model::Hash256)) {
    return make_error(Errc::kInvalidArgument, "as many chain hashes as units must be given");
  }
  if (request.cluster_wait_ms > model::kMaxLocateWaitMs) {
    return make_error(Errc::kInvalidArgument, "the cluster is waited for 10,000 ms at most");
  }
  const auto id = parts_.cache->names().find_root(request.root);
  if (!id || !may_ask(call, parts_.cache->names().root(*id))) {
    call.reply(model::struct_bytes(LocateReply{}));
    return {};
  }
  std::vector<model::Hash256> chain(request.unit_count);  // the payload lies anywhere
  std::memcpy(chain.data(), hashes.data(), hashes.size());
  LocateReply reply = QUIRE_TRY(here(*id, chain));
  if (request.cluster_wait_ms > 0) {
    const uint64_t tag = ++last_tag_;
    const auto asked = parts_.tiers == nullptr
                           ? make_error(Errc::kIoError, "there is no tier below RAM")
                           : parts_.tiers->looks().ask(tag, call.connection.peer().uid, *id,
                                                       {chain.data(), request.unit_count});
    if (asked.ok()) {
      waiting_.push_back({.tag = tag,
                          .connection = &call.connection,
                          .sequence = call.sequence,
                          .root = request.root,
                          .chain = std::move(chain),
                          .until_ns = parts_.clock->now_ns() +
                                      int64_t{request.cluster_wait_ms} * model::kNsPerMs});
      return {};
    }
    if (asked.code() == Errc::kBusy) return asked;
    reply.cluster = ClusterAnswer::kUnavailable;
  }
  call.reply(model::struct_bytes(reply));
  return {};
}

// `found`: null where it came too late.
void LocateVerb::answer(const Waiting& waiting, const tiering::ChainLooks::Answer* found) {
  const auto id = parts_.cache->names().find_root(waiting.root);
  Result<LocateReply> reply = id ? here(*id, waiting.chain) : LocateReply{};
  if (!reply.ok()) {
    waiting.connection->send_error(model::FrameType::kLocate, waiting.sequence, reply.error());
    return;
  }
  reply->cluster = found == nullptr   ? ClusterAnswer::kTooLate
                   : found->cut_short ? ClusterAnswer::kUnavailable
                                      : ClusterAnswer::kAnswered;
  if (id && found != nullptr) add(*reply, parts_.cache->names().root(*id), *found);
  waiting.connection->send(model::FrameType::kLocate, true, waiting.sequence,
                           model::struct_bytes(*reply));
}

void LocateVerb::step() {
  if (waiting_.empty()) return;
  const int64_t now = parts_.clock->now_ns();
  const auto answers = std::exchange(parts_.tiers->looks().answered(), {});
  std::vector<Waiting> left;
  // A reply may end its connection, whose other questions are forgotten meanwhile: so the list is
  // never walked while one is sent.
  std::vector<std::pair<Waiting, const tiering::ChainLooks::Answer*>> due;
  for (Waiting& one : waiting_) {
    const auto found = std::find_if(answers.begin(), answers.end(),
                                    [&](const auto& answer) { return answer.tag == one.tag; });
    if (found != answers.end()) {
      due.emplace_back(std::move(one), &*found);
    } else if (now >= one.until_ns) {
      parts_.tiers->looks().leave(one.tag);
      due.emplace_back(std::move(one), nullptr);
    } else {
      left.push_back(std::move(one));
    }
  }
  waiting_ = std::move(left);
  for (const auto& [one, found] : due) {
    if (!one.connection->ended()) answer(one, found);
  }
}

void LocateVerb::forget(const Connection& connection) {
  std::erase_if(waiting_, [&](const Waiting& one) {
    if (one.connection != &connection) return false;
    parts_.tiers->looks().leave(one.tag);
    return true;
  });
}

}  // namespace quire::server
