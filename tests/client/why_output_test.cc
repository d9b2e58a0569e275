#include "client/quirectl/why/why_output.h"

#include <gtest/gtest.h>

#include <string>

namespace quire::client::why_output_test {
namespace {

using model::Errc;

const std::string kTurn =
    R"("turn":{"request_id":7,"session":3,"turn":2,"conversation":0,"domain":"uid:1000",)"
    R"("tenant":"acme","namespace":"v4","epoch":1,"asked_at":1000,"asked_seconds_ago":5,)"
    R"("prompt_tokens":4096,"hit_tokens":1024,"hit_ram_tokens":768,"hit_ssd_tokens":192,"hit_cluster_tokens":64,)"
    R"("span_tokens":2048,"delivered_tokens":512,"undelivered_tokens":512,"late":true,"open":true})";

std::string told(const std::string& reason, const std::string& facts) {
  const auto text =
      why_text(R"({"reason":")" + reason + R"(","facts":{)" + facts + "}," + kTurn + "}");
  return text.ok() ? *text : text.error().text;
}

// The line of the reason alone.
std::string sentence(const std::string& reason, const std::string& facts) {
  const std::string text = told(reason, facts);
  const size_t at = text.find("why        ");
  return at == std::string::npos ? text : text.substr(at + 11);
}

const std::string kPlace = R"("from_token":1024,"to_token":1280)";
const std::string kLru =
    R"("left_cause":"policy","left_tier":"ram","left_policy":"lru","left_at":990,"left_seconds_ago":15)";

TEST(WhyOutput, SaysWhatWasAskedFoundAndDelivered) {
  EXPECT_EQ(
      told("evicted", kPlace + "," + kLru),
      "asked      request 7, turn 2 of session 3, uid:1000, tenant \"acme\", namespace \"v4\" "
      "epoch 1, 1970-01-01T00:16:40Z, 5 s ago\n"
      "           4,096 tokens of prompt\n"
      "found      1,024 tokens to resume from (768 in RAM, 192 on SSD, 64 on the cluster); 2,048 "
      "tokens are "
      "stored\n"
      "delivered  512 tokens; 512 were asked for and did not come; the turn goes on\n"
      "why        tokens 1,024 to 1,279 were evicted from ram by policy lru at "
      "1970-01-01T00:16:30Z, 15 s ago, to make room (evicted)\n");
}

TEST(WhyOutput, NeverStoredSaysSinceWhenItWouldBeKnown) {
  EXPECT_EQ(sentence("never_stored", kPlace + R"(,"departures_forgotten":false,"known_since":900)"),
            "tokens 1,024 to 1,279 were never stored, as far back as is remembered: since "
            "1970-01-01T00:15:00Z (never_stored)\n");
  EXPECT_EQ(sentence("never_stored", kPlace + R"(,"departures_forgotten":true,"known_since":900)"),
            "tokens 1,024 to 1,279 were never stored, or went before 1970-01-01T00:15:00Z "
            "(never_stored)\n");
  EXPECT_EQ(sentence("never_stored", kPlace + R"(,"departures_forgotten":true)"),
            "tokens 1,024 to 1,279 were never stored, or went longer ago than is remembered "
            "(never_stored)\n");
}

TEST(WhyOutput, NoCheckpointSaysWhatItCost) {
  const std::string place = R"("from_token":1024,"to_token":2048,"lost_tokens":1024)";
  EXPECT_EQ(sentence("no_checkpoint", place),
            "spans reach token 2,048, but no checkpoint lies there: the deepest one before is at "
            "token 1,024, which cost 1,024 tokens (no_checkpoint)\n");
  EXPECT_EQ(sentence("no_checkpoint",
                     place + R"(,"left_token":1920,"left_cause":"superseded","left_tier":"ram",)"
                             R"("left_at":990,"left_seconds_ago":300)"),
            "spans reach token 2,048, but no checkpoint lies there: the deepest one before is at "
            "token 1,024, which cost 1,024 tokens; one at token 1,920 was superseded at "
            "1970-01-01T00:16:30Z, 5 min ago by a later one of its conversation (no_checkpoint)\n");
}

TEST(WhyOutput, DivergenceSaysWhere) {
  EXPECT_EQ(sentence("tokens_diverge", kPlace + R"(,"agreed_tokens":1152)"),
            "the prompt goes on otherwise than what is stored: it agrees up to token 1,152 at "
            "least, and differs at one of the tokens 1,152 to 1,279 (tokens_diverge)\n");
}

TEST(WhyOutput, OtherRootsAreNamed) {
  const std::string other =
      R"("other_domain":"uid:7","other_tenant":"b","other_epoch":4,"other_present":true)";
  EXPECT_EQ(sentence("tenant_differs", other),
            "the same first block is stored for uid:7, tenant \"b\": hits do not cross tenants "
            "(tenant_differs)\n");
  EXPECT_EQ(sentence("other_epoch", other),
            "the same first block is stored for epoch 4: hits do not cross epochs (other_epoch)\n");
  EXPECT_EQ(
      sentence("other_epoch", R"("present_epoch":5)"),
      "the namespace moved to a later epoch, 5: nothing of this session's epoch can be hit any "
      "more; open a new session (other_epoch)\n");
}

// What may be the reason of each: a cause that has no sentence of its own would read as an
// eviction.
TEST(WhyOutput, EachCauseOfADepartureHasItsSentence) {
  const auto left = [](const std::string& cause) {
    return kPlace + R"(,"groups":"global.1","left_cause":")" + cause +
           R"(","left_tier":"ssd","left_at":990,"left_seconds_ago":15)";
  };
  EXPECT_NE(sentence("quarantined", left("damaged")).find("checksum"), std::string::npos);
  EXPECT_NE(sentence("quarantined", left("unreadable")).find("could not read"), std::string::npos);
  EXPECT_NE(sentence("evicted", left("operator")).find("operator's command"), std::string::npos);
  EXPECT_NE(sentence("evicted", left("other_user")).find("another user"), std::string::npos);
  EXPECT_NE(sentence("evicted", left("quota")).find("quota"), std::string::npos);
  EXPECT_NE(sentence("superseded", left("superseded")).find("superseded at"), std::string::npos);
  EXPECT_NE(sentence("root_given_up", left("root_given_up")).find("room for others"),
            std::string::npos);
  EXPECT_NE(sentence("group_missing", left("incomplete")).find("missing is group global.1"),
            std::string::npos);
}

TEST(WhyOutput, ReasonOfANewerDaemonIsGivenByItsWord) {
  EXPECT_EQ(sentence("moonlight", ""), "moonlight (moonlight)\n");
}

TEST(WhyOutput, WhatIsNoAnswerIsRefused) {
  for (const std::string_view text : {"", "[]", "{}", R"({"reason":1})", R"({"reason":"evicted"})",
                                      R"({"reason":"evicted","facts":{},"turn":3})"}) {
    EXPECT_EQ(why_text(text).code(), Errc::kMalformedFrame) << text;
  }
}

}  // namespace
}  // namespace quire::client::why_output_test
