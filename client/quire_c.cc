// C ABI: layouts, clients, and opening sessions. What sessions do is in quire_c_session.cc.
#include "client/quire_c.h"

#include <string>
#include <utility>

#include "client/c_options.h"
#include "client/c_support.h"
#include "model/layout_toml.h"

namespace {

using quire::client::ClientOptions;
using quire::client::ErrorSink;
using quire::client::guarded_call;
using quire::client::null_argument;
using quire::client::read_options;
using quire::client::SessionOptions;
using quire::client::SessionToken;
using quire::client::text_or;
using quire::client::to_session_options;
using quire::client::value_or;
using quire::model::Errc;
using quire::model::Result;

// Codes cross the C border as numbers: a new one that is missing here would travel unnamed.
constexpr bool same(quire_errc c, Errc errc) {
  return static_cast<int>(c) == static_cast<int>(errc);
}
static_assert(same(QUIRE_OK, Errc::kOk));
static_assert(same(QUIRE_INVALID_ARGUMENT, Errc::kInvalidArgument));
static_assert(same(QUIRE_UNSUPPORTED_VERSION, Errc::kUnsupportedVersion));
static_assert(same(QUIRE_MALFORMED_FRAME, Errc::kMalformedFrame));
static_assert(same(QUIRE_FRAME_TOO_LARGE, Errc::kFrameTooLarge));
static_assert(same(QUIRE_UNEXPECTED_DESCRIPTORS, Errc::kUnexpectedDescriptors));
static_assert(same(QUIRE_INVALID_LAYOUT, Errc::kInvalidLayout));
static_assert(same(QUIRE_UNKNOWN_LAYOUT, Errc::kUnknownLayout));
static_assert(same(QUIRE_NOT_FOUND, Errc::kNotFound));
static_assert(same(QUIRE_PERMISSION_DENIED, Errc::kPermissionDenied));
static_assert(same(QUIRE_BUSY, Errc::kBusy));
static_assert(same(QUIRE_RESOURCE_EXHAUSTED, Errc::kResourceExhausted));
static_assert(same(QUIRE_UNAVAILABLE, Errc::kUnavailable));
static_assert(same(QUIRE_STALE_HANDLE, Errc::kStaleHandle));
static_assert(same(QUIRE_FORKED, Errc::kForked));
static_assert(same(QUIRE_NO_PARENT, Errc::kNoParent));
static_assert(same(QUIRE_DEADLINE_EXCEEDED, Errc::kDeadlineExceeded));
static_assert(same(QUIRE_CLOSED, Errc::kClosed));
static_assert(same(QUIRE_CORRUPT, Errc::kCorrupt));
static_assert(same(QUIRE_IO_ERROR, Errc::kIoError));
static_assert(same(QUIRE_ALREADY_EXISTS, Errc::kAlreadyExists));
static_assert(same(QUIRE_INTERNAL, Errc::kInternal));

ClientOptions to_client_options(const quire_client_options& given) {
  ClientOptions options;
  options.socket_path = text_or(given.socket_path, "");
  options.client_name = text_or(given.client_name, options.client_name);
  options.connect_timeout_ms = value_or(given.connect_timeout_ms, options.connect_timeout_ms);
  options.call_timeout_ms = value_or(given.call_timeout_ms, options.call_timeout_ms);
  options.spin_us = value_or(given.spin_us, options.spin_us);
  options.populate_segments = given.lazy_segments == 0;
  options.daemon_wait_ms = given.daemon_wait_ms;
  options.staging_bytes = given.staging_bytes;
  return options;
}

template <typename Parse>
quire_status make_layout(quire_layout** layout, quire_text_buffer error, Parse parse) {
  return guarded_call(ErrorSink(error), [&]() -> Result<void> {
    if (layout == nullptr) return null_argument();
    // Before anything can fail: a caller that ignores the status finds no garbage.
    *layout = nullptr;
    quire::model::Layout parsed = QUIRE_TRY(parse());
    *layout = new quire_layout{std::move(parsed)};
    return {};
  });
}

const quire::model::Group* group_at(const quire_layout* layout, uint32_t group) {
  return group < layout->layout.groups.size() ? &layout->layout.groups[group] : nullptr;
}

}  // namespace

const char* quire_status_name(quire_status status) {
  // Of a literal: a zero follows.
  return quire::model::errc_name(static_cast<Errc>(status)).data();
}

quire_status quire_layout_parse(const char* toml, size_t bytes, quire_layout** layout,
                                quire_text_buffer error) {
  return make_layout(layout, error, [&]() -> Result<quire::model::Layout> {
    if (toml == nullptr) return null_argument();
    return quire::model::parse_layout_toml({toml, bytes});
  });
}

quire_status quire_layout_load(const char* path, quire_layout** layout, quire_text_buffer error) {
  return make_layout(layout, error, [&]() -> Result<quire::model::Layout> {
    if (path == nullptr) return null_argument();
    return quire::model::load_layout_file(path);
  });
}

void quire_layout_free(quire_layout* layout) { delete layout; }
uint32_t quire_layout_unit_tokens(const quire_layout* layout) { return layout->layout.unit_tokens; }
uint32_t quire_layout_block_tokens(const quire_layout* layout) {
  return layout->layout.block_tokens;
}
uint32_t quire_layout_group_count(const quire_layout* layout) {
  return static_cast<uint32_t>(layout->layout.groups.size());
}
const char* quire_layout_group_name(const quire_layout* layout, uint32_t group) {
  const quire::model::Group* found = group_at(layout, group);
  return found == nullptr ? nullptr : found->name.c_str();
}
uint64_t quire_layout_group_page_bytes(const quire_layout* layout, uint32_t group) {
  const quire::model::Group* found = group_at(layout, group);
  return found == nullptr ? 0 : found->page_bytes;
}

void quire_client_options_init(quire_client_options* options) {
  *options = {};
  options->size = sizeof *options;
}

quire_status quire_connect(const quire_client_options* options, quire_client** client,
                           quire_text_buffer error) {
  return guarded_call(ErrorSink(error), [&]() -> Result<void> {
    if (client == nullptr) return null_argument();
    *client = nullptr;
    // A copy: the caller's struct may be shorter than ours, and need not outlive the call.
    const quire_client_options given = QUIRE_TRY(read_options(options));
    auto handle = std::make_unique<quire_client>();
    ClientOptions wanted = to_client_options(given);
    if (given.observer != nullptr) {
      const quire_segment_observer observer = QUIRE_TRY(read_options(given.observer));
      handle->observer = std::make_shared<quire::client::CSegmentObserver>(observer);
      wanted.observer = handle->observer.get();
    }
    handle->client = QUIRE_TRY(quire::client::Client::connect(wanted));
    *client = handle.release();
    return {};
  });
}

// Sessions hold what they need of it themselves.
void quire_disconnect(quire_client* client) { delete client; }
const char* quire_client_error(const quire_client* client) { return client->error.text.data(); }

quire_status quire_ping(quire_client* client) {
  return guarded_call(ErrorSink(client->error), [&] { return client->client->ping(); });
}

quire_status quire_status_json(quire_client* client, char** text) {
  return guarded_call(ErrorSink(client->error), [&]() -> Result<void> {
    const std::string json = QUIRE_TRY(client->client->status_json());
    // Freed with quire_text_free() alone: the caller may use another allocator.
    *text = new char[json.size() + 1];
    quire::client::write_text(json, *text, json.size() + 1);
    return {};
  });
}

void quire_text_free(char* text) { delete[] text; }

quire_status quire_reconnect(quire_client* client, uint32_t timeout_ms) {
  return guarded_call(ErrorSink(client->error),
                      [&] { return client->client->reconnect(timeout_ms); });
}
uint64_t quire_daemon_epoch(const quire_client* client) { return client->client->daemon_epoch(); }
int quire_client_fd(const quire_client* client) { return client->client->fd(); }
quire_status quire_client_progress(quire_client* client) {
  return guarded_call(ErrorSink(client->error), [&] { return client->client->progress(); });
}

void quire_session_options_init(quire_session_options* options) {
  *options = {};
  options->size = sizeof *options;
}

quire_status quire_open_session(quire_client* client, const quire_session_options* options,
                                quire_session** session) {
  return guarded_call(ErrorSink(client->error), [&]() -> Result<void> {
    *session = nullptr;
    const SessionOptions given = QUIRE_TRY(to_session_options(options));
    auto handle = std::make_unique<quire_session>();
    // Shared: a session outlives its client, and unmaps segments itself.
    handle->observer = client->observer;
    handle->session = QUIRE_TRY(client->client->open_session(given));
    *session = handle.release();
    return {};
  });
}

quire_status quire_join_session(quire_client* client, const uint8_t token[QUIRE_TOKEN_BYTES],
                                const quire_session_options* options, quire_session** session) {
  return guarded_call(ErrorSink(client->error), [&]() -> Result<void> {
    *session = nullptr;
    const SessionOptions given = QUIRE_TRY(to_session_options(options));
    SessionToken bytes{};
    static_assert(sizeof bytes == QUIRE_TOKEN_BYTES);
    std::memcpy(bytes.data(), token, sizeof bytes);
    auto handle = std::make_unique<quire_session>();
    handle->observer = client->observer;
    handle->session = QUIRE_TRY(client->client->join_session(bytes, given));
    *session = handle.release();
    return {};
  });
}

quire_status quire_close_session(quire_session* session) {
  if (session == nullptr) return QUIRE_OK;
  const quire_status status =
      guarded_call(ErrorSink(session->error), [&] { return session->session->close(); });
  // Whatever close() said: the handle is gone, and with it what it mapped.
  delete session;
  return status;
}
