#include "cache/accounts/reservations.h"

#include <algorithm>
#include <string>

#include "model/check.h"

namespace quire::cache {

using model::DomainId;
using model::Errc;
using model::make_error;
using model::TierId;

Reservation::~Reservation() {
  if (table_ != nullptr) table_->end(id_);
}

uint64_t Reservation::bytes() const { return table_ == nullptr ? 0 : table_->find(id_)->bytes; }

void ReservationRef::use(uint64_t bytes) const {
  const Reservations::Record* record = table_ == nullptr ? nullptr : table_->find(id_);
  if (record != nullptr) table_->set_used(id_, record->used + bytes);
}

void ReservationRef::unuse(uint64_t bytes) const {
  const Reservations::Record* record = table_ == nullptr ? nullptr : table_->find(id_);
  if (record == nullptr) return;
  QUIRE_CHECK(bytes <= record->used);
  table_->set_used(id_, record->used - bytes);
}

uint64_t ReservationRef::unspent() const {
  const Reservations::Record* record = table_ == nullptr ? nullptr : table_->find(id_);
  return record == nullptr ? 0 : record->unspent();
}

const Reservations::Record* Reservations::find(uint64_t id) const {
  const auto found = records_.find(id);
  return found == records_.end() ? nullptr : &found->second;
}

void Reservations::set_used(uint64_t id, uint64_t used) {
  Record& record = records_.at(id);
  uint64_t& of_domain = domains_.at(record.domain.value).unspent;
  of_domain -= record.unspent();
  record.used = used;
  of_domain += record.unspent();
}

bool Reservations::fits_burst(const Admission& admission) const {
  const Owner owner = quotas_->owner_of(TierId::kRam, admission.payer);
  const uint64_t burst = quotas_->burst_bytes(TierId::kRam, owner);
  if (burst == UINT64_MAX) return true;
  const uint64_t admitted = quotas_->admitted_bytes(TierId::kRam, owner);
  return admission.bytes <= burst && admitted <= burst - admission.bytes;
}

// What other owners are guaranteed is not to be had, whether they hold it now or not.
bool Reservations::fits_share(const Admission& admission, uint64_t share_bytes) const {
  return admission.bytes <= share_bytes &&
         quotas_->committed_bytes(TierId::kRam, admission.payer, admission.bytes) <= share_bytes;
}

model::Result<void> Reservations::check(const Admission& admission, uint64_t share_bytes) const {
  const Owner owner = quotas_->owner_of(TierId::kRam, admission.payer);
  const uint64_t burst = quotas_->burst_bytes(TierId::kRam, owner);
  if (admission.bytes > burst) {
    return make_error(Errc::kResourceExhausted,
                      "a session cannot reserve " + std::to_string(admission.bytes) +
                          " bytes: the tenant may hold " + std::to_string(burst) +
                          " of RAM (quirectl quota show)");
  }
  const uint64_t kept = quotas_->guaranteed_to_others(TierId::kRam, admission.payer);
  const uint64_t most = share_bytes - std::min(share_bytes, kept);
  if (admission.bytes > most) {
    return make_error(Errc::kResourceExhausted,
                      "a session cannot reserve " + std::to_string(admission.bytes) +
                          " bytes: of its user's share of --ram_bytes, " +
                          std::to_string(share_bytes) + ", others are guaranteed " +
                          std::to_string(kept));
  }
  return {};
}

Reservation Reservations::admit(const Admission& admission) {
  Domain& domain = domains_[admission.domain.value];
  accounts_->admit(admission.payer, TierId::kRam, admission.bytes);
  domain.admitted += admission.bytes;
  domain.unspent += admission.bytes;
  records_.emplace(
      ++last_id_,
      Record{.domain = admission.domain, .payer = admission.payer, .bytes = admission.bytes});
  return {this, last_id_};
}

void Reservations::end(uint64_t id) {
  const auto found = records_.find(id);
  const Record& record = found->second;
  Domain& domain = domains_.at(record.domain.value);
  accounts_->dismiss(record.payer, TierId::kRam, record.bytes);
  domain.admitted -= record.bytes;
  domain.unspent -= record.unspent();
  domain.rate.add(now_ns_, record.bytes);
  records_.erase(found);
}

const Reservations::Waiter* Reservations::next(const Domain& domain) const {
  for (const uint32_t tenant : domain.turns) {
    const Waiter& head = domain.queues.at(tenant).front();
    if (fits_burst(head.admission)) return &head;
  }
  return nullptr;
}

Reservation Reservations::try_admit(const Admission& admission, uint64_t share_bytes) {
  QUIRE_CHECK(admission.bytes > 0);
  const Domain& domain = domains_[admission.domain.value];
  const bool first = !domain.queues.contains(admission.payer.value) && next(domain) == nullptr;
  if (!first || !fits_burst(admission) || !fits_share(admission, share_bytes)) return {};
  return admit(admission);
}

model::Result<TicketId> Reservations::queue(const Admission& admission) {
  Domain& domain = domains_[admission.domain.value];
  if (domain.waiting >= kMaxAdmissions) {
    return make_error(Errc::kBusy, "4,096 sessions of this user wait to be admitted");
  }
  const TicketId ticket = ++last_ticket_;
  std::deque<Waiter>& queue = domain.queues[admission.payer.value];
  if (queue.empty()) domain.turns.push_back(admission.payer.value);
  queue.push_back({ticket, admission});
  ++domain.waiting;
  tickets_.emplace(ticket, admission);
  return ticket;
}

std::optional<TicketId> Reservations::next_ticket(DomainId domain) const {
  const auto found = domains_.find(domain.value);
  const Waiter* head = found == domains_.end() ? nullptr : next(found->second);
  if (head == nullptr) return std::nullopt;
  return head->ticket;
}

Reservation Reservations::try_ticket(TicketId ticket, uint64_t share_bytes) {
  const Admission admission = tickets_.at(ticket);
  Domain& domain = domains_.at(admission.domain.value);
  const Waiter* first = next(domain);
  const bool its_turn = first != nullptr && first->ticket == ticket;
  if (!its_turn || !fits_share(admission, share_bytes)) return {};
  // Its tenant had a turn: those who stood before it only because they were at their burst keep
  // theirs.
  const auto turn = std::find(domain.turns.begin(), domain.turns.end(), admission.payer.value);
  domain.turns.erase(turn);
  domain.turns.push_back(admission.payer.value);
  leave(ticket);
  return admit(admission);
}

void Reservations::leave(TicketId ticket) {
  const auto found = tickets_.find(ticket);
  QUIRE_CHECK(found != tickets_.end());
  const uint32_t tenant = found->second.payer.value;
  Domain& domain = domains_.at(found->second.domain.value);
  std::deque<Waiter>& queue = domain.queues.at(tenant);
  queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(index_of(queue, ticket)));
  if (queue.empty()) {
    domain.queues.erase(tenant);
    domain.turns.erase(std::find(domain.turns.begin(), domain.turns.end(), tenant));
  }
  --domain.waiting;
  tickets_.erase(found);
}

// Tickets of a queue rise.
size_t Reservations::index_of(const std::deque<Waiter>& queue, TicketId ticket) {
  const auto found =
      std::lower_bound(queue.begin(), queue.end(), ticket,
                       [](const Waiter& one, TicketId wanted) { return one.ticket < wanted; });
  QUIRE_CHECK(found != queue.end() && found->ticket == ticket);
  return static_cast<size_t>(found - queue.begin());
}

// One of each tenant in turn, beginning with the tenant whose turn it is.
QueuePlace Reservations::place_of(TicketId ticket, int64_t now_ns, uint64_t share_bytes) const {
  const Admission& admission = tickets_.at(ticket);
  const Domain& domain = domains_.at(admission.domain.value);
  const size_t index = index_of(domain.queues.at(admission.payer.value), ticket);
  QueuePlace place{.position = 1};
  uint64_t bytes = admission.bytes;
  bool passed_own = false;
  size_t left = kMostCounted;
  for (const uint32_t tenant : domain.turns) {
    if (left == 0) return place;  // at least there; nobody knows when
    --left;
    const std::deque<Waiter>& queue = domain.queues.at(tenant);
    const bool is_own = tenant == admission.payer.value;
    const size_t rounds = index + (is_own || passed_own ? 0 : 1);
    passed_own = passed_own || is_own;
    const size_t before = std::min(queue.size(), rounds);
    place.position += static_cast<uint32_t>(before);
    if (before > left) return place;
    left -= before;
    for (size_t i = 0; i < before; ++i) bytes += queue[i].admission.bytes;
  }
  const uint64_t free = share_bytes - std::min(share_bytes, domain.admitted);
  place.estimate_ms = domain.rate.ms_for(bytes - std::min(bytes, free), now_ns);
  return place;
}

uint64_t Reservations::unspent_bytes(DomainId domain) const {
  const auto found = domains_.find(domain.value);
  return found == domains_.end() ? 0 : found->second.unspent;
}

uint64_t Reservations::admitted_bytes(DomainId domain) const {
  const auto found = domains_.find(domain.value);
  return found == domains_.end() ? 0 : found->second.admitted;
}

size_t Reservations::queued_count(DomainId domain) const {
  const auto found = domains_.find(domain.value);
  return found == domains_.end() ? 0 : found->second.waiting;
}

void Reservations::check_invariants() const {
  size_t waiting = 0;
  for (const auto& [id, domain] : domains_) {
    const DomainId number{id};
    uint64_t unspent = 0;
    for (const auto& [key, record] : records_) {
      if (record.domain == number) unspent += record.unspent();
    }
    QUIRE_CHECK(unspent == domain.unspent);
    QUIRE_CHECK(domain.admitted == accounts_->of(number, TierId::kRam).admitted_bytes);
    QUIRE_CHECK(domain.unspent <= domain.admitted && domain.waiting <= kMaxAdmissions);
    QUIRE_CHECK(domain.turns.size() == domain.queues.size());
    for (const auto& [tenant, queue] : domain.queues) {
      QUIRE_CHECK(!queue.empty());
      QUIRE_CHECK(std::count(domain.turns.begin(), domain.turns.end(), tenant) == 1);
      for (const Waiter& one : queue) {
        QUIRE_CHECK(tickets_.contains(one.ticket) && one.admission.payer.value == tenant);
      }
      waiting += queue.size();
    }
  }
  QUIRE_CHECK(waiting == tickets_.size());
}

}  // namespace quire::cache
