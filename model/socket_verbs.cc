#include "model/socket_verbs.h"

namespace quire::model {

namespace {

// Who may do what a role may.
std::string_view holders_of(VerbRole role) {
  switch (role) {
    case VerbRole::kReader:
      return "a reader (--reader_uids of quired), root or the daemon's own uid";
    case VerbRole::kMeter:
      return "a meter (--meter_uids of quired), root or the daemon's own uid";
    default:
      return "root or the daemon's own uid";
  }
}

}  // namespace

std::string verb_text(const SocketVerb& verb, const VerbAction* action) {
  std::string text(verb.name);
  if (action != nullptr && !action->name.empty()) text.append(" ").append(action->name);
  return text;
}

Result<void> authorise(const SocketVerb& verb, const VerbAction* action, PeerRoles roles) {
  const VerbRole role = role_of(verb, action);
  if (roles.has(role)) return {};
  return make_error(Errc::kPermissionDenied,
                    verb_text(verb, action) + " needs " + std::string(holders_of(role)));
}

}  // namespace quire::model
