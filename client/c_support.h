// What the C ABI's sources share: handles, error texts, sized option structs, and the wall that
// no exception passes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "client/quire.h"
#include "client/quire_c.h"
#include "model/layout.h"
#include "model/result.h"
#include "model/unit_keys.h"

// A fixed buffer: keeping an error must not fail itself.
struct QuireErrorText {
  std::array<char, 256> text{};
};

namespace quire::client {

// A caller's observer as the library knows them. Shared by a client's handle and its sessions', any
// of which may be the last to unmap something.
class CSegmentObserver final : public SegmentObserver {
 public:
  explicit CSegmentObserver(const quire_segment_observer& functions) : functions_(functions) {}
  void mapped(const SegmentMemory& memory) override { tell(functions_.mapped, memory); }
  void unmapping(const SegmentMemory& memory) override { tell(functions_.unmapping, memory); }

 private:
  void tell(void (*function)(void*, const quire_segment*), const SegmentMemory& memory) const {
    if (function == nullptr) return;
    quire_segment segment{};
    segment.size = sizeof segment;
    segment.daemon_epoch = memory.daemon_epoch;
    segment.data = memory.data;
    segment.bytes = memory.bytes;
    segment.segment = memory.segment;
    function(functions_.context, &segment);
  }

  quire_segment_observer functions_;
};

}  // namespace quire::client

struct quire_layout {
  quire::model::Layout layout;
};
struct quire_client {
  std::shared_ptr<quire::client::CSegmentObserver> observer;  // goes after what calls it
  std::unique_ptr<quire::client::Client> client;
  QuireErrorText error;
};
struct quire_session {
  std::shared_ptr<quire::client::CSegmentObserver> observer;
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
  // Keeps the text, cut to fit, and gives the code as a status.
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

// For pointers that no call can do without: told, not crashed on.
inline model::Error null_argument() {
  return model::make_error(model::Errc::kInvalidArgument, "a required pointer is NULL");
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

// In C zero is the default of each field, so some say the opposite of the field behind them.
inline model::Result<LoadOptions> to_load_options(const quire_load_options* pointer) {
  const quire_load_options given = QUIRE_TRY(read_options(pointer));
  LoadOptions options;
  options.groups = given.groups;
  options.first_block = given.first_block;
  options.block_count = given.block_count;
  options.include_checkpoint = given.skip_checkpoint == 0;
  options.order =
      given.layer_major != 0 ? model::LoadOrder::kLayerMajor : model::LoadOrder::kBlockMajor;
  options.deadline_ms = given.deadline_ms;
  options.progress = given.progress != 0;
  return options;
}

// A caller's result struct, older or newer than ours, must say how large it is: looked at before
// the call, so that what it returns is not lost. So much more than ours is no later version's:
// garbage.
template <typename T>
model::Result<void> check_result(const T* out) {
  constexpr size_t kLaterFields = 1024;
  if (out == nullptr) return null_argument();
  if (out->size >= sizeof(size_t) && out->size <= sizeof(T) + kLaterFields) return {};
  return model::make_error(model::Errc::kInvalidArgument,
                           "result: set its `size` to sizeof the struct before the call");
}

// As much of `value` as the caller's struct has room for; zeros in what it has beyond ours.
// Precondition: check_result().
template <typename T>
void write_result(const T& value, T* out) {
  static_assert(offsetof(T, size) == 0 && std::is_trivially_copyable_v<T>);
  const size_t room = out->size;
  char* bytes = reinterpret_cast<char*>(out);
  std::memcpy(bytes, &value, std::min(room, sizeof(T)));
  if (room > sizeof(T)) std::memset(bytes + sizeof(T), 0, room - sizeof(T));
  out->size = room;
}

// A list that goes to a caller's array: as much as it has room for, and how much there is.
template <typename To, typename From, typename Convert>
void write_list(const std::vector<From>& from, To* to, size_t capacity, Convert convert) {
  const size_t count = to == nullptr ? 0 : std::min(capacity, from.size());
  std::transform(from.begin(), from.begin() + static_cast<ptrdiff_t>(count), to, convert);
}

inline void write_wanted(const std::vector<model::WantedCheckpoint>& from,
                         quire_wanted_checkpoint* to, size_t capacity, size_t* count) {
  *count = from.size();
  write_list(from, to, capacity, [](const model::WantedCheckpoint& one) {
    return quire_wanted_checkpoint{one.tokens, static_cast<uint32_t>(one.reason)};
  });
}

// A caller's keys. The bytes are hashed here; none of them are kept.
inline std::vector<model::UnitKey> read_keys(const quire_unit_key* keys, size_t count) {
  std::vector<model::UnitKey> read;
  read.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const auto* bytes = static_cast<const std::byte*>(keys[i].bytes);
    read.push_back(
        model::unit_key(keys[i].first_token, keys[i].token_count, {bytes, keys[i].byte_count}));
  }
  return read;
}

// One call of a session; its failure's text stays in the handle.
template <typename Body>
quire_status call(quire_session* handle, Body body) {
  return guarded_call(ErrorSink(handle->error),
                      [&]() -> model::Result<void> { return body(*handle->session); });
}

// A submission: its id goes to `request`.
template <typename Submit>
quire_status submit(quire_session* handle, uint64_t* request, Submit submit_one) {
  return call(handle, [&](Session& session) -> model::Result<void> {
    if (request == nullptr) return null_argument();
    *request = QUIRE_TRY(submit_one(session));
    return {};
  });
}

// A completion as it was polled: the words go back to the union that they came from.
inline model::Completion from_c(const quire_completion& given) {
  model::Completion completion{};
  completion.user_data = given.request;
  completion.code = given.status;
  completion.verb = given.verb;
  completion.flags = given.flags;
  std::memcpy(&completion.result, given.words, sizeof completion.result);
  return completion;
}

// What a polled completion brought: `take_one(session, request, completion)` fills `out`.
template <typename T, typename Take>
quire_status take(quire_session* handle, const quire_completion* completion, const T* out,
                  Take take_one) {
  return call(handle, [&](Session& session) -> model::Result<void> {
    if (completion == nullptr) return null_argument();
    QUIRE_TRY(check_result(out));
    return take_one(session, completion->request, from_c(*completion));
  });
}

// NULL and 0 stand for the default.
inline std::string_view text_or(const char* text, std::string_view fallback) {
  return text == nullptr ? fallback : std::string_view(text);
}

template <typename T>
T value_or(T value, T fallback) {
  return value == 0 ? fallback : value;
}

}  // namespace quire::client
