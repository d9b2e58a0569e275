#include "server/metering/storage_feed.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <thread>

namespace quire::server {

namespace {

// A domain is a user: its name is "uid:N".
uint32_t uid_of(const std::string& domain) {
  uint32_t uid = 0;
  const size_t digits = domain.find(':') + 1;
  std::from_chars(domain.data() + digits, domain.data() + domain.size(), uid);
  return uid;
}

model::WideCount words_of(cache::WideUnsigned value) {
  return {static_cast<uint64_t>(value), static_cast<uint64_t>(value >> 64)};
}

}  // namespace

StorageFeed::StorageFeed(const Parts& parts)
    : parts_(parts), minute_(parts.ledger->wall_us() / kMinuteUs) {
  parts_.cache->store().presence().storage().start(parts_.clock);
}

void StorageFeed::tell(model::TenantId tenant) {
  for (uint8_t number = 0; number < cache::RetentionTable::kNumbers; ++number) {
    tell_class({tenant, number});
  }
}

void StorageFeed::tell_class(cache::StorageOwner owner) {
  cache::StorageMeter& meter = parts_.cache->store().presence().storage();
  const cache::NamespaceTable& names = parts_.cache->names();
  if (!meter.holds(owner)) return;
  // Before it is taken: what holds nothing any more is forgotten with that.
  const std::string tenant = names.tenants().name_of(owner.tenant);
  const std::string retention = names.retentions().name_of(owner.tenant, owner.retention);
  const uint32_t uid = uid_of(names.domain_name(names.tenants().domain_of(owner.tenant)));
  for (size_t place = 0; place < cache::StorageMeter::kPlaces; ++place) {
    const cache::HeldStorage held = meter.take(owner, place);
    if (held.byte_us == 0 && held.token_us == 0) continue;
    model::StorageRecord record;
    record.to_us = parts_.ledger->wall_us();
    record.from_us = record.to_us - held.span_us;
    record.byte_us = words_of(held.byte_us);
    record.token_us = words_of(held.token_us);
    record.uid = uid;
    record.most_bytes = held.most_bytes;
    record.most_tokens = held.most_tokens;
    record.tier = static_cast<uint8_t>(place);
    parts_.ledger->hold(record, tenant, retention);
  }
}

bool StorageFeed::step(int64_t now_ns) {
  if (next_ == 0) {
    if (now_ns - looked_ns_ < kLookNs) return false;
    looked_ns_ = now_ns;
    const int64_t minute = parts_.ledger->wall_us() / kMinuteUs;
    if (minute == minute_) return false;
    minute_ = minute;
  }
  const uint32_t end = parts_.cache->store().presence().storage().end_of_ids();
  const uint32_t last = std::min(end, next_ + kTenantsPerStep);
  // What is not taken stays in the meter: nothing is lost while the ledger has no room.
  while (next_ < last && parts_.ledger->takes_storage()) tell(model::TenantId{next_++});
  if (next_ < end) return parts_.ledger->takes_storage();
  next_ = 0;
  return false;
}

void StorageFeed::tell_all() {
  const uint32_t end = parts_.cache->store().presence().storage().end_of_ids();
  const int64_t start_ns = parts_.clock->now_ns();
  for (uint32_t id = 0; id < end; ++id) {
    while (!parts_.ledger->takes_storage() && parts_.clock->now_ns() - start_ns < kEndNs) {
      std::this_thread::yield();
    }
    tell(model::TenantId{id});
  }
  next_ = 0;
}

}  // namespace quire::server
