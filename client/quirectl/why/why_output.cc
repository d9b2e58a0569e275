#include "client/quirectl/why/why_output.h"

#include <boost/json.hpp>
#include <cstdint>

#include "client/quirectl/meter/stamp.h"
#include "client/quirectl/whole_document.h"

namespace quire::client {

namespace {

namespace json = boost::json;
using model::Result;

// "1,024".
std::string grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, 1, ',');
  return digits;
}

std::string ago(uint64_t seconds) {
  if (seconds < 120) return std::to_string(seconds) + " s ago";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min ago";
  return std::to_string(seconds / 3600) + " h ago";
}

// An answer, read by key. What is not there is 0 or empty: an older daemon says less.
class Facts {
 public:
  explicit Facts(const json::object& object) : object_(object) {}
  uint64_t number(std::string_view key) const {
    const json::value* value = object_.if_contains(key);
    return value == nullptr ? 0 : value->to_number<uint64_t>();
  }
  std::string text(std::string_view key) const {
    const json::value* value = object_.if_contains(key);
    return value == nullptr ? "" : std::string(value->as_string());
  }
  bool flag(std::string_view key) const {
    const json::value* value = object_.if_contains(key);
    return value != nullptr && value->as_bool();
  }
  bool has(std::string_view key) const { return object_.contains(key); }
  std::string tokens(std::string_view key) const { return grouped(number(key)); }
  // "2026-11-30T10:00:00Z, 5 s ago".
  std::string time(const std::string& what) const {
    return second_text(static_cast<int64_t>(number(what + "_at")) * kSecondUs) + ", " +
           ago(number(what + "_seconds_ago"));
  }

 private:
  const json::object& object_;
};

// In a shared namespace hits are no tenant's.
std::string whose(const std::string& domain, const std::string& tenant) {
  return domain + (tenant.empty() ? " without a tenant" : ", tenant \"" + tenant + '"');
}

std::string asked_text(const Facts& turn) {
  std::string text = "asked      ";
  if (turn.number("request_id") != 0) {
    text += "request " + std::to_string(turn.number("request_id")) + ", ";
  }
  if (turn.has("session")) {
    text += "turn " + std::to_string(turn.number("turn")) + " of session " +
            std::to_string(turn.number("session")) + ", ";
  }
  text += whose(turn.text("domain"), turn.text("tenant")) + ", namespace \"" +
          turn.text("namespace") + "\" epoch " + std::to_string(turn.number("epoch")) + ", " +
          turn.time("asked") + "\n";
  return text + "           " + turn.tokens("prompt_tokens") + " tokens of prompt\n";
}

std::string delivered_text(const Facts& turn) {
  std::string text = "found      " + turn.tokens("hit_tokens") + " tokens to resume from";
  if (turn.number("hit_ssd_tokens") + turn.number("hit_cluster_tokens") > 0) {
    text += " (" + turn.tokens("hit_ram_tokens") + " in RAM, " + turn.tokens("hit_ssd_tokens") +
            " on SSD, " + turn.tokens("hit_cluster_tokens") + " on the cluster)";
  }
  if (turn.number("span_tokens") > turn.number("hit_tokens")) {
    text += "; " + turn.tokens("span_tokens") + " tokens are stored";
  }
  text += "\n";
  if (!turn.has("delivered_tokens")) return text;
  text += "delivered  " + turn.tokens("delivered_tokens") + " tokens";
  if (turn.number("undelivered_tokens") > 0) {
    text += "; " + turn.tokens("undelivered_tokens") + " were asked for and did not come";
  }
  return text + (turn.flag("open") ? "; the turn goes on\n" : "\n");
}

// "tokens 256 to 511".
std::string missing_tokens(const Facts& facts) {
  return "tokens " + facts.tokens("from_token") + " to " + grouped(facts.number("to_token") - 1);
}

std::string eviction_text(const Facts& facts) {
  const std::string cause = facts.text("left_cause");
  const std::string policy = facts.text("left_policy");
  const std::string at = " at " + facts.time("left");
  const std::string tier = facts.text("left_tier");
  if (cause == "operator") return "evicted from " + tier + " by an operator's command" + at;
  if (cause == "other_user") return "evicted" + at + ": their memory became another user's share";
  const std::string who = policy.empty() ? "" : " by policy " + policy;
  const std::string room =
      cause == "quota" ? ", because their owner held all that its quota allows" : ", to make room";
  return "evicted from " + tier + who + at + room;
}

// What became of that which was there once.
std::string departed_text(const Facts& facts) {
  const std::string cause = facts.text("left_cause");
  const std::string at = " at " + facts.time("left");
  if (cause == "superseded") return "superseded" + at + " by a later one of its conversation";
  if (cause == "damaged") return "quarantined" + at + ": a page failed its checksum";
  if (cause == "unreadable") return "quarantined" + at + ": the device could not read it";
  if (cause == "incomplete") return "given up" + at + " before all of its groups were written";
  if (cause == "epoch") return "dropped" + at + " when the namespace moved to a later epoch";
  if (cause == "root_given_up") {
    return "dropped" + at + ": nobody had its namespace open, and room for others was wanted";
  }
  return eviction_text(facts);
}

std::string never_text(const Facts& facts) {
  const std::string what = missing_tokens(facts);
  if (facts.flag("departures_forgotten")) {
    const std::string since =
        facts.has("known_since")
            ? " before " +
                  second_text(static_cast<int64_t>(facts.number("known_since")) * kSecondUs)
            : " longer ago than is remembered";
    return what + " were never stored, or went" + since;
  }
  if (!facts.has("known_since")) return what + " are not stored; what went is not remembered";
  return what + " were never stored, as far back as is remembered: since " +
         second_text(static_cast<int64_t>(facts.number("known_since")) * kSecondUs);
}

std::string checkpoint_text(const Facts& facts) {
  const std::string wanted = facts.tokens("to_token");
  std::string text = "spans reach token " + wanted +
                     ", but no checkpoint lies there: the deepest one before is at token " +
                     facts.tokens("from_token") + ", which cost " + facts.tokens("lost_tokens") +
                     " tokens";
  if (facts.number("from_token") == 0) {
    text = "spans reach token " + wanted + ", but no checkpoint lies on them, which cost all " +
           facts.tokens("lost_tokens") + " tokens";
  }
  if (facts.text("left_cause").empty()) return text;
  return text + "; one at token " + facts.tokens("left_token") + " was " + departed_text(facts);
}

std::string diverge_text(const Facts& facts) {
  const uint64_t agreed = facts.number("agreed_tokens");
  std::string text =
      "the prompt goes on otherwise than what is stored: it agrees up to token " + grouped(agreed);
  if (facts.number("to_token") - agreed > 1) {
    text += " at least, and differs at one of the tokens " + grouped(agreed) + " to " +
            grouped(facts.number("to_token") - 1);
  }
  return text;
}

std::string other_text(const std::string& reason, const Facts& facts) {
  const std::string stored = facts.flag("other_present") ? "is stored" : "was stored";
  std::string text = "the same first block " + stored + " for ";
  if (reason == "tenant_differs") {
    text += whose(facts.text("other_domain"), facts.text("other_tenant")) +
            ": hits do not cross tenants";
  } else if (reason == "layout_differs") {
    text += "another layout: hits do not cross layouts";
  } else if (reason == "salt_differs") {
    text += "another salt: hits do not cross salts";
  } else {
    text += "epoch " + std::to_string(facts.number("other_epoch")) + ": hits do not cross epochs";
  }
  if (facts.text("left_cause").empty()) return text;
  return text + "; it was " + departed_text(facts);
}

std::string epoch_text(const Facts& facts) {
  std::string text = "the namespace moved to a later epoch";
  if (facts.has("present_epoch")) text += ", " + std::to_string(facts.number("present_epoch"));
  return text + ": nothing of this session's epoch can be hit any more; open a new session";
}

std::string group_text(const Facts& facts) {
  std::string text =
      missing_tokens(facts) + " are not whole: missing is group " + facts.text("groups");
  if (facts.text("left_cause").empty()) return text + ", which another process is to write";
  return text + "; the object was " + departed_text(facts);
}

std::string reason_text(const std::string& reason, const Facts& facts, const Facts& turn) {
  if (reason == "nothing_missed") return "nothing was missed: all that can be resumed was found";
  if (reason == "too_short") return "the prompt is too short: no position of it can be resumed";
  if (reason == "not_delivered") {
    return std::string("all was found, but not all of it came: ") +
           (turn.flag("late") ? "a load ended at its deadline" : "a load failed or was given up");
  }
  if (reason == "never_stored") return never_text(facts);
  if (reason == "no_checkpoint") return checkpoint_text(facts);
  if (reason == "tokens_diverge") return diverge_text(facts);
  if (reason == "group_missing") return group_text(facts);
  if (reason == "being_written") return missing_tokens(facts) + " were being written at that time";
  if (reason == "no_hashes") return "the engine gave no hashes of " + missing_tokens(facts);
  if (reason == "tier_unreadable") {
    return missing_tokens(facts) + " are on a tier that could not be read: see quirectl status";
  }
  if (facts.has("other_epoch")) return other_text(reason, facts);
  if (reason == "other_epoch" && !facts.has("left_cause")) return epoch_text(facts);
  if (facts.has("left_cause")) return missing_tokens(facts) + " were " + departed_text(facts);
  return reason;
}

std::string told(const json::object& answer) {
  const Facts whole(answer);
  const Facts facts(answer.at("facts").as_object());
  const Facts turn(answer.at("turn").as_object());
  const std::string reason = whole.text("reason");
  return asked_text(turn) + delivered_text(turn) + "why        " +
         reason_text(reason, facts, turn) + " (" + reason + ")\n";
}

}  // namespace

Result<std::string> why_text(std::string_view text) {
  return read_whole(text, "explanation", told);
}

}  // namespace quire::client
