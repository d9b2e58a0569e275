#include "server/events/zmq_sockets.h"

#include <sys/stat.h>
#include <zmq.h>

#include <array>
#include <cstring>
#include <deque>
#include <string_view>
#include <utility>

namespace quire::server {

using model::Errc;
using model::make_error;
using model::Result;

namespace {

constexpr std::string_view kTopic = "kv-events";
// Messages that wait for one who reads slowly: some 20 MB a subscriber. It sees the hole in their
// numbers, and asks for a replay.
constexpr int kHighWaterMark = 1'000;
// Of what comes in: a subscription, or a request for a replay.
constexpr int64_t kMostReceivedBytes = 4096;
constexpr size_t kFrameOfIdentity = 256;  // an identity has 255 bytes at most

using SequenceBytes = std::array<char, 8>;

SequenceBytes big_endian_bytes(uint64_t sequence) {
  SequenceBytes bytes;
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(sequence >> (8 * (bytes.size() - 1 - i)));
  }
  return bytes;
}

model::Error zmq_failure(const std::string& what) {
  return make_error(Errc::kIoError, what + ": " + zmq_strerror(zmq_errno()));
}

// One message's content, which messages that are on their way share.
class Payload {
 public:
  explicit Payload(const std::string& bytes) {
    // Out of memory is the only failure; the message is empty then.
    if (zmq_msg_init_size(&message_, bytes.size()) != 0) zmq_msg_init(&message_);
    std::memcpy(zmq_msg_data(&message_), bytes.data(), zmq_msg_size(&message_));
  }
  Payload(const Payload&) = delete;
  Payload& operator=(const Payload&) = delete;
  ~Payload() { zmq_msg_close(&message_); }

  size_t bytes() { return zmq_msg_size(&message_); }
  void send(void* socket) {
    zmq_msg_t copy;
    zmq_msg_init(&copy);
    zmq_msg_copy(&copy, &message_);
    if (zmq_msg_send(&copy, socket, ZMQ_DONTWAIT) < 0) zmq_msg_close(&copy);
  }

 private:
  zmq_msg_t message_;
};

void send_part(void* socket, std::string_view part) {
  zmq_send(socket, part.data(), part.size(), ZMQ_DONTWAIT | ZMQ_SNDMORE);
}

bool has_more(void* socket) {
  int more = 0;
  size_t bytes = sizeof(more);
  return zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &bytes) == 0 && more != 0;
}

}  // namespace

struct ZmqSockets::Parts {
  ~Parts() {
    kept.clear();
    for (void* socket : {events, replay}) {
      if (socket != nullptr) zmq_close(socket);
    }
    if (context != nullptr) zmq_ctx_term(context);
  }
  // Null: failed, which zmq_errno() says.
  void* bound(int type, const std::string& endpoint) const {
    void* socket = zmq_socket(context, type);
    if (socket == nullptr) return nullptr;
    const int none = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &kHighWaterMark, sizeof(kHighWaterMark));
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &kMostReceivedBytes, sizeof(kMostReceivedBytes));
    // The file must not be anybody's for a moment.
    const mode_t mask = ::umask(0177);
    const int failed = zmq_bind(socket, endpoint.c_str());
    ::umask(mask);
    if (failed == 0) return socket;
    zmq_close(socket);
    return nullptr;
  }

  void* context = nullptr;
  void* events = nullptr;
  void* replay = nullptr;
  uint64_t next = 0;
  std::deque<Payload> kept;  // the last one has number next - 1
  size_t kept_bytes = 0;
};

ZmqSockets::ZmqSockets(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ZmqSockets::~ZmqSockets() = default;

Result<std::unique_ptr<ZmqSockets>> ZmqSockets::open(const ZmqEndpoints& endpoints) {
  auto parts = std::make_unique<Parts>();
  parts->context = zmq_ctx_new();
  if (parts->context == nullptr) return zmq_failure("make a ZeroMQ context");
  parts->events = parts->bound(ZMQ_PUB, endpoints.events);
  if (parts->events == nullptr) return zmq_failure("--events_zmq: " + endpoints.events);
  if (!endpoints.replay.empty()) {
    parts->replay = parts->bound(ZMQ_ROUTER, endpoints.replay);
    if (parts->replay == nullptr) return zmq_failure("--events_zmq_replay: " + endpoints.replay);
  }
  return std::unique_ptr<ZmqSockets>(new ZmqSockets(std::move(parts)));
}

void ZmqSockets::publish(const std::string& payload) {
  const SequenceBytes sequence = big_endian_bytes(parts_->next++);
  send_part(parts_->events, kTopic);
  send_part(parts_->events, {sequence.data(), sequence.size()});
  Payload& kept = parts_->kept.emplace_back(payload);
  kept.send(parts_->events);
  parts_->kept_bytes += kept.bytes();
  while (parts_->kept.size() > kKeptMessages || parts_->kept_bytes > kKeptBytes) {
    parts_->kept_bytes -= parts_->kept.front().bytes();
    parts_->kept.pop_front();
  }
}

// A request is (identity, empty, sequence); each answer (identity, empty, sequence, payload), and
// the last one has the sequence -1 and no payload.
bool ZmqSockets::serve_replay() {
  void* socket = parts_->replay;
  if (socket == nullptr) return false;
  std::array<char, kFrameOfIdentity> identity;
  const int identity_bytes = zmq_recv(socket, identity.data(), identity.size(), ZMQ_DONTWAIT);
  if (identity_bytes < 0) return false;
  uint64_t wanted = 0;
  size_t frames = 1;
  int last_bytes = 0;
  while (has_more(socket)) {
    std::array<uint8_t, 8> frame{};
    last_bytes = zmq_recv(socket, frame.data(), frame.size(), ZMQ_DONTWAIT);
    wanted = 0;
    for (const uint8_t byte : frame) wanted = wanted << 8 | byte;
    ++frames;
  }
  // Anything else is no request, and has no answer.
  if (frames != 3 || last_bytes != 8) return true;
  const std::string_view to(identity.data(), static_cast<size_t>(identity_bytes));
  const auto send_head = [&](uint64_t sequence) {
    const SequenceBytes bytes = big_endian_bytes(sequence);
    send_part(socket, to);
    send_part(socket, {});
    send_part(socket, {bytes.data(), bytes.size()});
  };
  uint64_t sequence = parts_->next - parts_->kept.size();
  for (Payload& payload : parts_->kept) {
    if (sequence >= wanted) {
      send_head(sequence);
      payload.send(socket);
    }
    ++sequence;
  }
  send_head(UINT64_MAX);
  Payload(std::string()).send(socket);
  return true;
}

uint64_t ZmqSockets::published() const { return parts_->next; }

}  // namespace quire::server
