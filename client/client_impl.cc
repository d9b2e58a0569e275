#include "client/client_impl.h"

#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "client/session_opener.h"
#include "model/layout.h"
#include "model/page_plan.h"
#include "model/session_shm.h"

namespace quire::client {

using model::Errc;
using model::FrameType;
using model::make_error;
using model::Result;

namespace {

constexpr size_t kMaxKnownLayouts = 64;  // later ones are registered again at each open
constexpr auto kFirstBackOff = std::chrono::milliseconds(5);
constexpr auto kLongestBackOff = std::chrono::milliseconds(500);

std::string socket_path(const ClientOptions& options) {
  if (!options.socket_path.empty()) return options.socket_path;
  const char* from_environment = std::getenv("QUIRE_SOCKET");
  if (from_environment != nullptr && *from_environment != '\0') return from_environment;
  return "/run/quire/quired.sock";
}

// What may be different in a moment; anything else is told at once.
bool may_pass(Errc code) {
  return code == Errc::kUnavailable || code == Errc::kDeadlineExceeded || code == Errc::kBusy;
}

uint32_t unit_count(const SessionOptions& options) {
  return std::max<uint32_t>(1, options.max_tokens / options.layout.unit_tokens);
}

constexpr uint64_t kLeastStagingBytes = 32ull << 20;  // small layouts: many objects at once

// What a session needs at least; kInvalidArgument: more than an area can have.
Result<uint64_t> needed_staging(const SessionOptions& options) {
  if (options.staging_bytes != 0) return options.staging_bytes;
  const uint64_t needed = model::staging_bytes_for(options.layout);
  if (needed <= model::kMaxStagingBytes) return needed;
  return make_error(Errc::kInvalidArgument,
                    "layout '" + options.layout.name + "' needs " + std::to_string(needed) +
                        " bytes of staging for one span and one checkpoint; an area has at most " +
                        std::to_string(model::kMaxStagingBytes) +
                        ": set staging_bytes to what the groups of this process need");
}

// Of an area that has to be made: for two of the largest objects, as far as nothing else is said.
uint64_t wanted_staging(const ClientOptions& client, const SessionOptions& options,
                        uint64_t needed) {
  if (client.staging_bytes != 0) return client.staging_bytes;
  if (options.staging_bytes != 0) return options.staging_bytes;
  return std::clamp(2 * needed, kLeastStagingBytes, model::kMaxStagingBytes);
}

// The error says which of a session's names it is.
Result<model::WireName> wire_name(std::string_view what, std::string_view name) {
  Result<model::WireName> wire = model::to_wire_name(name);
  if (wire.ok()) return wire;
  return make_error(wire.code(), std::string(what) + ": " + wire.error().text);
}

Result<model::OpenSessionRequest> open_request(const SessionOptions& options, uint32_t layout) {
  model::OpenSessionRequest request;
  request.layout = layout;
  request.ring_entries = options.ring_entries;
  request.max_units = unit_count(options);
  request.max_load_pages = options.max_load_pages;
  request.weights_epoch = options.weights_epoch;
  request.conversation = options.conversation;
  request.load_class = static_cast<uint8_t>(options.load_class);
  request.tail_tokens = options.tail_tokens;
  request.offer_tokens = options.offer_tokens;
  request.role = static_cast<uint8_t>(options.role);
  request.ahead_tokens = options.ahead_tokens;
  request.reserve_bytes = options.reserve_bytes;
  request.admission_wait_ms = options.admission_wait_ms;
  request.tenant = QUIRE_TRY(wire_name("tenant", options.tenant));
  request.namespace_name = QUIRE_TRY(wire_name("namespace", options.namespace_name));
  request.salt = QUIRE_TRY(wire_name("salt", options.salt));
  request.model = QUIRE_TRY(wire_name("model", options.model));
  request.service_tier = QUIRE_TRY(wire_name("service_tier", options.service_tier));
  request.retention = QUIRE_TRY(wire_name("retention", options.retention));
  request.explicit_caching = options.explicit_caching ? 1 : 0;
  return request;
}

}  // namespace

Result<std::unique_ptr<ClientImpl>> ClientImpl::create(const ClientOptions& options) {
  model::FdGuard news(::epoll_create1(EPOLL_CLOEXEC));
  if (!news.valid()) return model::errno_error("epoll_create1");
  auto client = std::make_unique<ClientImpl>(options, std::move(news));
  QUIRE_TRY(client->attach_within(options.daemon_wait_ms));
  return client;
}

ClientImpl::ClientImpl(const ClientOptions& options, model::FdGuard news)
    : options_(options), news_(std::move(news)) {}

Result<void> ClientImpl::attach() {
  AttachOptions options;
  options.socket_path = socket_path(options_);
  options.client_name = options_.client_name;
  options.verb_timeout_ms = options_.connect_timeout_ms;
  options.spin_us = options_.spin_us;
  options.populate_segments = options_.populate_segments;
  options.observer = options_.observer;
  // The old one stays in its place until the new one stands.
  std::shared_ptr<Attachment> fresh = QUIRE_TRY(Attachment::attach(options));
  epoll_event event{};
  // One descriptor across reconnects: a caller's loop need not learn of a new socket.
  event.events = EPOLLIN | EPOLLRDHUP;
  if (::epoll_ctl(news_.get(), EPOLL_CTL_ADD, fresh->fd(), &event) != 0) {
    return model::errno_error("epoll_ctl");
  }
  if (attachment_) {
    // Its sessions may keep the old socket open for long.
    ::epoll_ctl(news_.get(), EPOLL_CTL_DEL, attachment_->fd(), &event);
    attachment_->supersede();
  }
  attachment_ = std::move(fresh);
  // Ids are the daemon's, and this is another life of it.
  layouts_.clear();
  return {};
}

Result<void> ClientImpl::reconnect(uint32_t timeout_ms) {
  // Looks at the socket: a hang-up that nobody has read yet is noticed here.
  const Result<void> present = attachment_->progress();
  if (present.ok() || present.code() == Errc::kForked) return present;
  return attach_within(timeout_ms);
}

Result<void> ClientImpl::attach_within(uint32_t timeout_ms) {
  const Deadline deadline = Deadline::after_ms(timeout_ms);
  std::chrono::nanoseconds back_off = kFirstBackOff;
  while (true) {
    Result<void> attached = attach();
    if (attached.ok() || !may_pass(attached.code()) || deadline.passed()) return attached;
    std::this_thread::sleep_for(std::min(back_off, deadline.left()));
    back_off = std::min<std::chrono::nanoseconds>(2 * back_off, kLongestBackOff);
  }
}

Result<uint32_t> ClientImpl::register_layout(const model::Layout& layout) {
  for (const auto& [known, id] : layouts_) {
    if (known == layout) return id;
  }
  // Here too: the text says which field is wrong without a round trip.
  QUIRE_TRY(model::validate(layout));
  const model::Hash256 digest = model::layout_digest(layout);
  const std::vector<std::byte> encoded = model::encode(layout);
  const std::string_view payload(reinterpret_cast<const char*>(encoded.data()), encoded.size());
  const Frame frame = QUIRE_TRY(attachment_->call(FrameType::kRegisterLayout, payload));
  const auto reply = QUIRE_TRY(model::read_struct<model::RegisterLayoutReply>(frame.payload));
  // Two encoders that differ would store pages under a layout that nobody declared.
  if (reply.digest != digest) {
    return make_error(Errc::kCorrupt, "the daemon registered a different layout");
  }
  if (layouts_.size() < kMaxKnownLayouts) layouts_.emplace_back(layout, reply.layout);
  return reply.layout;
}

Result<std::unique_ptr<SessionOpener>> ClientImpl::session_opener(const SessionOptions& options) {
  QUIRE_TRY(reconnect(options_.daemon_wait_ms));
  const uint32_t layout = QUIRE_TRY(register_layout(options.layout));
  model::OpenSessionRequest request = QUIRE_TRY(open_request(options, layout));
  StagingArea* staging = QUIRE_TRY(staging_for(options));
  request.staging = staging->id();
  return std::make_unique<SessionOpener>(
      SessionOpener::Target{attachment_, staging, options_, options, layout}, request);
}

Result<std::unique_ptr<SessionImpl>> ClientImpl::open_session(const SessionOptions& options) {
  const std::unique_ptr<SessionOpener> opener = QUIRE_TRY(session_opener(options));
  return opener->wait();
}

Result<std::unique_ptr<SessionImpl>> ClientImpl::join_session(const SessionToken& token,
                                                              const SessionOptions& options) {
  QUIRE_TRY(reconnect(options_.daemon_wait_ms));
  const uint32_t layout = QUIRE_TRY(register_layout(options.layout));
  model::JoinSessionRequest request;
  request.token = token;
  request.ring_entries = options.ring_entries;
  request.max_load_pages = options.max_load_pages;
  request.role = static_cast<uint8_t>(options.role);
  request.reserve_bytes = options.reserve_bytes;
  StagingArea* staging = QUIRE_TRY(staging_for(options));
  request.staging = staging->id();
  auto lane = attachment_->memory().lock()->take_lane(
      {options.ring_entries, unit_count(options), options.max_load_pages});
  request.lane = lane ? lane->lane() : 0;
  Result<Frame> frame = attachment_->call(FrameType::kJoinSession, model::struct_bytes(request));
  if (!frame.ok()) {
    give_lane_back(*attachment_, std::move(lane), frame.code());
    return std::move(frame).error();
  }
  return start_session({attachment_, staging, options_, options, layout}, std::move(*frame),
                       std::move(lane));
}

Result<StagingArea*> ClientImpl::staging_for(const SessionOptions& options) {
  const uint64_t needed = QUIRE_TRY(needed_staging(options));
  return attachment_->staging(needed, wanted_staging(options_, options, needed));
}

}  // namespace quire::client
