#include "tests/client/fake_daemon.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "model/check.h"

namespace quire::client {

namespace {

using model::Errc;
using model::FdGuard;
using model::FrameType;

FdGuard listen_at(const std::string& path) {
  FdGuard fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  ::unlink(path.c_str());
  QUIRE_CHECK(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  QUIRE_CHECK(::listen(fd.get(), 8) == 0);
  return fd;
}

// A whole frame with descriptors in one message.
void send_frame(int socket, model::FrameHeader header, std::string_view payload,
                const std::vector<int>& fds) {
  header.payload_bytes = static_cast<uint32_t>(payload.size());
  std::string bytes(model::struct_bytes(header));
  bytes.append(payload);
  iovec piece{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  std::vector<char> control(CMSG_SPACE(sizeof(int) * std::max<size_t>(1, fds.size())));
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(c), fds.data(), sizeof(int) * fds.size());
  }
  [[maybe_unused]] const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

model::ReplyStatus ok() { return model::make_status(Errc::kOk, ""); }

template <typename T>
std::string bytes_of(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

std::string fresh_socket_path() {
  static std::atomic<int> number{0};
  return "/tmp/quire_fake_" + std::to_string(::getpid()) + "_" + std::to_string(number++);
}

FakeDaemon::FakeDaemon(std::string socket_path, FakeDaemonOptions options)
    : path_(std::move(socket_path)),
      options_(std::move(options)),
      listener_(listen_at(path_)),
      waker_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  store_.segment_bytes = options_.segment_bytes;
  thread_ = std::thread([this] { run(); });
}

FakeDaemon::~FakeDaemon() {
  stop_ = true;
  wake();
  thread_.join();
  ::unlink(path_.c_str());
}

void FakeDaemon::wake() {
  const uint64_t one = 1;
  QUIRE_CHECK(::write(waker_.get(), &one, sizeof one) == sizeof one);
}

void FakeDaemon::run() {
  while (!stop_) {
    serve_all();
    sleep();
  }
}

void FakeDaemon::serve_all() {
  std::lock_guard lock(mutex_);
  accept_peers();
  for (Peer& peer : peers_) {
    read_frames(peer);
    for (auto& [id, session] : peer.sessions) {
      if (!ring_held_) session->serve();
    }
  }
  peers_.remove_if([](const Peer& peer) { return peer.gone; });
}

void FakeDaemon::sleep() {
  std::vector<pollfd> entries{{listener_.get(), POLLIN, 0}, {waker_.get(), POLLIN, 0}};
  bool idle = true;
  {
    std::lock_guard lock(mutex_);
    for (Peer& peer : peers_) {
      entries.push_back({peer.socket.fd(), POLLIN, 0});
      for (auto& [id, session] : peer.sessions) {
        idle &= session->prepare_sleep() || ring_held_;
        entries.push_back({session->doorbell_fd(), POLLIN, 0});
      }
    }
  }
  ::poll(entries.data(), entries.size(), idle ? -1 : 0);
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(waker_.get(), &count, sizeof count);
  std::lock_guard lock(mutex_);
  for (Peer& peer : peers_) {
    for (auto& [id, session] : peer.sessions) session->woke();
  }
}

void FakeDaemon::accept_peers() {
  while (true) {
    FdGuard fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) return;
    const bool room = peers_.size() < options_.max_connections;
    if (accepted_++ >= options_.refuse_connections && room) {
      peers_.emplace_back(std::move(fd));
    } else {
      refuse(fd);
    }
  }
}

void FakeDaemon::refuse(const FdGuard& socket) {
  model::FrameHeader header;
  header.type = static_cast<uint16_t>(FrameType::kHello) | model::kReplyBit;
  const auto status = model::make_status(Errc::kBusy, "the daemon has --max_connections clients");
  send_frame(socket.get(), header, bytes_of(status), {});
}

void FakeDaemon::read_frames(Peer& peer) {
  while (true) {
    auto frame = peer.socket.receive(Deadline::now());
    if (!frame.ok()) peer.gone = true;
    if (!frame.ok() || !frame->has_value()) break;
    peer.held.push_back(std::move(**frame));
  }
  if (replies_held_) return;
  for (const Frame& frame : std::exchange(peer.held, {})) handle(peer, frame);
}

void FakeDaemon::reply(Peer& peer, const Frame& request, std::string_view payload,
                       const std::vector<int>& fds) {
  model::FrameHeader header = request.header;
  header.type |= model::kReplyBit;
  send_frame(peer.socket.fd(), header, payload, fds);
}

void FakeDaemon::handle(Peer& peer, const Frame& frame) {
  last_header_ = frame.header;
  last_payload_ = frame.payload;
  switch (static_cast<FrameType>(frame.header.type)) {
    case FrameType::kHello: {
      std::vector<int> fds;
      const std::string payload = hello_payload(fds);
      return reply(peer, frame, payload, fds);
    }
    case FrameType::kRegisterLayout: {
      const auto raw = std::as_bytes(std::span(frame.payload));
      layouts_.push_back(model::decode_layout(raw).value());
      const uint32_t id = static_cast<uint32_t>(layouts_.size() - 1);
      return reply(
          peer, frame,
          bytes_of(model::RegisterLayoutReply{ok(), id, 0, model::layout_digest(layouts_.back())}));
    }
    case FrameType::kOpenSession:
      return open_session(peer, frame);
    case FrameType::kMakeStaging: {
      const auto request = model::read_struct<model::MakeStagingRequest>(frame.payload).value();
      peer.staging.emplace_back(request.bytes);
      staging_bytes_.push_back(request.bytes);
      return reply(peer, frame, bytes_of(model::MakeStagingReply{ok(), peer.staging.size()}),
                   {peer.staging.back().fd.get()});
    }
    case FrameType::kCloseSession: {
      const auto request = model::read_struct<model::CloseSessionRequest>(frame.payload).value();
      peer.sessions.erase(request.session);
      return reply(peer, frame, bytes_of(model::CloseSessionReply{ok()}));
    }
    case FrameType::kMapSegment:
      return map_segment(peer, frame);
    case FrameType::kUnmappedSegment:
      acknowledged_.push_back(
          model::read_struct<model::MapSegmentRequest>(frame.payload).value().segment);
      return;
    case FrameType::kStatus:
    case FrameType::kEvict:
    case FrameType::kVerify:
    case FrameType::kScrub:
    case FrameType::kKept:
    case FrameType::kPolicy:
    case FrameType::kQuota:
    case FrameType::kFlush:
    case FrameType::kPin:
      return reply(peer, frame, bytes_of(ok()) + options_.json);
    default:
      return reply(peer, frame, bytes_of(ok()));
  }
}

std::string FakeDaemon::hello_payload(std::vector<int>& fds) {
  model::HelloReply hello;
  hello.status = ok();
  hello.version = options_.hello_version;
  hello.daemon_epoch = options_.epoch;
  hello.domain = model::to_wire_name("test").value();
  std::string infos;
  if (options_.hello_brings_segments) {
    for (uint32_t i = 0; i < store_.segments.size() && i < model::kMaxDescriptorsPerFrame; ++i) {
      infos += bytes_of(model::SegmentInfo{i, 12, store_.segment_bytes});
      fds.push_back(store_.segments[i].fd.get());
    }
  }
  hello.segment_count = static_cast<uint32_t>(fds.size());
  return bytes_of(hello) + infos;
}

void FakeDaemon::open_session(Peer& peer, const Frame& frame) {
  const auto request = model::read_struct<model::OpenSessionRequest>(frame.payload).value();
  store_.last_open = request;
  if (request.give_up != 0 || queued_ < options_.queued_answers) return answer_queued(peer, frame);
  model::OpenSessionReply answer;
  answer.status = ok();
  answer.session = next_session_++;
  answer.ring_entries = request.ring_entries;
  answer.max_units = request.max_units;
  answer.max_load_pages = request.max_load_pages;
  answer.layout = request.layout;
  answer.lane = answer.session;
  answer.control_bytes = model::control_geometry(answer.ring_entries, answer.max_units).bytes;
  answer.reply_bytes = model::reply_geometry(answer.ring_entries, answer.max_load_pages).bytes;
  auto session = std::make_unique<FakeSession>(answer, layouts_.at(request.layout), store_,
                                               peer.staging.at(request.staging - 1).memory.data());
  reply(peer, frame, bytes_of(answer), session->descriptors());
  peer.sessions.emplace(answer.session, std::move(session));
}

// The first one knows no estimate.
void FakeDaemon::answer_queued(Peer& peer, const Frame& frame) {
  model::OpenSessionReply answer;
  answer.status = ok();
  answer.ticket = 77;
  answer.position = options_.queued_answers - queued_;
  answer.estimate_known = queued_ > 0 ? 1 : 0;
  answer.estimate_ms = 40;
  ++queued_;
  reply(peer, frame, bytes_of(answer));
}

void FakeDaemon::map_segment(Peer& peer, const Frame& frame) {
  const auto request = model::read_struct<model::MapSegmentRequest>(frame.payload).value();
  if (request.segment >= store_.segments.size()) {
    return reply(peer, frame, bytes_of(model::make_status(Errc::kNotFound, "no such segment")));
  }
  const model::MapSegmentReply answer{ok(), {request.segment, 12, store_.segment_bytes}};
  reply(peer, frame, bytes_of(answer), {store_.segments[request.segment].fd.get()});
}

void FakeDaemon::hold_ring(bool held) {
  {
    std::lock_guard lock(mutex_);
    ring_held_ = held;
  }
  wake();
}

void FakeDaemon::hold_replies(bool held) {
  {
    std::lock_guard lock(mutex_);
    replies_held_ = held;
  }
  wake();
}

void FakeDaemon::fail_next_commit(Errc code) {
  std::lock_guard lock(mutex_);
  store_.next_commit = code;
}

void FakeDaemon::cut_next_load(const FakeStore::LoadEnd& end) {
  std::lock_guard lock(mutex_);
  store_.next_load = end;
}

void FakeDaemon::change_next_runs(std::function<void(model::PageRun&)> change) {
  std::lock_guard lock(mutex_);
  store_.next_runs = std::move(change);
}

void FakeDaemon::hold_loads(bool held) {
  {
    std::lock_guard lock(mutex_);
    store_.loads_held = held;
  }
  wake();
}

void FakeDaemon::advance_loads(uint32_t ready) {
  std::lock_guard lock(mutex_);
  for (Peer& peer : peers_) {
    for (auto& [id, session] : peer.sessions) session->advance_loads(ready);
  }
}

void FakeDaemon::retire_segment(uint32_t segment) {
  std::lock_guard lock(mutex_);
  model::FrameHeader header;
  header.type = static_cast<uint16_t>(FrameType::kSegmentRetired);
  for (Peer& peer : peers_) {
    send_frame(peer.socket.fd(), header, bytes_of(model::SegmentRetiredEvent{segment, 0}), {});
  }
}

void FakeDaemon::end_sessions(Errc code, std::string_view why) {
  std::lock_guard lock(mutex_);
  model::FrameHeader header;
  header.type = static_cast<uint16_t>(FrameType::kSessionEnded);
  for (Peer& peer : peers_) {
    for (auto& [id, session] : peer.sessions) {
      session->end();
      send_frame(peer.socket.fd(), header,
                 bytes_of(model::SessionEndedEvent{id, model::make_status(code, why)}), {});
    }
  }
}

void FakeDaemon::scribble_completion_indexes() {
  std::lock_guard lock(mutex_);
  for (Peer& peer : peers_) {
    for (auto& [id, session] : peer.sessions) session->scribble_completion_index();
  }
}

std::vector<uint64_t> FakeDaemon::staging_bytes() {
  std::lock_guard lock(mutex_);
  return staging_bytes_;
}

model::OpenSessionRequest FakeDaemon::last_open() {
  std::lock_guard lock(mutex_);
  return store_.last_open;
}

model::MatchArgs FakeDaemon::last_match() {
  std::lock_guard lock(mutex_);
  return store_.last_match;
}

model::LoadArgs FakeDaemon::last_load() {
  std::lock_guard lock(mutex_);
  return store_.last_load;
}

model::ResumedArgs FakeDaemon::last_resumed() {
  std::lock_guard lock(mutex_);
  return store_.last_resumed;
}

model::BeginFillArgs FakeDaemon::last_fill() {
  std::lock_guard lock(mutex_);
  return store_.last_fill;
}

Frame FakeDaemon::last_frame() {
  std::lock_guard lock(mutex_);
  Frame frame;
  frame.header = last_header_;
  frame.payload = last_payload_;
  return frame;
}

void FakeDaemon::scribble_load_ready(uint32_t count) {
  std::lock_guard lock(mutex_);
  for (Peer& peer : peers_) {
    for (auto& [id, session] : peer.sessions) session->scribble_load_ready(count);
  }
}

void FakeDaemon::ask_for_checkpoints(uint32_t shared_word) {
  std::lock_guard lock(mutex_);
  for (Peer& peer : peers_) {
    for (auto& [id, session] : peer.sessions) session->ask_for_checkpoints(shared_word);
  }
}

std::vector<uint32_t> FakeDaemon::acknowledged() {
  std::lock_guard lock(mutex_);
  return acknowledged_;
}

size_t FakeDaemon::session_count() {
  std::lock_guard lock(mutex_);
  size_t count = 0;
  for (Peer& peer : peers_) count += peer.sessions.size();
  return count;
}

size_t FakeDaemon::lease_count() {
  std::lock_guard lock(mutex_);
  size_t count = 0;
  for (Peer& peer : peers_) {
    for (auto& [id, session] : peer.sessions) count += session->leases().size();
  }
  return count;
}

size_t FakeDaemon::fill_count() {
  std::lock_guard lock(mutex_);
  size_t count = 0;
  for (Peer& peer : peers_) {
    for (auto& [id, session] : peer.sessions) count += session->fills().size();
  }
  return count;
}

}  // namespace quire::client
