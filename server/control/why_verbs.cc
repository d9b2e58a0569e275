#include "server/control/why_verbs.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "model/chain_hash.h"
#include "model/wire.h"
#include "server/control/quota_verbs.h"

namespace quire::server {

using model::Errc;
using model::make_error;
using model::Result;
using model::WhyAction;

namespace {

// Which turn is meant.
struct WantedTurn {
  WhyAction action = WhyAction::kLast;
  uint64_t number = 0;
  uint32_t turn = 0;
  std::optional<uint32_t> uid;
  std::optional<model::WireName> tenant;

  bool fits(const RememberedTurn& one) const {
    if (uid && one.uid != *uid) return false;
    if (tenant && one.tenant != *tenant) return false;
    switch (action) {
      case WhyAction::kLast:
        return true;
      case WhyAction::kRequest:
        return one.request_id == number;
      case WhyAction::kSession:
        return one.session == number && (turn == 0 || one.turn == turn);
      case WhyAction::kPrompt:
        break;  // of no turn
    }
    return false;
  }
};

Result<WantedTurn> wanted_turn(const model::WhyRequest& request) {
  if (request.action > static_cast<uint8_t>(WhyAction::kSession)) {
    return make_error(Errc::kInvalidArgument,
                      "action must be 0 (last), 1 (request), 2 (session) or 3 (prompt)");
  }
  WantedTurn wanted{.action = static_cast<WhyAction>(request.action),
                    .number = request.number,
                    .turn = request.turn};
  const std::string_view domain = QUIRE_TRY(model::from_wire_name(request.domain));
  if (!domain.empty()) wanted.uid = QUIRE_TRY(uid_of_domain(domain));
  if (request.of_tenant != 1) return wanted;
  // Padded with zeroes, as the remembered ones are.
  const std::string_view tenant = QUIRE_TRY(model::from_wire_name(request.tenant));
  wanted.tenant = QUIRE_TRY(model::to_wire_name(tenant));
  return wanted;
}

// A prompt as it was given. Its hashes are in memory of the daemon's own.
struct GivenPrompt {
  model::WhyPromptRequest request;
  model::Hash256 root;  // of the user that was checked, whatever the hashes are
  std::vector<model::Hash256> hashes;

  cache::ChainView chain() const { return {hashes.data(), static_cast<uint32_t>(hashes.size())}; }
};

Result<GivenPrompt> given_prompt(std::string_view payload) {
  GivenPrompt prompt{.request = QUIRE_TRY(model::read_struct<model::WhyPromptRequest>(payload)),
                     .root = {},
                     .hashes = {}};
  payload.remove_prefix(sizeof(model::WhyPromptRequest));
  const model::WhyPromptRequest& request = prompt.request;
  // A frame bounds how many there are.
  if (request.unit_count != payload.size() / sizeof(model::Hash256)) {
    return make_error(Errc::kInvalidArgument, "the prompt has not so many hashes as it says");
  }
  if (request.prompt_tokens == 0 || request.unit_tokens == 0 || request.block_units == 0 ||
      request.unit_tokens > model::kMaxUnitTokens || request.block_units > model::kMaxUnits) {
    return make_error(Errc::kInvalidArgument, "the prompt is empty, or its layout's units are");
  }
  prompt.hashes.resize(request.unit_count);
  const std::string_view hashes = payload.substr(0, request.unit_count * sizeof(model::Hash256));
  std::copy(hashes.begin(), hashes.end(), reinterpret_cast<char*>(prompt.hashes.data()));
  return prompt;
}

// Of a root that nobody has: what is known is whether its first block left.
cache::Miss miss_without_root(const cache::DepartureLog* departures, const GivenPrompt& prompt) {
  cache::Miss miss{.reason = cache::MissReason::kNeverStored,
                   .to_units = prompt.request.block_units};
  if (prompt.hashes.size() < prompt.request.block_units) {
    return {.reason = cache::MissReason::kTooShort};
  }
  if (departures == nullptr) return miss;
  const uint64_t print = departures->print_of(prompt.root, cache::NodeKind::kSpan,
                                              prompt.hashes[prompt.request.block_units - 1]);
  miss.forgotten_s = departures->forgotten_s(print);
  const cache::LastDeparture left = departures->find(print);
  if (!left.gone) return miss;
  miss.reason = cache::MissReason::kLeft;
  miss.left = left;
  miss.left_units = miss.to_units;
  return miss;
}

}  // namespace

// The same record as a turn leaves, of now.
Result<void> WhyVerbs::why_prompt(const VerbCall& call, const model::WhyRequest& request) {
  const uint32_t uid = call.connection.peer().uid;
  const Asker asker{.uid = uid, .sees_all = call.roles.has(model::VerbRole::kReader)};
  const std::string_view domain = QUIRE_TRY(model::from_wire_name(request.domain));
  RememberedTurn asked;
  asked.sequence = kNoTurn;
  asked.uid = QUIRE_TRY(uid_of_domain(domain));
  if (!asker.may_see(asked)) {
    return make_error(Errc::kPermissionDenied,
                      "why: a prompt of another user needs a reader (--reader_uids of quired), "
                      "root or the daemon's own uid");
  }
  GivenPrompt prompt = QUIRE_TRY(given_prompt(call.payload.substr(sizeof(model::WhyRequest))));
  prompt.root = model::root_hash(
      {.domain = domain,
       .tenant = QUIRE_TRY(model::from_wire_name(request.tenant)),
       .namespace_name = QUIRE_TRY(model::from_wire_name(prompt.request.namespace_name)),
       .weights_epoch = prompt.request.epoch,
       .layout_digest = prompt.request.layout_digest,
       .salt = QUIRE_TRY(model::from_wire_name(prompt.request.salt))});
  asked.at_ns = parts_.clock->now_ns();
  asked.tenant = request.tenant;
  asked.namespace_name = prompt.request.namespace_name;
  asked.epoch = prompt.request.epoch;
  asked.unit_tokens = prompt.request.unit_tokens;
  asked.root_hash = prompt.root;
  asked.layout_digest = prompt.request.layout_digest.word(0);
  asked.content = prompt.request.content;
  asked.prompt_tokens = prompt.request.prompt_tokens;
  const cache::NamespaceTable& names = parts_.cache->names();
  if (const auto root = names.find_root(prompt.root)) {
    asked.layout = names.root(*root).key.layout;
    asked.unit_tokens = names.root(*root).layout->layout.unit_tokens;
    const cache::Cache::Look look =
        parts_.cache->look(*root, prompt.chain(), prompt.request.prompt_tokens);
    asked.exact_tokens = look.exact_tokens;
    asked.span_tokens = look.span_tokens;
    asked.miss = look.miss;
  } else {
    asked.miss = miss_without_root(parts_.cache->departures(), prompt);
  }
  const MissAnswerParts parts{
      .cache = parts_.cache, .memory = parts_.memory, .clock = parts_.clock};
  parts_.desk->answer(call.connection, call.type, call.sequence,
                      [&](model::MetricSink& sink) { describe_miss(parts, asked, asker, sink); });
  return {};
}

Result<void> WhyVerbs::why(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::WhyRequest>(call.payload));
  if (static_cast<WhyAction>(request.action) == WhyAction::kPrompt) {
    return why_prompt(call, request);
  }
  const WantedTurn wanted = QUIRE_TRY(wanted_turn(request));
  if (parts_.memory == nullptr) {
    return make_error(Errc::kNotFound,
                      "nothing is remembered of turns; start quired with --why_memory");
  }
  const uint32_t uid = call.connection.peer().uid;
  const Asker asker{.uid = uid, .sees_all = call.roles.has(model::VerbRole::kReader)};
  const RememberedTurn* turn = parts_.memory->find_newest(
      [&](const RememberedTurn& one) { return asker.may_see(one) && wanted.fits(one); });
  if (turn == nullptr) {
    return make_error(Errc::kNotFound, "no such turn among the last " +
                                           std::to_string(parts_.memory->capacity()) +
                                           "; --why_memory says how many are remembered");
  }
  const MissAnswerParts parts{
      .cache = parts_.cache, .memory = parts_.memory, .clock = parts_.clock};
  parts_.desk->answer(call.connection, call.type, call.sequence,
                      [&](model::MetricSink& sink) { describe_miss(parts, *turn, asker, sink); });
  return {};
}

}  // namespace quire::server
