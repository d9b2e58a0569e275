// What the C ABI's two sources share: handles, error texts, sized option structs, and the wall that
// no exception passes.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string_view>

#include "client/quire.h"
#include "client/quire_c.h"
#include "model/layout.h"
#include "model/result.h"

// A fixed buffer: keeping an error must not fail itself.
struct QuireErrorText {
  std::array<char, 256> text{};
};

struct quire_layout {
  quire::model::Layout layout;
};
struct quire_client {
  std::unique_ptr<quire::client::Client> client;
  QuireErrorText error;
};
struct quire_session {
  std::unique_ptr<quire::client::Session> session;
  QuireErrorText error;
};

namespace quire::client {

// Copies as much as fits and ends it with a zero.
inline void write_text(std::string_view text, char* target, size_t bytes) {
  if (target == nullptr || bytes == 0) return;
  const size_t length = std::min(text.size(), bytes - 1);
  std::memcpy(target, text.data(), length);
  target[length] = '\0';
}

// Where a call leaves the text of its failure.
class ErrorSink {
 public:
  explicit ErrorSink(QuireErrorText& handle)
      : data_(handle.text.data()), bytes_(handle.text.size()) {}
  explicit ErrorSink(quire_text_buffer buffer) : data_(buffer.data), bytes_(buffer.bytes) {}
  quire_status fail(model::Errc code, std::string_view text) const {
    write_text(text, data_, bytes_);
    return static_cast<quire_status>(code);
  }

 private:
  char* data_;
  size_t bytes_;
};

// Runs `body`, which returns a Result<void>, and turns what comes of it into a status.
template <typename Body>
quire_status guarded_call(ErrorSink sink, Body body) noexcept {
  try {
    const model::Result<void> result = body();
    return result.ok() ? QUIRE_OK : sink.fail(result.error().code, result.error().text);
  } catch (const std::bad_alloc&) {
    return sink.fail(model::Errc::kResourceExhausted, "out of memory");
  } catch (...) {
    return sink.fail(model::Errc::kInternal, "an unexpected exception");
  }
}

// A caller's option struct, older (shorter: the rest is zero) or of this version. kInvalidArgument
// for a newer one, whose fields would be ignored silently. NULL is all defaults.
template <typename Options>
model::Result<Options> read_options(const Options* given) {
  Options options{};
  if (given == nullptr) return options;
  if (given->size < sizeof(size_t) || given->size > sizeof(Options)) {
    return model::make_error(model::Errc::kInvalidArgument,
                             "options: size is not that of a struct this library knows");
  }
  std::memcpy(&options, given, given->size);
  return options;
}

inline std::string_view text_or(const char* text, std::string_view fallback) {
  return text == nullptr ? fallback : std::string_view(text);
}

template <typename T>
T value_or(T value, T fallback) {
  return value == 0 ? fallback : value;
}

inline model::Error null_argument() {
  return model::make_error(model::Errc::kInvalidArgument, "a required pointer is NULL");
}

}  // namespace quire::client
