#include "server/sessions/session_queue.h"

#include <string>
#include <utility>

namespace quire::server {

using cache::TicketId;
using model::Errc;
using model::make_error;

SessionQueue::~SessionQueue() {
  while (!queued_.empty()) drop(queued_.begin());
}

uint64_t SessionQueue::share_of(model::DomainId domain) const {
  return parts_.cache->room().taker().share_bytes(domain);
}

model::Result<AdmissionAnswer> SessionQueue::ask(const ClientProcess& client,
                                                 const Wanted& wanted) {
  cache::Reservations& table = parts_.cache->reservations();
  AdmissionAnswer answer;
  answer.payer = cache::TenantHold(&parts_.cache->names().tenants(), client.domain, wanted.payer);
  const cache::Admission admission{client.domain, answer.payer.tenant(), wanted.bytes};
  const uint64_t share = share_of(client.domain);
  QUIRE_TRY(table.check(admission, share));
  answer.reservation = table.try_admit(admission, share);
  if (answer.reservation.valid()) return answer;
  if (wanted.wait_ms == 0) {
    return make_error(Errc::kResourceExhausted,
                      "other sessions have reserved what this one asks for; let it wait "
                      "(admission_wait_ms), or reserve less");
  }
  QUIRE_TRY(parts_.shares->check(client.uid(), Shared::kSessions, 1));
  answer.ticket = QUIRE_TRY(table.queue(admission));
  parts_.shares->take(client.uid(), Shared::kSessions, 1);
  const int64_t now = parts_.clock->now_ns();
  answer.place = table.place_of(answer.ticket, now, share);
  queued_.emplace(answer.ticket, Queued{.client = &client,
                                        .uid = client.uid(),
                                        .payer = std::move(answer.payer),
                                        .admission = admission,
                                        .deadline_ns = now + wanted.wait_ms * model::kNsPerMs,
                                        .asked_ns = now,
                                        .reservation = {}});
  return answer;
}

model::Result<AdmissionAnswer> SessionQueue::ask_again(const ClientProcess& client, TicketId ticket,
                                                       std::string_view payer) {
  const auto found = queued_.find(ticket);
  if (found == queued_.end() || found->second.client != &client) {
    return make_error(Errc::kNotFound, "this connection has no such ticket");
  }
  // What is reserved is paid for by whom it was asked for.
  const model::TenantId of = found->second.admission.payer;
  if (parts_.cache->names().tenants().name_of(of) != payer) {
    return make_error(Errc::kInvalidArgument, "the ticket is another tenant's");
  }
  const int64_t now = parts_.clock->now_ns();
  found->second.asked_ns = now;
  const model::DomainId domain = found->second.admission.domain;
  if (!found->second.reservation.valid() && !found->second.expired) grant(domain);
  AdmissionAnswer answer{.ticket = ticket};
  if (found->second.reservation.valid()) {
    Queued granted = take(found);
    answer.reservation = std::move(granted.reservation);
    answer.payer = std::move(granted.payer);
    return answer;
  }
  if (found->second.expired || now >= found->second.deadline_ns) {
    drop(found);
    return make_error(Errc::kDeadlineExceeded, "the session was not admitted in the time given");
  }
  cache::Reservations& table = parts_.cache->reservations();
  const uint64_t share = share_of(domain);
  // A quota may have changed, or another user come.
  if (auto fits = table.check(found->second.admission, share); !fits.ok()) {
    drop(found);
    return std::move(fits).error();
  }
  answer.place = table.place_of(ticket, now, share);
  return answer;
}

// Those whose turn it is, one after the other, as long as there is room.
void SessionQueue::grant(model::DomainId domain) {
  cache::Reservations& table = parts_.cache->reservations();
  while (const auto ticket = table.next_ticket(domain)) {
    cache::Reservation reservation = table.try_ticket(*ticket, share_of(domain));
    if (!reservation.valid()) return;
    queued_.at(*ticket).reservation = std::move(reservation);
  }
}

void SessionQueue::step() {
  const int64_t now = parts_.clock->now_ns();
  const cache::NamespaceTable& names = parts_.cache->names();
  for (uint16_t d = 0; d < names.domain_count(); ++d) grant(model::DomainId{d});
  // Rarely: nobody is kept waiting by the second.
  if (now - swept_ns_ < kUnaskedNs / 10) return;
  swept_ns_ = now;
  for (auto at = queued_.begin(); at != queued_.end();) {
    Queued& one = at->second;
    if (!one.reservation.valid() && !one.expired && now >= one.deadline_ns) {
      // Others' turn; who asks for it learns why.
      parts_.cache->reservations().leave(at->first);
      one.expired = true;
    }
    at = now - one.asked_ns > kUnaskedNs ? drop(at) : std::next(at);
  }
}

SessionQueue::Queued SessionQueue::take(Table::iterator found) {
  Queued taken = std::move(found->second);
  parts_.shares->give_back(taken.uid, Shared::kSessions, 1);
  queued_.erase(found);
  return taken;
}

SessionQueue::Table::iterator SessionQueue::drop(Table::iterator found) {
  const auto next = std::next(found);
  Queued& one = found->second;
  if (one.reservation.valid()) {
    // It goes before the tenant who pays for it. Others may have been refused what it held.
    one.reservation = {};
    parts_.cache->store().pool().events().raise(one.admission.domain);
  } else if (!one.expired) {
    parts_.cache->reservations().leave(found->first);
  }
  take(found);
  return next;
}

void SessionQueue::leave(const ClientProcess& client, TicketId ticket) {
  const auto found = queued_.find(ticket);
  if (found != queued_.end() && found->second.client == &client) drop(found);
}

void SessionQueue::forget(const ClientProcess& client) {
  for (auto at = queued_.begin(); at != queued_.end();) {
    at = at->second.client == &client ? drop(at) : std::next(at);
  }
}

}  // namespace quire::server
