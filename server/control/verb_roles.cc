#include "server/control/verb_roles.h"

#include <algorithm>
#include <array>
#include <string>

namespace quire::server {

using model::FrameType;

namespace {

constexpr std::array kVerbs = {
    VerbRole{FrameType::kHello, Role::kStranger, "hello"},
    VerbRole{FrameType::kRegisterLayout, Role::kClient, "register_layout"},
    VerbRole{FrameType::kOpenSession, Role::kClient, "open_session"},
    VerbRole{FrameType::kJoinSession, Role::kClient, "join_session"},
    VerbRole{FrameType::kCloseSession, Role::kClient, "close_session"},
    VerbRole{FrameType::kMapSegment, Role::kClient, "map_segment"},
    VerbRole{FrameType::kUnmappedSegment, Role::kClient, "unmapped_segment"},
    VerbRole{FrameType::kPing, Role::kClient, "ping"},
    VerbRole{FrameType::kStatus, Role::kClient, "status"},
    VerbRole{FrameType::kEvict, Role::kAdministrator, "evict"},
    VerbRole{FrameType::kVerify, Role::kAdministrator, "verify"},
    VerbRole{FrameType::kScrub, Role::kAdministrator, "scrub"},
    VerbRole{FrameType::kKept, Role::kAdministrator, "kept"},
};

}  // namespace

std::span<const VerbRole> verb_roles() { return kVerbs; }

const VerbRole* find_verb(FrameType type) {
  const auto* found = std::find_if(kVerbs.begin(), kVerbs.end(),
                                   [&](const VerbRole& verb) { return verb.type == type; });
  return found == kVerbs.end() ? nullptr : found;
}

model::Result<void> authorise(const VerbRole& verb, uid_t peer, uid_t own) {
  if (verb.role != Role::kAdministrator || peer == 0 || peer == own) return {};
  return model::make_error(model::Errc::kPermissionDenied,
                           std::string(verb.name) + " needs root or the daemon's own uid");
}

}  // namespace quire::server
