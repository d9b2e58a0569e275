// RAM that sessions reserve when they open, and who waits for some (DESIGN sections 6, 12.4).
//
//   ask --fits--> admitted: a Reservation, which its session holds --session ends--> gone
//    \--not now--> queued --others end, its turn comes--> admitted
//    \--never----> refused
//
// 1. A reservation is admitted whole or not at all. Of a domain they are at most its share of RAM
//    less what other owners of it are guaranteed, of an owner at most its burst.
// 2. Unspent are the bytes that are reserved and not used: used is what its session's fills hold,
//    its loads bring, and its leases pin in RAM. RamRoom gives nobody else what is unspent.
// 3. A domain has a queue a tenant, and the tenants take turns: the head of the tenant whose
//    turn it is waits for room, and all others behind it, so that a large one is not passed by
//    small ones for ever. A head that its own burst keeps waiting makes way for other tenants.
// 4. Nobody who waits holds anything, and who holds waits for nobody: no order of arrivals can lock
//    up. A domain waits only for itself.
// Threads: core only. Bound: kMaxAdmissions of a domain wait. Lifetime: the tables outlive it, and
// it the reservations and their refs; who reserves is held in the tenant table for as long.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "cache/accounts/account_table.h"
#include "cache/accounts/free_rate.h"
#include "cache/accounts/quota_table.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

// Of one domain that wait: as many sessions as an engine has requests in its own queue.
inline constexpr size_t kMaxAdmissions = 4096;

// Of those before somebody, for the place that it is told: who asks costs the core no more.
inline constexpr size_t kMostCounted = 256;

class Reservations;

// Names a reservation, for those whose memory it pays for: they may outlive it, and are under none
// then. Copies. Empty: there is none.
class ReservationRef {
 public:
  ReservationRef() = default;

  // So much more of RAM is held under it, or less. What is beyond the reservation counts too, and
  // is promised by nobody. Precondition of the latter, while it lives: so much was used.
  void use(uint64_t bytes) const;
  void unuse(uint64_t bytes) const;
  uint64_t unspent() const;

 private:
  friend class Reservation;
  ReservationRef(Reservations* table, uint64_t id) : table_(table), id_(id) {}

  Reservations* table_ = nullptr;
  uint64_t id_ = 0;
};

// Bytes of RAM that requests of its session may count on. Move-only; empty: nothing is reserved.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept { swap(other); }
  Reservation& operator=(Reservation&& other) noexcept {
    Reservation taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Reservation();

  bool valid() const { return table_ != nullptr; }
  uint64_t bytes() const;
  ReservationRef ref() const { return {table_, id_}; }

 private:
  friend class Reservations;
  Reservation(Reservations* table, uint64_t id) : table_(table), id_(id) {}
  void swap(Reservation& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(id_, other.id_);
  }

  Reservations* table_ = nullptr;
  uint64_t id_ = 0;
};

using TicketId = uint64_t;  // never 0

struct Admission {
  model::DomainId domain;
  model::TenantId payer;  // held as long as it waits, and as long as it is admitted
  uint64_t bytes = 0;
};

// Where a queued one stands.
struct QueuePlace {
  uint32_t position = 0;                // 1: it is next; at least, behind kMostCounted
  std::optional<uint64_t> estimate_ms;  // none: nothing came free lately, so nobody knows
};

class Reservations {
 public:
  Reservations(AccountTable* accounts, const QuotaTable* quotas)
      : accounts_(accounts), quotas_(quotas) {}
  Reservations(const Reservations&) = delete;
  Reservations& operator=(const Reservations&) = delete;

  // kResourceExhausted: more than could ever be admitted; the text names the bound. `share_bytes`:
  // what nobody takes from the domain.
  model::Result<void> check(const Admission& admission, uint64_t share_bytes) const;
  // At once, if nobody stands before it. An empty one: it is to be queued. Precondition: check(),
  // and some bytes.
  Reservation try_admit(const Admission& admission, uint64_t share_bytes);
  // kBusy: kMaxAdmissions of the domain wait.
  model::Result<TicketId> queue(const Admission& admission);
  // Its turn has come, and it fits: it waits no more. Empty: it still waits. Precondition: queued.
  Reservation try_ticket(TicketId ticket, uint64_t share_bytes);
  // Of this domain: whose turn it is, if anybody's.
  std::optional<TicketId> next_ticket(model::DomainId domain) const;
  // Precondition of these: queued.
  void leave(TicketId ticket);
  QueuePlace place_of(TicketId ticket, int64_t now_ns, uint64_t share_bytes) const;

  // Of the domain's reservations: what they may still count on, and all of them.
  uint64_t unspent_bytes(model::DomainId domain) const;
  uint64_t admitted_bytes(model::DomainId domain) const;
  size_t queued_count(model::DomainId domain) const;
  // The domain's id will be another's. Precondition: nothing is reserved, and nobody waits.
  void forget(model::DomainId domain) { domains_.erase(domain.value); }
  // The time of reservations that end from now on, for the rate at which they come free.
  void set_now(int64_t now_ns) { now_ns_ = now_ns; }
  void check_invariants() const;

 private:
  friend class Reservation;
  friend class ReservationRef;
  struct Record {
    model::DomainId domain;
    model::TenantId payer;
    uint64_t bytes = 0;
    uint64_t used = 0;
    uint64_t unspent() const { return bytes - std::min(bytes, used); }
  };
  struct Waiter {
    TicketId ticket = 0;
    Admission admission;
  };
  struct Domain {
    uint64_t admitted = 0;
    uint64_t unspent = 0;
    size_t waiting = 0;
    std::map<uint32_t, std::deque<Waiter>> queues;  // by tenant; one without waiters is erased
    std::deque<uint32_t> turns;                     // tenants with waiters; the first one's is next
    FreeRate rate;
  };

  static size_t index_of(const std::deque<Waiter>& queue, TicketId ticket);
  bool fits_burst(const Admission& admission) const;
  bool fits_share(const Admission& admission, uint64_t share_bytes) const;
  // The head whose turn it is; null: nobody waits, or each is at its own burst.
  const Waiter* next(const Domain& domain) const;
  Reservation admit(const Admission& admission);
  // Null: it has ended.
  const Record* find(uint64_t id) const;
  void set_used(uint64_t id, uint64_t used);
  void end(uint64_t id);

  AccountTable* accounts_;
  const QuotaTable* quotas_;
  std::map<uint16_t, Domain> domains_;
  std::map<TicketId, Admission> tickets_;
  std::unordered_map<uint64_t, Record> records_;  // of reservations, by id
  TicketId last_ticket_ = 0;
  uint64_t last_id_ = 0;
  int64_t now_ns_ = 0;
};

}  // namespace quire::cache
