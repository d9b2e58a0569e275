#include "model/socket_verbs.h"

#include <string>

namespace quire::model {

Result<void> authorise(const SocketVerb& verb, bool administrator) {
  // The other roles ask for a hello at most, and the domain then follows from the peer's uid.
  if (verb.role != VerbRole::kAdministrator || administrator) return {};
  return make_error(Errc::kPermissionDenied,
                    std::string(verb.name) + " needs root or the daemon's own uid");
}

}  // namespace quire::model
