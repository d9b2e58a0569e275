// Sessions that reserve RAM, from the asking to the reservation (cache/accounts/reservations.h):
// who asked, on which connection, and how long it may wait.
//
//   ask --room---------------------------------------------------------------------> admitted
//    \--not now--> queued (ticket) --step: its turn, room--> granted --ask_again-------^
//                    \--its time is over: expired, nobody asked in kUnaskedNs--> gone <--/
//
// What is granted is reserved from that time on: a client that asks late keeps nobody waiting but
// for what it reserves itself.
// A ticket is a session that its uid has open, as far as shares go, and ends with its connection.
// Threads: core only. Bounds: those of the uid's sessions, and of the domain's queue.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/result.h"
#include "server/rings/client_process.h"
#include "server/sessions/uid_shares.h"

namespace quire::server {

// A ticket that nobody asks for is given up: its client has lost interest, or the reply.
inline constexpr int64_t kUnaskedNs = 10'000'000'000;

// What became of one that asked.
struct AdmissionAnswer {
  cache::TenantHold payer;         // held for the reservation, which goes before it
  cache::Reservation reservation;  // empty: it is queued
  cache::TicketId ticket = 0;      // of a queued one; as the next
  cache::QueuePlace place;
};

class SessionQueue {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    UidShares* shares = nullptr;
    const model::Clock* clock = nullptr;
  };
  explicit SessionQueue(const Parts& parts) : parts_(parts) {}
  SessionQueue(const SessionQueue&) = delete;
  SessionQueue& operator=(const SessionQueue&) = delete;
  ~SessionQueue();

  struct Wanted {
    std::string_view payer;  // the tenant who pays
    uint64_t bytes = 0;      // not 0
    uint32_t wait_ms = 0;    // 0: it is not queued
  };
  // kResourceExhausted: more than can ever be admitted, or not now and it does not want to wait.
  // kBusy: the uid's share of sessions, or too many of its domain wait.
  model::Result<AdmissionAnswer> ask(const ClientProcess& client, const Wanted& wanted);
  // kNotFound: the client has no such ticket. kInvalidArgument: it is another tenant's, and stays.
  // kDeadlineExceeded: it waited so long as it wanted. kResourceExhausted: what bounds it fell
  // meanwhile. After these two the ticket is gone.
  model::Result<AdmissionAnswer> ask_again(const ClientProcess& client, cache::TicketId ticket,
                                           std::string_view payer);
  // Grants what can be had, and drops what nobody asks for. Bounded by the domains, and by what is
  // granted.
  void step();
  // It waits no more. Unknown: nothing happens.
  void leave(const ClientProcess& client, cache::TicketId ticket);
  // The client's end.
  void forget(const ClientProcess& client);
  size_t count() const { return queued_.size(); }

 private:
  struct Queued {
    const ClientProcess* client = nullptr;
    uint32_t uid = 0;
    cache::TenantHold payer;
    cache::Admission admission;
    int64_t deadline_ns = 0;
    int64_t asked_ns = 0;            // when it was asked for last
    bool expired = false;            // its time is over: it stands in the queue no more
    cache::Reservation reservation;  // once it is granted
  };
  using Table = std::map<cache::TicketId, Queued>;

  uint64_t share_of(model::DomainId domain) const;
  // Takes it out of the table, not out of the queue.
  Queued take(Table::iterator found);
  Table::iterator drop(Table::iterator found);

  void grant(model::DomainId domain);

  Parts parts_;
  Table queued_;
  int64_t swept_ns_ = 0;
};

}  // namespace quire::server
