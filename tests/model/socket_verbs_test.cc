#include "model/socket_verbs.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "model/ring_frames.h"

namespace quire::model::socket_verbs_test {
namespace {

TEST(SocketVerbs, EveryFrameOfAClientIsThereOnceAndNoOther) {
  std::set<FrameType> types;
  for (const SocketVerb& verb : kSocketVerbs) {
    EXPECT_TRUE(types.insert(verb.type).second) << verb.name;
    EXPECT_EQ(find_verb(verb.type), &verb);
  }
  for (uint32_t type = 0; type <= 0xffff; ++type) {
    const bool of_client = type >= static_cast<uint32_t>(FrameType::kHello) &&
                           type <= static_cast<uint32_t>(FrameType::kHandOver);
    EXPECT_EQ(find_verb(static_cast<FrameType>(type)) != nullptr, of_client) << type;
  }
}

// Both are one label of request durations.
TEST(SocketVerbs, NoneHasTheNameOfARequestOfARing) {
  std::set<std::string_view> names;
  for (const SocketVerb& verb : kSocketVerbs) names.insert(verb.name);
  for (uint16_t verb = 0; verb < kVerbCount; ++verb) {
    EXPECT_TRUE(names.insert(verb_name(static_cast<Verb>(verb))).second) << verb;
  }
}

TEST(SocketVerbs, EventsOfTheDaemonAndRepliesAreNone) {
  EXPECT_EQ(find_verb(FrameType::kSegmentRetired), nullptr);
  EXPECT_EQ(find_verb(FrameType::kSessionEnded), nullptr);
  for (const SocketVerb& verb : kSocketVerbs) {
    EXPECT_EQ(static_cast<uint16_t>(verb.type) & kReplyBit, 0) << verb.name;
  }
}

constexpr PeerRoles kReader{.reader = true};
constexpr PeerRoles kMeter{.meter = true};
constexpr PeerRoles kAdministrator{.administrator = true};

// A request of this verb whose action byte has this value.
std::string asking(const SocketVerb& verb, uint8_t action) {
  std::string payload(verb.codec.request_bytes, '\0');
  payload.at(verb.codec.action_offset) = static_cast<char>(action);
  return payload;
}

TEST(SocketVerbs, TheActionByteDecidesWhichRoleItTakes) {
  const SocketVerb& policy = *find_verb(FrameType::kPolicy);
  const VerbAction* show = find_action(policy.codec, asking(policy, 0));
  const VerbAction* set = find_action(policy.codec, asking(policy, 1));
  ASSERT_TRUE(show != nullptr && set != nullptr);
  EXPECT_TRUE(authorise(policy, show, kReader).ok());
  EXPECT_EQ(authorise(policy, set, kReader).error().text,
            "policy set needs root or the daemon's own uid");
  EXPECT_EQ(authorise(policy, show, {}).error().text,
            "policy show needs a reader (--reader_uids of quired), root or the daemon's own uid");
  EXPECT_EQ(authorise(policy, show, kMeter).code(), Errc::kPermissionDenied);
}

TEST(SocketVerbs, AnActionThatIsNoneAndOneThatIsNotThereAreTheRows) {
  const SocketVerb& evict = *find_verb(FrameType::kEvict);
  EXPECT_EQ(find_action(evict.codec, asking(evict, 77)), nullptr);
  EXPECT_EQ(find_action(evict.codec, ""), nullptr);
  EXPECT_EQ(authorise(evict, nullptr, kReader).error().text,
            "evict needs root or the daemon's own uid");
  EXPECT_TRUE(authorise(evict, nullptr, kAdministrator).ok());
}

TEST(SocketVerbs, ReadersChangeNothingAndMetersReadReceiptsAlone) {
  for (const SocketVerb& verb : kSocketVerbs) {
    for (const VerbAction& action : verb.codec.actions) {
      EXPECT_TRUE(authorise(verb, &action, kAdministrator).ok());
      EXPECT_FALSE(action.audited && authorise(verb, &action, kReader).ok()) << action.name;
      EXPECT_EQ(authorise(verb, &action, kMeter).ok(),
                verb.type == FrameType::kMeter || action.role == VerbRole::kClient);
    }
  }
}

TEST(SocketVerbs, WhatEnginesNeedIsForEveryClient) {
  for (const FrameType type :
       {FrameType::kRegisterLayout, FrameType::kOpenSession, FrameType::kJoinSession,
        FrameType::kCloseSession, FrameType::kMapSegment, FrameType::kUnmappedSegment,
        FrameType::kPing, FrameType::kStatus, FrameType::kMakeStaging, FrameType::kHandOver}) {
    EXPECT_EQ(find_verb(type)->role, VerbRole::kClient);
    EXPECT_TRUE(authorise(*find_verb(type), nullptr, {}).ok());
  }
  EXPECT_EQ(find_verb(FrameType::kHello)->role, VerbRole::kAnyone);
}

TEST(SocketVerbs, CodecsStayWithinTheirRequests) {
  for (const SocketVerb& verb : kSocketVerbs) {
    const VerbCodec& codec = verb.codec;
    if (codec.action_offset != VerbCodec::kNoByte) {
      EXPECT_LT(codec.action_offset, codec.request_bytes) << verb.name;
    }
    std::set<uint8_t> values;
    for (const VerbAction& action : codec.actions) {
      EXPECT_TRUE(values.insert(action.value).second) << verb.name;
      EXPECT_NE(action.role, VerbRole::kAnyone) << verb.name;
    }
    for (const VerbArgument& argument : codec.arguments) {
      EXPECT_LT(argument.offset, codec.request_bytes) << argument.name;
    }
  }
}

TEST(SocketVerbs, ArgumentsAreLogfmtWhateverWasSent) {
  const SocketVerb& verb = *find_verb(FrameType::kQuota);
  QuotaRequest request;
  request.action = static_cast<uint8_t>(QuotaAction::kSet);
  request.tier = 9;
  request.of_tenant = 1;
  request.guaranteed_bytes = 5;
  request.domain.fill('x');  // nothing ends it
  request.tenant = *to_wire_name("a \"b\" c=d");
  const std::string_view payload = struct_bytes(request);
  EXPECT_EQ(arguments_text(verb.codec, find_action(verb.codec, payload), payload),
            " tier=9 domain=" + std::string(64, 'x') +
                R"( tenant="a \"b\" c=d" guaranteed_bytes=5 burst_bytes=none weight=1)");
  EXPECT_EQ(arguments_text(verb.codec, find_action(verb.codec, payload), payload.substr(0, 4)),
            " tier=9")
      << "of what did not come whole, what did";
}

TEST(SocketVerbs, WhatAnActionDoesNotReadIsNotItsArgument) {
  const SocketVerb& verb = *find_verb(FrameType::kPolicy);
  PolicyRequest request;
  request.policy = *to_wire_name("arc");
  const auto text = [&](PolicyAction action) {
    request.action = static_cast<uint8_t>(action);
    const std::string_view payload = struct_bytes(request);
    return arguments_text(verb.codec, find_action(verb.codec, payload), payload);
  };
  EXPECT_EQ(text(PolicyAction::kShow), "");
  EXPECT_EQ(text(PolicyAction::kSet), " tier=ram domain=* policy=arc");
  EXPECT_EQ(text(PolicyAction::kSetCheckpoints), " domain=* policy=arc");
}

TEST(SocketVerbs, OnlyWhatTakesSomethingAwayIsDestructive) {
  for (const SocketVerb& verb : kSocketVerbs) {
    const bool takes = verb.type == FrameType::kEvict || verb.type == FrameType::kKept;
    EXPECT_EQ(verb.destructive, takes) << verb.name;
    EXPECT_FALSE(verb.destructive && verb.role != VerbRole::kAdministrator) << verb.name;
  }
}

TEST(SocketVerbs, NamesAndHelpAreOfPeople) {
  std::set<std::string_view> names;
  for (const SocketVerb& verb : kSocketVerbs) {
    EXPECT_TRUE(names.insert(verb.name).second) << verb.name;
    EXPECT_EQ(verb.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), verb.name.npos);
    EXPECT_FALSE(verb.help.empty());
    EXPECT_EQ(verb.help.find('\n'), verb.help.npos) << verb.name;
    EXPECT_LE(verb.help.size(), 80u) << verb.name;
  }
}

}  // namespace
}  // namespace quire::model::socket_verbs_test
