#include "tests/support/raw_client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "tests/support/patience.h"

namespace quire::tests {

using model::Errc;
using model::FdGuard;

namespace {

// Reads exactly `bytes`; false at the end of the stream.
bool read_exactly(int fd, char* data, size_t bytes, std::vector<FdGuard>* descriptors) {
  while (bytes > 0) {
    iovec part{data, bytes};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 16)> control;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int received;
        std::memcpy(&received, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        FdGuard guard(received);
        if (descriptors != nullptr) descriptors->push_back(std::move(guard));
      }
    }
    data += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

FdGuard connect_raw(const std::string& path) {
  FdGuard fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  QUIRE_CHECK(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  const timeval timeout{kPatienceMs / 1000, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  return fd;
}

Errc read_error(int fd) {
  model::FrameHeader header;
  model::ReplyStatus status;
  const bool whole = read_exactly(fd, reinterpret_cast<char*>(&header), sizeof(header), nullptr) &&
                     read_exactly(fd, reinterpret_cast<char*>(&status), sizeof(status), nullptr);
  return whole ? static_cast<Errc>(status.code) : Errc::kClosed;
}

std::string frame_bytes(uint16_t type, uint16_t version, std::string_view payload) {
  model::FrameHeader header;
  header.type = type;
  header.version = version;
  header.payload_bytes = static_cast<uint32_t>(payload.size());
  header.sequence = 1;
  return std::string(model::struct_bytes(header)).append(payload);
}

Errc send_and_read_error(const std::string& socket_path, std::string_view bytes) {
  const FdGuard fd = connect_raw(socket_path);
  QUIRE_CHECK(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
              static_cast<ssize_t>(bytes.size()));
  return read_error(fd.get());
}

Errc send_descriptors(const std::string& socket_path, int count) {
  const FdGuard fd = connect_raw(socket_path);
  std::vector<char> control(CMSG_SPACE(sizeof(int) * static_cast<size_t>(count)));
  char byte = 'x';
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const int out = STDERR_FILENO;
    std::memcpy(CMSG_DATA(header) + static_cast<size_t>(i) * sizeof(int), &out, sizeof(int));
  }
  QUIRE_CHECK(::sendmsg(fd.get(), &message, MSG_NOSIGNAL) == 1);
  return read_error(fd.get());
}

RawSession::RawSession(std::vector<FdGuard> descriptors, const model::OpenSessionReply& reply,
                       FdGuard staging, uint64_t staging_bytes)
    : descriptors_(std::move(descriptors)), reply_(reply), staging_fd_(std::move(staging)) {
  const auto map = [](int memfd, uint64_t bytes, bool writable, uint64_t offset = 0) {
    auto mapping = model::Mapping::map_shared(memfd, bytes, writable, offset);
    QUIRE_CHECK(mapping.ok());
    return std::move(mapping).value();
  };
  control_ =
      map(fd(model::SessionDescriptor::kControl), reply.control_bytes, true, reply.control_offset);
  if (staging_fd_.valid()) staging_ = map(staging_fd_.get(), staging_bytes, true);
  replies_ =
      map(fd(model::SessionDescriptor::kReply), reply.reply_bytes, false, reply.reply_offset);
}

void RawSession::ring() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      ::write(fd(model::SessionDescriptor::kDoorbell), &one, sizeof(one));
}

void RawSession::submit(const model::Submission& submission) {
  auto& header = *reinterpret_cast<model::ControlHeader*>(control_.data());
  const auto geometry = model::control_geometry(reply_.ring_entries, reply_.max_units);
  auto* slots = reinterpret_cast<model::Submission*>(control_.data() + geometry.submissions_offset);
  slots[tail_ % reply_.ring_entries] = submission;
  const auto& replies = *reinterpret_cast<const model::ReplyHeader*>(replies_.data());
  // As far as the daemon has taken; beyond it the entry would be an impossible index.
  if (tail_ - replies.submission_head.value.load() >= reply_.ring_entries) return;
  header.submission_tail.value.store(++tail_, std::memory_order_release);
  ring();
}

void RawSession::submit_noop(uint64_t user_data) {
  model::Submission submission{};
  submission.user_data = user_data;
  submission.verb = static_cast<uint16_t>(model::Verb::kNoop);
  submit(submission);
}

model::Completion RawSession::wait_completion() {
  const auto& replies = *reinterpret_cast<const model::ReplyHeader*>(replies_.data());
  auto& header = *reinterpret_cast<model::ControlHeader*>(control_.data());
  const auto geometry = model::reply_geometry(reply_.ring_entries, reply_.max_load_pages);
  const auto* slots =
      reinterpret_cast<const model::Completion*>(replies_.data() + geometry.completions_offset);
  const auto start = std::chrono::steady_clock::now();
  while (replies.completion_tail.value.load(std::memory_order_acquire) == head_) {
    QUIRE_CHECK(std::chrono::steady_clock::now() - start < kPatience);
    std::this_thread::yield();
  }
  const model::Completion completion = slots[head_ % reply_.ring_entries];
  header.completion_head.value.store(++head_, std::memory_order_release);
  return completion;
}

void RawSession::scribble(uint64_t seed) {
  std::mt19937_64 random(seed);
  for (const model::Mapping* region : {&control_, &staging_}) {
    for (size_t i = 0; i + 8 <= region->bytes(); i += 8) {
      const uint64_t value = random();
      std::memcpy(region->data() + i, &value, 8);
    }
  }
  ring();
}

void RawSession::set_hash(uint32_t units, const model::Hash256& hash) {
  const auto geometry = model::control_geometry(reply_.ring_entries, reply_.max_units);
  std::memcpy(control_.data() + geometry.hashes_offset + (units - 1) * sizeof(hash), &hash,
              sizeof(hash));
}

bool RawSession::wait_closed() {
  const auto& replies = *reinterpret_cast<const model::ReplyHeader*>(replies_.data());
  const auto start = std::chrono::steady_clock::now();
  while (replies.closed.value.load(std::memory_order_acquire) == 0) {
    if (std::chrono::steady_clock::now() - start > kPatience) return false;
    std::this_thread::yield();
  }
  return true;
}

RawClient::RawClient(const std::string& socket_path) : fd_(connect_raw(socket_path)) {
  send(model::FrameType::kHello, model::struct_bytes(model::HelloRequest{}));
  receive();
}

void RawClient::send(model::FrameType type, std::string_view payload) {
  const std::string bytes =
      frame_bytes(static_cast<uint16_t>(type), model::kProtocolVersion, payload);
  QUIRE_CHECK(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
              static_cast<ssize_t>(bytes.size()));
}

std::string RawClient::receive(std::vector<FdGuard>* descriptors) {
  model::FrameHeader header;
  QUIRE_CHECK(
      read_exactly(fd_.get(), reinterpret_cast<char*>(&header), sizeof(header), descriptors));
  std::string payload(header.payload_bytes, '\0');
  QUIRE_CHECK(read_exactly(fd_.get(), payload.data(), payload.size(), descriptors));
  return payload;
}

RawSession RawClient::open_session(const model::Layout& layout, const RawShape& shape) {
  const std::vector<std::byte> encoded = model::encode(layout);
  send(model::FrameType::kRegisterLayout,
       {reinterpret_cast<const char*>(encoded.data()), encoded.size()});
  const auto registered = model::read_struct<model::RegisterLayoutReply>(receive());
  QUIRE_CHECK(registered.ok() && registered->status.code == 0);
  model::OpenSessionRequest request;
  request.layout = registered->layout;
  request.ring_entries = shape.ring_entries;
  request.max_units = shape.max_units;
  request.max_load_pages = shape.max_load_pages;
  const Staging& staging = staging_of(shape.staging_bytes);
  request.staging = staging.id;
  request.namespace_name = *model::to_wire_name("raw");
  send(model::FrameType::kOpenSession, model::struct_bytes(request));
  std::vector<FdGuard> descriptors;
  const auto reply = model::read_struct<model::OpenSessionReply>(receive(&descriptors));
  QUIRE_CHECK(reply.ok() && reply->status.code == 0);
  QUIRE_CHECK(descriptors.size() == model::kSessionDescriptorCount);
  FdGuard memory(::fcntl(staging.fd.get(), F_DUPFD_CLOEXEC, 0));
  return RawSession(std::move(descriptors), *reply, std::move(memory), shape.staging_bytes);
}

const RawClient::Staging& RawClient::staging_of(uint64_t bytes) {
  for (const Staging& made : staging_) {
    if (made.bytes == bytes) return made;
  }
  send(model::FrameType::kMakeStaging, model::struct_bytes(model::MakeStagingRequest{bytes}));
  std::vector<FdGuard> memory;
  const auto reply = model::read_struct<model::MakeStagingReply>(receive(&memory));
  QUIRE_CHECK(reply.ok() && reply->status.code == 0 && memory.size() == 1);
  staging_.push_back({reply->staging, bytes, std::move(memory[0])});
  return staging_.back();
}

}  // namespace quire::tests
