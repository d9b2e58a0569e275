#include "cache/serve/lease_table.h"

#include <utility>

#include "model/check.h"
#include "model/limits.h"

namespace quire::cache {

using model::Errc;
using model::LeaseId;

namespace {
LeaseId make_id(uint32_t index, uint32_t generation) {
  return LeaseId{uint64_t{generation} << 32 | index};
}
uint32_t index_of(LeaseId id) { return static_cast<uint32_t>(id.value); }
uint32_t generation_of(LeaseId id) { return static_cast<uint32_t>(id.value >> 32); }
}  // namespace

model::Result<LeaseId> LeaseTable::add(LeaseHolder& holder) {
  if (holder.lease_count >= model::kMaxLeasesPerAttachment || count_ >= kMaxLeases) {
    return model::make_error(Errc::kBusy, "too many leases; release some");
  }
  if (HolderShare* share = holder.share; share != nullptr) {
    // The last part of the table is for administrators: users together cannot lock them out.
    const uint32_t kept = share->kept_part == 0 ? 0 : kMaxLeases / share->kept_part;
    if (share->leases >= share->max_leases || count_ >= kMaxLeases - kept) {
      return model::make_error(Errc::kBusy,
                               "this uid has its share of all leases (--uid_share_percent); "
                               "release some");
    }
    ++share->leases;
  }
  auto index = static_cast<uint32_t>(leases_.size());
  if (free_head_ != 0) {
    index = free_head_ - 1;
    free_head_ = leases_[index].next;
  } else {
    leases_.emplace_back();
  }
  const uint32_t generation = leases_[index].generation + 1;
  Lease& lease = leases_[index];
  lease = Lease{};
  lease.generation = generation;
  lease.holder = &holder;
  lease.next = holder.first_lease;
  if (holder.first_lease != 0) leases_[holder.first_lease - 1].previous = index + 1;
  holder.first_lease = index + 1;
  ++holder.lease_count;
  ++count_;
  return make_id(index, generation);
}

// The id comes from a client, and may be old or made up.
Lease* LeaseTable::find(LeaseId id) {
  const uint32_t index = index_of(id);
  if (index >= leases_.size()) return nullptr;
  Lease& lease = leases_[index];
  const bool live = (lease.generation & 1) != 0 && lease.generation == generation_of(id);
  return live ? &lease : nullptr;
}

Lease* LeaseTable::find(LeaseId id, const LeaseHolder& holder) {
  Lease* lease = find(id);
  return lease != nullptr && lease->holder == &holder ? lease : nullptr;
}

void LeaseTable::count_load(LeaseId id, bool begins) {
  if (Lease* lease = find(id); lease != nullptr) lease->under_way += begins ? 1 : ~uint32_t{0};
}

void LeaseTable::remove(LeaseId id) {
  const uint32_t index = index_of(id);
  Lease& lease = leases_[index];
  QUIRE_CHECK(index < leases_.size() && lease.generation == generation_of(id));
  LeaseHolder& holder = *lease.holder;
  if (lease.previous != 0) {
    leases_[lease.previous - 1].next = lease.next;
  } else {
    holder.first_lease = lease.next;
  }
  if (lease.next != 0) leases_[lease.next - 1].previous = lease.previous;
  --holder.lease_count;
  if (holder.share != nullptr) --holder.share->leases;
  // Pins go last: the lease is nobody's when they tell that something may leave.
  Lease ended = std::exchange(lease, Lease{});
  lease.generation = ended.generation + 1;
  lease.next = free_head_;
  free_head_ = index + 1;
  --count_;
}

LeaseId LeaseTable::first(const LeaseHolder& holder) const {
  if (holder.first_lease == 0) return LeaseId{};
  const uint32_t index = holder.first_lease - 1;
  return make_id(index, leases_[index].generation);
}

}  // namespace quire::cache
