// libquire for C++ programs that take it from a package: quire_c.h as values and owners, and
// nothing else. Header-only and C++17, so that no compiler's ABI lies between a program and the
// library.
//
//   auto client  = quire::cpp::Client::connect({});                   // Result<Client>
//   auto session = client->open_session({.layout = &*layout});
//   auto hit     = session->match(prompt_tokens);                     // released when it goes
//   auto pages   = session->load(*hit);
//
// 1. A failure is a value: a call gives a Result, or Error{QUIRE_OK} where it has nothing to give.
//    Nothing throws but what the standard library throws when memory is out.
// 2. What is acquired is an object: a Match releases its lease, a Fill is aborted unless it was
//    committed, a Session closes. They move and do not copy.
// 3. Views (Pages, pages of a Fill) lend; they end with the Match or Fill they came from.
// What is not here is called through get(). Threads: as in quire_c.h, one a handle at a time.
// Lifetime: a Match or Fill ends before its Session; a Session may outlive its Client.
#ifndef QUIRE_CLIENT_QUIRE_CPP_H
#define QUIRE_CLIENT_QUIRE_CPP_H

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/quire_c.h"

namespace quire::cpp {

// Why not. `text` is for people.
struct [[nodiscard]] Error {
  quire_status code = QUIRE_OK;
  std::string text = {};

  bool ok() const { return code == QUIRE_OK; }
  std::string_view name() const { return quire_status_name(code); }
};

// A value, or why there is none. Asking for the value of a failure is a bug of the caller.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return error_; }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Error error_;
};

namespace detail {

struct LayoutFree {
  void operator()(quire_layout* layout) const { quire_layout_free(layout); }
};
struct ClientFree {
  void operator()(quire_client* client) const { quire_disconnect(client); }
};
struct SessionFree {
  void operator()(quire_session* session) const { quire_close_session(session); }
};

class TextRoom {
 public:
  quire_text_buffer get() { return {text_.data(), text_.size()}; }
  Error error(quire_status status) const { return {status, text_.data()}; }

 private:
  std::array<char, 512> text_{};
};

template <typename Struct>
Struct sized() {
  Struct value{};
  value.size = sizeof(value);
  return value;
}

}  // namespace detail

// What an engine's pages are made of; TOML as in /usr/share/quire/models.
class Layout {
 public:
  static Result<Layout> load(const std::string& path) {
    detail::TextRoom text;
    quire_layout* layout = nullptr;
    const quire_status status = quire_layout_load(path.c_str(), &layout, text.get());
    if (status != QUIRE_OK) return text.error(status);
    return Layout(layout);
  }
  static Result<Layout> parse(std::string_view toml) {
    detail::TextRoom text;
    quire_layout* layout = nullptr;
    const quire_status status = quire_layout_parse(toml.data(), toml.size(), &layout, text.get());
    if (status != QUIRE_OK) return text.error(status);
    return Layout(layout);
  }

  uint32_t unit_tokens() const { return quire_layout_unit_tokens(get()); }
  uint32_t block_tokens() const { return quire_layout_block_tokens(get()); }
  uint32_t group_count() const { return quire_layout_group_count(get()); }
  // Whether a resume needs a checkpoint besides the spans.
  bool needs_checkpoints() const { return quire_layout_checkpoint_groups(get()) != 0; }
  const quire_layout* get() const { return layout_.get(); }

 private:
  explicit Layout(quire_layout* layout) : layout_(layout) {}
  std::unique_ptr<quire_layout, detail::LayoutFree> layout_;
};

// Pages that a load delivered: the checkpoint's stand behind the spans'.
class Pages {
 public:
  const quire_page_view* begin() const { return pages_.pages; }
  const quire_page_view* end() const { return pages_.pages + pages_.page_count; }
  size_t size() const { return pages_.page_count; }
  uint32_t block_count() const { return pages_.block_count; }
  uint32_t checkpoint_count() const { return pages_.checkpoint_count; }
  // QUIRE_OK: everything that was asked for.
  quire_status limited_by() const { return pages_.limited_by; }

 private:
  friend class Session;
  quire_pages pages_ = detail::sized<quire_pages>();
};

// What was found of a prompt, pinned for as long as this lives.
class Match {
 public:
  Match(Match&& other) noexcept : session_(other.session_), found_(other.found_) {
    other.found_.lease = 0;
  }
  Match& operator=(Match&& other) noexcept {
    std::swap(session_, other.session_);
    std::swap(found_, other.found_);
    return *this;
  }
  ~Match() { (void)release(); }

  explicit operator bool() const { return found_.lease != 0; }  // something was found
  uint32_t exact_tokens() const { return found_.exact_tokens; }
  uint32_t span_tokens() const { return found_.span_tokens; }
  const quire_match_result& result() const { return found_; }
  // Now, to see whether it worked; views of its pages end.
  Error release() {
    const uint64_t lease = std::exchange(found_.lease, 0);
    if (lease == 0) return {};
    const quire_status status = quire_release(session_, lease);
    return status == QUIRE_OK ? Error{} : Error{status, quire_session_error(session_)};
  }

 private:
  friend class Session;
  Match(quire_session* session, const quire_match_result& found)
      : session_(session), found_(found) {}
  quire_session* session_;
  quire_match_result found_;
};

// An object that is being written. Aborted when it goes, unless commit() ended it.
class Fill {
 public:
  Fill(Fill&& other) noexcept
      : session_(other.session_), fill_(other.fill_), open_(std::exchange(other.open_, false)) {}
  Fill& operator=(Fill&& other) noexcept {
    std::swap(session_, other.session_);
    std::swap(fill_, other.fill_);
    std::swap(open_, other.open_);
    return *this;
  }
  ~Fill() {
    if (open_) (void)quire_abort(session_, &fill_);
  }

  // It is there already: it has no pages, and nothing is to be committed.
  bool is_duplicate() const { return fill_.duplicate != 0; }
  // Staging memory to be written before commit().
  const quire_fill_page* begin() const { return fill_.pages; }
  const quire_fill_page* end() const { return fill_.pages + fill_.page_count; }
  // After QUIRE_BUSY, _DEADLINE_EXCEEDED or _INVALID_ARGUMENT it may be committed again.
  Result<quire_commit_result> commit() {
    auto result = detail::sized<quire_commit_result>();
    const quire_status status = quire_commit(session_, &fill_, &result);
    open_ = status == QUIRE_BUSY || status == QUIRE_DEADLINE_EXCEEDED ||
            status == QUIRE_INVALID_ARGUMENT;
    if (status != QUIRE_OK) return Error{status, quire_session_error(session_)};
    return result;
  }

 private:
  friend class Session;
  Fill(quire_session* session, const quire_fill& fill)
      : session_(session), fill_(fill), open_(fill.duplicate == 0) {}
  quire_session* session_;
  quire_fill fill_;
  bool open_;
};

// One request or conversation of an engine.
class Session {
 public:
  Error append_tokens(const std::vector<uint32_t>& tokens) {
    return done(quire_append_tokens(get(), tokens.data(), tokens.size()));
  }
  // `have_tokens`: of them the engine has the pages already.
  Result<Match> match(uint32_t prompt_tokens, uint32_t have_tokens = 0) {
    auto options = detail::sized<quire_match_options>();
    options.have_tokens = have_tokens;
    return match(prompt_tokens, options);
  }
  Result<Match> match(uint32_t prompt_tokens, const quire_match_options& options) {
    auto found = detail::sized<quire_match_result>();
    const quire_status status = quire_match_with(get(), prompt_tokens, &options, &found);
    if (status != QUIRE_OK) return done(status);
    return Match(get(), found);
  }
  // Everything, or what `options` name.
  Result<Pages> load(const Match& match, const quire_load_options* options = nullptr) {
    Pages pages;
    const quire_status status = quire_load(get(), match.result().lease, options, &pages.pages_);
    if (status != QUIRE_OK) return done(status);
    return pages;
  }
  Result<Fill> begin_span(uint32_t end_tokens) { return begin(QUIRE_FILL_SPAN, end_tokens); }
  Result<Fill> begin_checkpoint(uint32_t end_tokens,
                                quire_checkpoint_reason reason = QUIRE_TURN_END) {
    auto options = detail::sized<quire_fill_options>();
    options.reason = reason;
    return begin(QUIRE_FILL_CHECKPOINT, end_tokens, &options);
  }
  // Where the engine really went on, which the receipt needs; what the request used by that.
  Result<quire_turn_usage> resumed(const quire_resumed_word& word) {
    auto usage = detail::sized<quire_turn_usage>();
    const quire_status status = quire_resumed_usage(get(), &word, &usage);
    if (status != QUIRE_OK) return done(status);
    return usage;
  }
  // Goes on with another prompt; busy while hits or fills of the old one are open.
  Error reset(uint64_t conversation = 0) { return done(quire_reset_session(get(), conversation)); }
  uint32_t token_count() const { return quire_token_count(get()); }
  // With which other processes of this user join it.
  std::array<uint8_t, QUIRE_TOKEN_BYTES> token() const {
    std::array<uint8_t, QUIRE_TOKEN_BYTES> token{};
    quire_session_token(get(), token.data());
    return token;
  }
  quire_session* get() const { return session_.get(); }

 private:
  friend class Client;
  explicit Session(quire_session* session) : session_(session) {}
  Error done(quire_status status) const {
    return status == QUIRE_OK ? Error{} : Error{status, quire_session_error(get())};
  }
  Result<Fill> begin(quire_fill_kind kind, uint32_t end_tokens,
                     const quire_fill_options* options = nullptr) {
    auto fill = detail::sized<quire_fill>();
    const quire_status status = quire_begin_fill(get(), kind, end_tokens, options, &fill);
    if (status != QUIRE_OK) return done(status);
    return Fill(get(), fill);
  }
  std::unique_ptr<quire_session, detail::SessionFree> session_;
};

// Zero and "" mean the library's defaults, as in quire_c.h; for more, fill quire_session_options.
struct ClientOptions {
  std::string socket_path = {};  // else $QUIRE_SOCKET, else /run/quire/quired.sock
  std::string client_name = {};
  uint32_t connect_timeout_ms = 0;
  uint32_t daemon_wait_ms = 0;
};
struct SessionOptions {
  const Layout* layout = nullptr;
  std::string tenant = {};
  std::string namespace_name = {};
  std::string model = {};
  uint64_t weights_epoch = 0;
  uint32_t max_tokens = 0;
};

// A connection to the daemon.
class Client {
 public:
  static Result<Client> connect(const ClientOptions& given) {
    quire_client_options options;
    quire_client_options_init(&options);
    options.socket_path = given.socket_path.empty() ? nullptr : given.socket_path.c_str();
    options.client_name = given.client_name.empty() ? nullptr : given.client_name.c_str();
    options.connect_timeout_ms = given.connect_timeout_ms;
    options.daemon_wait_ms = given.daemon_wait_ms;
    detail::TextRoom text;
    quire_client* client = nullptr;
    const quire_status status = quire_connect(&options, &client, text.get());
    if (status != QUIRE_OK) return text.error(status);
    return Client(client);
  }

  Error ping() { return done(quire_ping(get())); }
  Result<std::string> status_json() {
    char* text = nullptr;
    const quire_status status = quire_status_json(get(), &text);
    if (status != QUIRE_OK) return done(status);
    const std::unique_ptr<char, void (*)(char*)> owned(text, quire_text_free);
    return std::string(owned.get());
  }
  Result<Session> open_session(const SessionOptions& given) { return open_session(filled(given)); }
  Result<Session> open_session(const quire_session_options& options) {
    quire_session* session = nullptr;
    const quire_status status = quire_open_session(get(), &options, &session);
    if (status != QUIRE_OK) return done(status);
    return Session(session);
  }
  Result<Session> join_session(const std::array<uint8_t, QUIRE_TOKEN_BYTES>& token,
                               const SessionOptions& given) {
    const quire_session_options options = filled(given);
    quire_session* session = nullptr;
    const quire_status status = quire_join_session(get(), token.data(), &options, &session);
    if (status != QUIRE_OK) return done(status);
    return Session(session);
  }
  quire_client* get() const { return client_.get(); }

 private:
  explicit Client(quire_client* client) : client_(client) {}
  Error done(quire_status status) const {
    return status == QUIRE_OK ? Error{} : Error{status, quire_client_error(get())};
  }
  // Points into what was given.
  static quire_session_options filled(const SessionOptions& given) {
    quire_session_options options;
    quire_session_options_init(&options);
    options.layout = given.layout == nullptr ? nullptr : given.layout->get();
    options.tenant = given.tenant.c_str();
    options.namespace_name = given.namespace_name.c_str();
    options.model = given.model.c_str();
    options.weights_epoch = given.weights_epoch;
    options.max_tokens = given.max_tokens;
    return options;
  }
  std::unique_ptr<quire_client, detail::ClientFree> client_;
};

// What customers are told in the shape that they know: a JSON object. `retention`: "5m", or "".
inline Result<std::string> usage_json(const quire_turn_usage& usage, quire_usage_shape shape,
                                      const std::string& retention = {}) {
  std::string text(1024, '\0');
  size_t length = 0;
  for (int tries = 0; tries < 2; ++tries) {
    const quire_status status =
        quire_usage_json(&usage, shape, retention.empty() ? nullptr : retention.c_str(),
                         text.data(), text.size(), &length);
    if (status == QUIRE_OK) return text.substr(0, length);
    if (status != QUIRE_RESOURCE_EXHAUSTED) return Error{status, "no such usage"};
    text.resize(length + 1);
  }
  return Error{QUIRE_INTERNAL, "the usage did not fit twice"};
}

}  // namespace quire::cpp

#endif
