// The C ABI's tickets.
#include "client/c_options.h"
#include "client/c_support.h"

using quire::client::check_result;
using quire::client::ErrorSink;
using quire::client::guarded_call;
using quire::client::null_argument;
using quire::client::SessionOptions;
using quire::client::to_session_options;
using quire::client::write_result;
using quire::model::Result;

struct quire_ticket {
  std::shared_ptr<quire::client::CSegmentObserver> observer;
  std::unique_ptr<quire::client::SessionTicket> ticket;
  QuireErrorText error;
};

quire_status quire_request_session(quire_client* client, const quire_session_options* options,
                                   quire_ticket** ticket) {
  return guarded_call(ErrorSink(client->error), [&]() -> Result<void> {
    if (ticket == nullptr) return null_argument();
    *ticket = nullptr;
    const SessionOptions given = QUIRE_TRY(to_session_options(options));
    auto handle = std::make_unique<quire_ticket>();
    // Shared: a session outlives its client and its ticket, and unmaps segments itself.
    handle->observer = client->observer;
    handle->ticket = QUIRE_TRY(client->client->request_session(given));
    *ticket = handle.release();
    return {};
  });
}

quire_status quire_poll_ticket(quire_ticket* ticket, uint32_t wait_ms, quire_session** session) {
  return guarded_call(ErrorSink(ticket->error), [&]() -> Result<void> {
    if (session == nullptr) return null_argument();
    *session = nullptr;
    // Made before the session is: nothing may fail behind it.
    auto handle = std::make_unique<quire_session>();
    handle->observer = ticket->observer;
    handle->session = QUIRE_TRY(ticket->ticket->poll(wait_ms));
    if (handle->session) *session = handle.release();
    return {};
  });
}

quire_status quire_ticket_place(quire_ticket* ticket, quire_queue_place* place) {
  return guarded_call(ErrorSink(ticket->error), [&]() -> Result<void> {
    QUIRE_TRY(check_result(place));
    const auto estimate = ticket->ticket->estimate_ms();
    write_result(quire_queue_place{.size = sizeof(quire_queue_place),
                                   .estimate_ms = estimate.value_or(0),
                                   .estimate_known = estimate ? 1u : 0u,
                                   .position = ticket->ticket->position(),
                                   .reserved = {}},
                 place);
    return {};
  });
}

const char* quire_ticket_error(const quire_ticket* ticket) { return ticket->error.text.data(); }

void quire_ticket_free(quire_ticket* ticket) { delete ticket; }
