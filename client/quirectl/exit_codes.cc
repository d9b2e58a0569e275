#include "client/quirectl/exit_codes.h"

namespace quire::client {

int exit_code_of(model::Errc code) {
  switch (code) {
    case model::Errc::kUnavailable:
    case model::Errc::kUnsupportedVersion:
      return kExitCannotConnect;
    case model::Errc::kPermissionDenied:
      return kExitNotAuthorised;
    case model::Errc::kNotFound:
      return kExitNotFound;
    default:
      return kExitFailed;
  }
}

}  // namespace quire::client
