#include "client/quirectl/exit_codes.h"

namespace quire::client {

// Every code has its line: a new one is thought of, or does not compile.
int exit_code_of(model::Errc code) {
  using model::Errc;
  switch (code) {
    case Errc::kOk:
      return kExitOk;
    case Errc::kInvalidArgument:
      return kExitUsage;
    case Errc::kUnavailable:
    case Errc::kUnsupportedVersion:
      return kExitCannotConnect;
    case Errc::kPermissionDenied:
      return kExitNotAuthorised;
    case Errc::kNotFound:
    case Errc::kUnknownLayout:
      return kExitNotFound;
    // What was looked at is not whole.
    case Errc::kCorrupt:
    case Errc::kInvalidLayout:
      return kExitDegraded;
    case Errc::kMalformedFrame:
    case Errc::kFrameTooLarge:
    case Errc::kUnexpectedDescriptors:
    case Errc::kBusy:
    case Errc::kResourceExhausted:
    case Errc::kStaleHandle:
    case Errc::kForked:
    case Errc::kNoParent:
    case Errc::kDeadlineExceeded:
    case Errc::kClosed:
    case Errc::kIoError:
    case Errc::kAlreadyExists:
    case Errc::kInternal:
      return kExitFailed;
  }
  return kExitFailed;
}

}  // namespace quire::client
