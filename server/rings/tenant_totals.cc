#include "server/rings/tenant_totals.h"

namespace quire::server {

void TenantCounters::add(const TurnRecord& record) {
  ++turns;
  prompt_tokens += record.prompt_tokens;
  hit_tokens += record.hit_tokens;
  missed_tokens += record.missed_tokens;
  ram_tokens += record.delivered[model::TierId::kRam];
  ssd_tokens += record.delivered[model::TierId::kSsd];
  cluster_tokens += record.delivered[model::TierId::kCluster];
  for (const WrittenObjects& objects : record.written) written_bytes += objects.bytes;
}

void TenantTotals::add(model::TenantId tenant, const TurnRecord& record) {
  if (tenant.value >= rows_.size()) rows_.resize(tenant.value + 1);
  Row& row = rows_[tenant.value];
  if (row.domain.empty() || row.uid != record.uid || row.name != record.payer) {
    row = {.uid = record.uid,
           .domain = "uid:" + std::to_string(record.uid),
           .name = std::string(record.payer),
           .counters = {}};
  }
  row.counters.add(record);
}

const TenantCounters* TenantTotals::find(model::TenantId tenant, std::string_view domain,
                                         std::string_view name) const {
  if (tenant.value >= rows_.size()) return nullptr;
  const Row& row = rows_[tenant.value];
  return row.domain == domain && row.name == name ? &row.counters : nullptr;
}

}  // namespace quire::server
