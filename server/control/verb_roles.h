// Who may call which verb of the socket: one table, asked at one point (ControlVerbs::on_frame).
// A verb that is not in it does not exist. Pure.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "model/result.h"
#include "model/wire.h"

namespace quire::server {

// Each may do what those before it may.
enum class Role : uint8_t {
  kStranger,       // connected, no hello yet
  kClient,         // said hello
  kAdministrator,  // root, or the daemon's own uid
};

struct VerbRole {
  model::FrameType type;
  Role role;
  std::string_view name;
};

// Every frame a client may send.
std::span<const VerbRole> verb_roles();
// Null for what no client sends.
const VerbRole* find_verb(model::FrameType type);
// kPermissionDenied names the verb and who may call it. That a client said hello is the
// connection's to know.
model::Result<void> authorise(const VerbRole& verb, uid_t peer, uid_t own);

}  // namespace quire::server
