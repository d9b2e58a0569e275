#include "model/socket_verbs.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

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
                           type <= static_cast<uint32_t>(FrameType::kTrace);
    EXPECT_EQ(find_verb(static_cast<FrameType>(type)) != nullptr, of_client) << type;
  }
}

TEST(SocketVerbs, EventsOfTheDaemonAndRepliesAreNone) {
  EXPECT_EQ(find_verb(FrameType::kSegmentRetired), nullptr);
  EXPECT_EQ(find_verb(FrameType::kSessionEnded), nullptr);
  for (const SocketVerb& verb : kSocketVerbs) {
    EXPECT_EQ(static_cast<uint16_t>(verb.type) & kReplyBit, 0) << verb.name;
  }
}

TEST(SocketVerbs, WhatTouchesEverybodyIsForAdministrators) {
  for (const FrameType type :
       {FrameType::kEvict, FrameType::kVerify, FrameType::kScrub, FrameType::kKept,
        FrameType::kPolicy, FrameType::kQuota, FrameType::kFlush, FrameType::kPin,
        FrameType::kMeter, FrameType::kTrace}) {
    const SocketVerb& verb = *find_verb(type);
    EXPECT_TRUE(authorise(verb, true).ok());
    const auto refused = authorise(verb, false);
    EXPECT_EQ(refused.code(), Errc::kPermissionDenied);
    EXPECT_EQ(refused.error().text, std::string(verb.name) + " needs root or the daemon's own uid");
  }
}

TEST(SocketVerbs, EverythingElseIsForEveryClient) {
  for (const SocketVerb& verb : kSocketVerbs) {
    if (verb.role == VerbRole::kAdministrator) continue;
    EXPECT_TRUE(authorise(verb, false).ok()) << verb.name;
  }
  EXPECT_EQ(find_verb(FrameType::kHello)->role, VerbRole::kAnyone);
  EXPECT_EQ(find_verb(FrameType::kPing)->role, VerbRole::kOwnDomain);
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
