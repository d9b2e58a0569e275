#include "server/control/verb_roles.h"

#include <gtest/gtest.h>

#include <set>

namespace quire::server {
namespace {

using model::Errc;
using model::FrameType;

constexpr uid_t kOwn = 990;
constexpr uid_t kOther = 1000;

TEST(VerbRoles, EveryFrameOfAClientIsThereOnceAndNoOther) {
  std::set<FrameType> types;
  for (const VerbRole& verb : verb_roles()) {
    EXPECT_TRUE(types.insert(verb.type).second) << verb.name;
    EXPECT_EQ(find_verb(verb.type), &verb);
  }
  for (uint32_t type = 0; type <= 0xffff; ++type) {
    const bool of_client = type >= static_cast<uint32_t>(FrameType::kHello) &&
                           type <= static_cast<uint32_t>(FrameType::kKept);
    EXPECT_EQ(find_verb(static_cast<FrameType>(type)) != nullptr, of_client) << type;
  }
}

TEST(VerbRoles, WhatTouchesEverybodyIsForAdministrators) {
  for (const FrameType type :
       {FrameType::kEvict, FrameType::kVerify, FrameType::kScrub, FrameType::kKept}) {
    const VerbRole& verb = *find_verb(type);
    EXPECT_TRUE(authorise(verb, 0, kOwn).ok());
    EXPECT_TRUE(authorise(verb, kOwn, kOwn).ok());
    const auto refused = authorise(verb, kOther, kOwn);
    EXPECT_EQ(refused.code(), Errc::kPermissionDenied);
    EXPECT_EQ(refused.error().text, std::string(verb.name) + " needs root or the daemon's own uid");
  }
}

TEST(VerbRoles, EverythingElseIsForEveryClient) {
  for (const VerbRole& verb : verb_roles()) {
    if (verb.role == Role::kAdministrator) continue;
    EXPECT_TRUE(authorise(verb, kOther, kOwn).ok()) << verb.name;
  }
  EXPECT_EQ(find_verb(FrameType::kHello)->role, Role::kStranger);
  EXPECT_EQ(find_verb(FrameType::kPing)->role, Role::kClient);
}

}  // namespace
}  // namespace quire::server
