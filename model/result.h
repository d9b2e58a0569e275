// Failures of the world as values. An outcome that a caller expects (miss, full) is an optional or
// a small enum instead; a bug is QUIRE_CHECK. Same shape as std::expected.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "model/check.h"

namespace quire::model {

// One closed set, shared by wire, C, C++ and CLI. Values are part of the wire: append only.
enum class Errc : int32_t {
  kOk = 0,
  kInvalidArgument = 1,        // a value out of its documented range; the text names it
  kUnsupportedVersion = 2,     // no protocol or format version in common
  kMalformedFrame = 3,         // bytes that are no frame; ends the connection or session
  kFrameTooLarge = 4,          // longer than the stated bound
  kUnexpectedDescriptors = 5,  // a client never sends descriptors
  kInvalidLayout = 6,          // a layout that breaks a rule of model/layout.h; the text names it
  kUnknownLayout = 7,          // register the layout first
  kNotFound = 8,               // no such session, lease, fill, segment or page
  kPermissionDenied = 9,       // another domain's, or a tenant that this domain may not speak for
  kBusy = 10,                  // a bound is hit for now; retry after a release or a completion
  kResourceExhausted = 11,     // memory cannot be had even by evicting, or a limit of the process
  kUnavailable = 12,           // the daemon is gone; the client reconnects
  kStaleHandle = 13,           // a handle of an earlier daemon epoch or namespace epoch: a miss
  kForked = 14,                // used in a forked child; connect anew there
  kNoParent = 15,              // the span before this one is not present: commit it first
  kDeadlineExceeded = 16,      // the operation's own deadline passed
  kClosed = 17,                // the session or connection was closed
  kCorrupt = 18,               // a checksum does not match; the page is quarantined, a miss
  kIoError = 19,               // a system call failed; the text has errno
  kAlreadyExists = 20,         // committed before: nothing was written
  kInternal = 21,              // a bug in the daemon that it survived
};

// Stable snake_case name, e.g. "resource_exhausted"; "unknown" outside the set.
std::string_view errc_name(Errc code);

struct Error {
  Errc code = Errc::kInternal;
  std::string text;  // what was wrong and what to do; no page bytes, no token ids
};

Error make_error(Errc code, std::string text);
// "<what>: <strerror(errno)>", kIoError; out of descriptors, memory, file size: kResourceExhausted.
Error errno_error(std::string_view what);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    QUIRE_CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    QUIRE_CHECK(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    QUIRE_CHECK(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    QUIRE_CHECK(!ok());
    return std::get<1>(state_);
  }
  Error&& error() && {
    QUIRE_CHECK(!ok());
    return std::get<1>(std::move(state_));
  }
  Errc code() const { return ok() ? Errc::kOk : error().code; }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}  // NOLINT: implicit

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& {
    QUIRE_CHECK(failed_);
    return error_;
  }
  Error&& error() && {
    QUIRE_CHECK(failed_);
    return std::move(error_);
  }
  Errc code() const { return failed_ ? error_.code : Errc::kOk; }

 private:
  Error error_{Errc::kOk, {}};
  bool failed_ = false;
};

// Returns the error of `expression` from the enclosing function; otherwise yields its value.
// Statement expression: a GNU extension that both g++ and clang have. Does not nest.
#define QUIRE_TRY(expression)                                               \
  __extension__({                                                           \
    auto quire_try_result = (expression);                                   \
    if (!quire_try_result.ok()) return std::move(quire_try_result).error(); \
    quire::model::take_value(std::move(quire_try_result));                  \
  })

template <typename T>
T take_value(Result<T>&& result) {
  return std::move(result).value();
}
inline void take_value(Result<void>&&) {}

}  // namespace quire::model
