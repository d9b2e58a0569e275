#include "server/control/miss_answer.h"

#include <algorithm>
#include <chrono>
#include <string>

namespace quire::server {

using cache::DepartureCause;
using cache::LastDeparture;
using cache::Miss;
using cache::MissReason;

namespace {

constexpr int64_t kNsInSecond = 1'000'000'000;
// Turns with the same content that are looked up in the tree for one answer.
constexpr uint32_t kMostTwins = 64;

uint64_t wall_clock_s() {
  return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch() /
                               std::chrono::seconds(1));
}

std::string_view text_of(const model::WireName& name) {
  return {name.data(), ::strnlen(name.data(), name.size())};
}

// The words of `quirectl why -o json` and of docs/why.md.
std::string_view departed_reason(DepartureCause cause) {
  switch (cause) {
    case DepartureCause::kSuperseded:
      return "superseded";
    case DepartureCause::kDamaged:
    case DepartureCause::kUnreadable:
      return "quarantined";
    case DepartureCause::kIncomplete:
      return "group_missing";
    case DepartureCause::kEpoch:
      return "other_epoch";
    case DepartureCause::kRootGivenUp:
      return "root_given_up";
    default:
      return "evicted";
  }
}

std::string_view reason_of(const Miss& miss) {
  switch (miss.reason) {
    case MissReason::kNothing:
      return "nothing_missed";
    case MissReason::kTooShort:
      return "too_short";
    case MissReason::kNeverStored:
      return "never_stored";
    case MissReason::kLeft:
      return departed_reason(miss.left.cause);
    case MissReason::kDiverged:
      return "tokens_diverge";
    case MissReason::kIncomplete:
      return "group_missing";
    case MissReason::kBeingWritten:
      return "being_written";
    case MissReason::kNoCheckpoint:
      return "no_checkpoint";
    case MissReason::kUnreachable:
      return "tier_unreadable";
    case MissReason::kNoHashes:
      return "no_hashes";
    case MissReason::kStaleEpoch:
      return "other_epoch";
  }
  return "never_stored";
}

std::string_view cause_text(DepartureCause cause) {
  switch (cause) {
    case DepartureCause::kPolicy:
      return "policy";
    case DepartureCause::kQuota:
      return "quota";
    case DepartureCause::kOperator:
      return "operator";
    case DepartureCause::kOtherUser:
      return "other_user";
    case DepartureCause::kSuperseded:
      return "superseded";
    case DepartureCause::kDamaged:
      return "damaged";
    case DepartureCause::kUnreadable:
      return "unreadable";
    case DepartureCause::kIncomplete:
      return "incomplete";
    case DepartureCause::kEpoch:
      return "epoch";
    case DepartureCause::kRootGivenUp:
      return "root_given_up";
    case DepartureCause::kRenewed:
      return "renewed";
    case DepartureCause::kNone:
      break;
  }
  return "";
}

// The same content under another root.
struct Twin {
  const RememberedTurn* turn = nullptr;
  LastDeparture left;  // at_s 0: it is there
};

class MissAnswer {
 public:
  MissAnswer(const MissAnswerParts& parts, const RememberedTurn& turn, const Asker& asker)
      : parts_(parts), turn_(turn), asker_(asker), now_ns_(parts.clock->now_ns()) {}

  void describe(model::MetricSink& sink) const {
    const Miss& miss = turn_.miss;
    const Twin twin =
        miss.reason == MissReason::kNeverStored && miss.from_units == 0 ? find_twin() : Twin{};
    sink.text("reason", reason(twin));
    {
      const auto section = sink.section("facts");
      describe_place(sink);
      if (miss.groups != 0 || miss.left.cause == DepartureCause::kIncomplete) describe_groups(sink);
      if (miss.left.known()) describe_left(miss.left, miss.left_units, sink);
      if (twin.turn != nullptr) describe_twin(twin, sink);
      if (miss.reason == MissReason::kStaleEpoch) describe_epoch(sink);
      describe_memory(sink);
    }
    const auto section = sink.section("turn");
    describe_turn(sink);
  }

 private:
  std::string_view reason(const Twin& twin) const {
    if (twin.turn != nullptr) {
      if (!same_tenant(*twin.turn)) return "tenant_differs";
      if (twin.turn->epoch != turn_.epoch) return "other_epoch";
      return twin.turn->layout_digest != turn_.layout_digest ? "layout_differs" : "salt_differs";
    }
    // All was found, and then not all of it came.
    const bool whole = turn_.miss.reason == MissReason::kNothing;
    return whole && turn_.undelivered_tokens > 0 ? "not_delivered" : reason_of(turn_.miss);
  }

  bool same_tenant(const RememberedTurn& other) const {
    return other.uid == turn_.uid && other.tenant == turn_.tenant;
  }

  // An earlier turn that began alike under another root of the namespace, whose first block was
  // there. The closest one: of the same tenant first.
  Twin find_twin() const {
    Twin best;
    int best_rank = 0;
    uint32_t looked_up = 0;
    if (turn_.content == 0 || parts_.memory == nullptr) return best;
    parts_.memory->find_newest([&](const RememberedTurn& other) {
      if (other.content != turn_.content || other.sequence >= turn_.sequence) return false;
      if (!asker_.may_see(other) || other.namespace_name != turn_.namespace_name) return false;
      if (other.root_hash == turn_.root_hash) return false;
      const int rank = same_tenant(other) ? 3 : other.uid == turn_.uid ? 2 : 1;
      if (rank <= best_rank) return false;
      if (++looked_up > kMostTwins) return true;
      const LastDeparture left = departure_of(other);
      if (!left.known() && !is_there(other)) return false;
      best = {&other, left};
      best_rank = rank;
      return best_rank == 3;
    });
    return best;
  }

  bool is_there(const RememberedTurn& other) const {
    const cache::Root& root = parts_.cache->names().root(other.root);
    if (!root.in_use || !(root.hash == other.root_hash)) return false;
    return parts_.cache->store()
        .tree()
        .find(other.root, cache::NodeKind::kSpan, other.first_block)
        .has_value();
  }

  // Known only where it was there when this turn asked, or went because of the epoch.
  LastDeparture departure_of(const RememberedTurn& other) const {
    const cache::DepartureLog* departures = parts_.cache->departures();
    if (departures == nullptr || is_there(other)) return {};
    const LastDeparture left = departures->find(
        departures->print_of(other.root_hash, cache::NodeKind::kSpan, other.first_block));
    const bool later = left.at_s > static_cast<uint64_t>(turn_.at_ns / kNsInSecond);
    return left.gone && (later || left.cause == DepartureCause::kEpoch) ? left : LastDeparture{};
  }

  uint64_t seconds_since(int64_t at_ns) const {
    return static_cast<uint64_t>(std::max<int64_t>(now_ns_ - at_ns, 0) / kNsInSecond);
  }
  // Of a second of the log of departures.
  uint64_t seconds_since_departure(uint32_t at_s) const {
    return at_s == 0 ? 0 : seconds_since((int64_t{at_s} - 1) * kNsInSecond);
  }

  void describe_place(model::MetricSink& sink) const {
    const Miss& miss = turn_.miss;
    if (miss.to_units <= miss.from_units) return;
    sink.gauge("from_token", uint64_t{miss.from_units} * turn_.unit_tokens,
               "The first token that was not found");
    sink.gauge("to_token", uint64_t{miss.to_units} * turn_.unit_tokens,
               "Where what was not found ends");
    if (miss.reason == MissReason::kNoCheckpoint) {
      sink.gauge("lost_tokens", uint64_t{miss.to_units - miss.from_units} * turn_.unit_tokens,
                 "Tokens that are stored, and cannot be resumed from");
    }
    if (miss.reason == MissReason::kDiverged) {
      sink.gauge("agreed_tokens", uint64_t{miss.agreed_units} * turn_.unit_tokens,
                 "So far at least the prompt agrees with what is stored");
    }
  }

  // By name where the layout is still known.
  void describe_groups(model::MetricSink& sink) const {
    model::GroupMask groups = turn_.miss.groups;
    if (groups == 0) groups = model::GroupMask{1} << turn_.miss.left.group;
    const cache::KnownLayout* layout = parts_.cache->layouts().find(turn_.layout);
    const bool known = layout != nullptr && layout->digest.word(0) == turn_.layout_digest;
    std::string names;
    for (size_t group = 0; group < model::kMaxGroups; ++group) {
      if ((groups >> group & 1) == 0) continue;
      names += names.empty() ? "" : ",";
      names += known && group < layout->layout.groups.size() ? layout->layout.groups[group].name
                                                             : std::to_string(group);
    }
    sink.text("groups", names);
  }

  void describe_left(const LastDeparture& left, uint32_t end_units, model::MetricSink& sink) const {
    sink.text("left_cause", cause_text(left.cause));
    sink.text("left_tier", model::tier_name(left.tier));
    if (!left.policy.empty()) sink.text("left_policy", left.policy);
    const uint64_t ago_s = seconds_since_departure(left.at_s);
    sink.gauge("left_at", wall_clock_s() - ago_s, "When it went, in seconds of Unix time");
    sink.gauge("left_seconds_ago", ago_s, "The same, before now");
    if (end_units == 0) return;
    sink.gauge("left_token", uint64_t{end_units} * turn_.unit_tokens, "Where what went ended");
  }

  void describe_twin(const Twin& twin, model::MetricSink& sink) const {
    const RememberedTurn& other = *twin.turn;
    sink.text("other_domain", "uid:" + std::to_string(other.uid));
    sink.text("other_tenant", text_of(other.tenant));
    sink.gauge("other_epoch", other.epoch, "Weights epoch under which it was stored");
    sink.flag("other_present", !twin.left.known(), "It is there still, for that one");
    if (twin.left.known()) describe_left(twin.left, 0, sink);
  }

  void describe_epoch(model::MetricSink& sink) const {
    const cache::Root& root = parts_.cache->names().root(turn_.root);
    if (!root.in_use || !(root.hash == turn_.root_hash)) return;
    sink.gauge("present_epoch", parts_.cache->names().present_epoch(root.key),
               "Weights epoch that the namespace is at");
  }

  // When it was that others' departures took the place of older ones is for who sees all: it
  // tells what others do.
  void describe_memory(model::MetricSink& sink) const {
    const cache::DepartureLog* departures = parts_.cache->departures();
    if (departures == nullptr) return;
    const uint32_t forgotten_s = turn_.miss.forgotten_s;
    sink.flag("departures_forgotten", forgotten_s != 0,
              "What went before known_since may be forgotten");
    if (forgotten_s != 0 && !asker_.sees_all) return;
    // What was forgotten may be of any part of its second.
    const uint32_t since_s = forgotten_s != 0 ? forgotten_s + 1 : departures->begun_s();
    sink.gauge("known_since", wall_clock_s() - seconds_since_departure(since_s),
               "What went since then is remembered, in seconds of Unix time");
  }

  void describe_turn(model::MetricSink& sink) const {
    if (turn_.sequence != kNoTurn) {
      sink.gauge("request_id", turn_.request_id, "The engine's number of it; 0: it gave none");
      sink.gauge("session", turn_.session, "Its session");
      sink.gauge("turn", turn_.turn, "Its number in the session");
      sink.gauge("conversation", turn_.conversation, "The engine's number of the conversation");
    }
    sink.text("domain", "uid:" + std::to_string(turn_.uid));
    sink.text("tenant", text_of(turn_.tenant));
    sink.text("namespace", text_of(turn_.namespace_name));
    sink.gauge("epoch", turn_.epoch, "Weights epoch of its namespace");
    const uint64_t ago_s = seconds_since(turn_.at_ns);
    sink.gauge("asked_at", wall_clock_s() - ago_s, "When it asked, in seconds of Unix time");
    sink.gauge("asked_seconds_ago", ago_s, "The same, before now");
    sink.gauge("prompt_tokens", turn_.prompt_tokens, "Tokens of its prompt");
    sink.gauge("hit_tokens", turn_.exact_tokens, "Tokens that it could resume from");
    sink.gauge("span_tokens", turn_.span_tokens, "Tokens whose spans were present");
    if (turn_.sequence == kNoTurn) return;
    sink.gauge("hit_ram_tokens", turn_.announced[model::TierId::kRam], "Of these, in RAM");
    sink.gauge("hit_ssd_tokens", turn_.announced[model::TierId::kSsd], "Of these, on SSD");
    sink.gauge("hit_cluster_tokens", turn_.announced[model::TierId::kCluster],
               "Of these, on the cluster");
    uint64_t delivered = 0;
    for (const uint32_t tokens : turn_.delivered.of) delivered += tokens;
    sink.gauge("delivered_tokens", delivered, "Tokens that loads brought");
    sink.gauge("undelivered_tokens", turn_.undelivered_tokens,
               "Tokens that loads were asked for and did not bring");
    sink.flag("late", turn_.late, "A load of it ended at its deadline");
    sink.flag("open", turn_.open, "It goes on: more may be delivered");
  }

  const MissAnswerParts& parts_;
  const RememberedTurn& turn_;
  const Asker asker_;
  const int64_t now_ns_;
};

}  // namespace

void describe_miss(const MissAnswerParts& parts, const RememberedTurn& turn, const Asker& asker,
                   model::MetricSink& sink) {
  MissAnswer(parts, turn, asker).describe(sink);
}

}  // namespace quire::server
