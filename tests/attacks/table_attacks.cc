// Attacks on what has places: namespaces, layouts, connections, sessions and their memory.
#include <poll.h>

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "model/layout.h"
#include "model/session_shm.h"
#include "model/wire.h"
#include "tests/attacks/attack.h"
#include "tests/attacks/attack_client.h"
#include "tests/support/lingering_socket.h"
#include "tests/support/small_layout.h"

namespace quire::tests {

namespace {

using model::FrameType;

std::optional<uint32_t> register_layout(AttackClient& client, const model::Layout& layout) {
  const std::vector<std::byte> encoded = model::encode(layout);
  if (!client.send(FrameType::kRegisterLayout,
                   {reinterpret_cast<const char*>(encoded.data()), encoded.size()})) {
    return std::nullopt;
  }
  const auto payload = client.receive();
  if (!payload) return std::nullopt;
  const auto reply = model::read_struct<model::RegisterLayoutReply>(*payload);
  return reply.ok() && reply->status.code == 0 ? std::optional(reply->layout) : std::nullopt;
}

// The session's number; 0 when it was refused; nullopt once the daemon has hung up.
std::optional<uint64_t> open_session(AttackClient& client,
                                     const model::OpenSessionRequest& request) {
  if (!client.send(FrameType::kOpenSession, model::struct_bytes(request))) return std::nullopt;
  const auto payload = client.receive();
  if (!payload) return std::nullopt;
  const auto reply = model::read_struct<model::OpenSessionReply>(*payload);
  return reply.ok() && reply->status.code == 0 ? reply->session : 0;
}

bool close_session(AttackClient& client, uint64_t session) {
  const model::CloseSessionRequest request{session};
  return client.send(FrameType::kCloseSession, model::struct_bytes(request)) &&
         client.receive().has_value();
}

model::OpenSessionRequest small_session(uint32_t layout) {
  model::OpenSessionRequest request;
  request.layout = layout;
  request.ring_entries = 8;
  request.max_units = 64;
  request.max_load_pages = 64;
  return request;
}

// Opens and closes sessions, each as `change` makes it.
void churn_sessions(AttackGround& ground,
                    const std::function<void(model::OpenSessionRequest&, uint64_t)>& change) {
  for (uint64_t number = 0;;) {
    AttackClient client = AttackClient::insist(ground.socket_path());
    const auto layout = register_layout(client, small_append_layout());
    for (bool alive = layout.has_value(); alive; ++number) {
      model::OpenSessionRequest request = small_session(*layout);
      change(request, number);
      const auto session = open_session(client, request);
      ground.ready();
      alive = session && (*session == 0 || close_session(client, *session));
    }
  }
}

void take_every_namespace(AttackGround& ground) {
  churn_sessions(ground, [](model::OpenSessionRequest& request, uint64_t number) {
    request.namespace_name = *model::to_wire_name("n" + std::to_string(number));
    request.salt = *model::to_wire_name(std::to_string(number));
  });
}

void raise_epochs_to_the_end(AttackGround& ground) {
  churn_sessions(ground, [](model::OpenSessionRequest& request, uint64_t number) {
    request.namespace_name = *model::to_wire_name("model");
    request.weights_epoch = number % 2 == 0 ? ~uint64_t{0} : 1ull << 63;
  });
}

void open_the_largest_sessions(AttackGround& ground) {
  churn_sessions(ground, [](model::OpenSessionRequest& request, uint64_t) {
    request.ring_entries = model::kMaxRingEntries;
    request.max_units = model::kMaxUnits - 1;
    request.max_load_pages = model::kMaxLoadPages;
  });
}

void take_every_layout(AttackGround& ground) {
  for (uint64_t number = 0;;) {
    AttackClient client = AttackClient::insist(ground.socket_path());
    for (bool given = true; given; ++number) {
      model::Layout layout = small_append_layout();
      layout.name = "layout " + std::to_string(number);
      given = register_layout(client, layout).has_value();
      ground.ready();
    }
  }
}

void take_every_connection(AttackGround& ground) {
  std::vector<AttackClient> held;
  for (;;) {
    if (auto client = AttackClient::connect(ground.socket_path())) {
      held.push_back(std::move(*client));
      continue;
    }
    ground.ready();  // it has all that it will be given, and goes on asking
    ::poll(nullptr, 0, 1);
  }
}

void take_every_session(AttackGround& ground) {
  AttackClient client = AttackClient::insist(ground.socket_path());
  const auto layout = register_layout(client, small_append_layout());
  while (layout) {
    const auto session = open_session(client, small_session(*layout));
    if (!session) return;
    if (*session != 0) continue;
    ground.ready();
    ::poll(nullptr, 0, 1);
  }
}

void send_sockets_that_linger(AttackGround& ground) {
  std::vector<LingeringSocket> sockets;
  for (;;) {
    AttackClient client = AttackClient::insist(ground.socket_path());
    LingeringSocket socket = make_lingering_socket();
    const int fd = socket.fd.get();
    client.send_descriptors({&fd, 1});
    // Whoever closes it last waits; the daemon still has it in its socket.
    std::thread([given = std::move(socket.fd)] {}).detach();
    sockets.push_back(std::move(socket));
    ground.ready();
    if (sockets.size() > 64) sockets.clear();
  }
}

}  // namespace

std::vector<Attack> table_attacks() {
  return {{.name = "NamespaceFlood", .run = take_every_namespace},
          {.name = "EpochsRaisedToTheEnd", .run = raise_epochs_to_the_end},
          {.name = "LargestSessions", .run = open_the_largest_sessions},
          {.name = "LayoutFlood", .run = take_every_layout},
          {.name = "ConnectionHoard", .run = take_every_connection},
          {.name = "SessionHoard", .run = take_every_session},
          {.name = "LingeringSockets", .run = send_sockets_that_linger}};
}

}  // namespace quire::tests
