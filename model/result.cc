#include "model/result.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstring>

namespace quire::model {

std::string_view errc_name(Errc code) {
  switch (code) {
    case Errc::kOk:
      return "ok";
    case Errc::kInvalidArgument:
      return "invalid_argument";
    case Errc::kUnsupportedVersion:
      return "unsupported_version";
    case Errc::kMalformedFrame:
      return "malformed_frame";
    case Errc::kFrameTooLarge:
      return "frame_too_large";
    case Errc::kUnexpectedDescriptors:
      return "unexpected_descriptors";
    case Errc::kInvalidLayout:
      return "invalid_layout";
    case Errc::kUnknownLayout:
      return "unknown_layout";
    case Errc::kNotFound:
      return "not_found";
    case Errc::kPermissionDenied:
      return "permission_denied";
    case Errc::kBusy:
      return "busy";
    case Errc::kResourceExhausted:
      return "resource_exhausted";
    case Errc::kUnavailable:
      return "unavailable";
    case Errc::kStaleHandle:
      return "stale_handle";
    case Errc::kForked:
      return "forked";
    case Errc::kNoParent:
      return "no_parent";
    case Errc::kDeadlineExceeded:
      return "deadline_exceeded";
    case Errc::kClosed:
      return "closed";
    case Errc::kCorrupt:
      return "corrupt";
    case Errc::kIoError:
      return "io_error";
    case Errc::kAlreadyExists:
      return "already_exists";
    case Errc::kInternal:
      return "internal";
  }
  return "unknown";
}

Error make_error(Errc code, std::string text) { return Error{code, std::move(text)}; }

namespace {

// "" unless the limit is finite.
std::string limit_hint(__rlimit_resource resource, std::string_view option, std::string_view name) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return {};
  return "; the limit is " + std::to_string(limit.rlim_cur) + " (ulimit " + std::string(option) +
         ", " + std::string(name) + "): raise it";
}

}  // namespace

Error errno_error(std::string_view what) {
  // First: what follows may change it.
  const int saved = errno;
  Error error{Errc::kIoError, std::string(what) + ": " + std::strerror(saved)};
  // Limits of this process are named. ENFILE is the machine's, and nothing here says how large.
  if (saved == EMFILE) {
    error.text += limit_hint(RLIMIT_NOFILE, "-n", "RLIMIT_NOFILE");
  } else if (saved == EFBIG) {
    error.text += limit_hint(RLIMIT_FSIZE, "-f", "RLIMIT_FSIZE");
  } else if (saved == ENOMEM) {
    error.text += limit_hint(RLIMIT_AS, "-v", "RLIMIT_AS");
  } else if (saved != ENFILE) {
    return error;
  }
  error.code = Errc::kResourceExhausted;
  return error;
}

}  // namespace quire::model
