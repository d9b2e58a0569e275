#include "client/quirectl/meter/focus_rows.h"

#include <algorithm>
#include <array>

#include "client/quirectl/meter/field_text.h"
#include "client/quirectl/meter/json_rows.h"
#include "client/quirectl/meter/receipt_fields.h"
#include "client/quirectl/meter/stamp.h"

namespace quire::client {

using model::ReceiptText;

namespace {

constexpr const char* kNoCost = "0.0";

struct FocusMeter {
  std::string_view name;
  uint32_t model::ReceiptRecord::*tokens;
};
constexpr std::array kFocusMeters{
    FocusMeter{"hit_tokens", &model::ReceiptRecord::hit_tokens},
    FocusMeter{"replayed_tokens", &model::ReceiptRecord::replayed_tokens},
    FocusMeter{"missed_tokens", &model::ReceiptRecord::missed_tokens},
    FocusMeter{"output_tokens", &model::ReceiptRecord::output_tokens},
    FocusMeter{"written_tokens", &model::ReceiptRecord::written_tokens}};

std::string words_of(std::string_view meter) {
  std::string words(meter);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

// An engine's number; 0: it gave none.
std::string id_text(uint64_t id) { return id == 0 ? std::string() : std::to_string(id); }

// What a price depends on but for its amount, its currency and its time: MODEL/METER/TIER, and the
// retention of what was written.
std::string price_id(const FocusCharge& charge) {
  std::string id(charge.sku);
  id.append("/").append(charge.meter).append("/");
  id.append(charge.service_tier.empty() ? "standard" : charge.service_tier);
  if (!charge.retention.empty()) id.append("/").append(charge.retention);
  return id;
}

// Of what a price may depend on, and is not in a column of its own. A key that FOCUS does not
// define begins with x_.
std::string price_details(std::string_view service_tier, std::string_view retention) {
  std::string details = "{";
  JsonFields fields(details);
  if (!service_tier.empty()) fields.text("x_ServiceTier", service_tier);
  if (!retention.empty()) fields.text("x_Retention", retention);
  return details == "{" ? std::string() : details + "}";
}

// The columns of a charge, by `column(name, value)`; empty is null.
template <typename Column>
void for_each_column(const FocusCharge& charge, const FocusOptions& options, Column column) {
  const FocusCost& cost = charge.cost ? *charge.cost : FocusCost();
  const std::string amount = charge.cost ? cost.amount : kNoCost;
  const MonthBounds month = month_of(charge.from_us);
  column("BilledCost", amount);
  column("BillingAccountId", "uid:" + std::to_string(charge.uid));
  column("BillingAccountName", std::string());
  column("BillingCurrency", charge.cost ? cost.currency : options.currency);
  column("BillingPeriodEnd", second_text(month.end_us));
  column("BillingPeriodStart", second_text(month.begin_us));
  column("ChargeCategory", std::string("Usage"));
  column("ChargeClass", std::string());
  column("ChargeDescription", words_of(charge.meter) + " of " + std::string(charge.sku));
  column("ChargeFrequency", std::string("Usage-Based"));
  // The end is exclusive, and both are of whole seconds, as FOCUS writes instants.
  column("ChargePeriodEnd", second_text(charge.to_us + kSecondUs));
  column("ChargePeriodStart", second_text(charge.from_us));
  // Null, and there: what FOCUS says of quantities depends on it.
  column("CommitmentDiscountStatus", std::string());
  column("ConsumedQuantity", charge.quantity);
  column("ConsumedUnit", std::string(charge.unit));
  column("ContractedCost", amount);
  column("ContractedUnitPrice", cost.unit_price);
  column("EffectiveCost", amount);
  column("HostProviderName", options.provider);
  column("InvoiceId", std::string());
  column("InvoiceIssuerName", options.provider);
  column("ListCost", amount);
  column("ListUnitPrice", cost.unit_price);
  column("PricingCategory", std::string("Standard"));
  column("PricingQuantity", charge.cost ? cost.pricing_quantity : charge.quantity);
  column("PricingUnit", charge.cost ? cost.pricing_unit : std::string(charge.unit));
  column("ProviderName", options.provider);
  column("PublisherName", options.provider);
  column("ServiceCategory", std::string("AI and Machine Learning"));
  column("ServiceName", std::string("Quire KV cache"));
  column("ServiceProviderName", options.provider);
  column("ServiceSubcategory", std::string("Generative AI"));
  column("SkuId", std::string(charge.sku) + "/" + std::string(charge.meter));
  column("SkuMeter", words_of(charge.meter));
  column("SkuPriceDetails", price_details(charge.service_tier, charge.retention));
  column("SkuPriceId", price_id(charge));
  column("SubAccountId", std::string(charge.payer));
  column("SubAccountName", std::string(charge.payer));
  column("SubAccountType", std::string(charge.payer.empty() ? "" : "Tenant"));
  column("x_PriceRule", cost.rule);
  column("x_ReceiptId", charge.position ? to_text(*charge.position) : std::string());
  column("x_RequestId", charge.request_id);
  column("x_SessionId", charge.session);
  column("x_Turn", charge.turn);
  column("x_NamespaceName", std::string(charge.namespace_name));
}

}  // namespace

void FocusRows::header() {
  for_each_column(FocusCharge(), options_,
                  [&](std::string_view name, const std::string&) { rows_.append(name) += ','; });
  rows_.back() = '\n';
}

void FocusRows::append(const FocusCharge& charge) {
  for_each_column(charge, options_, [&](std::string_view, const std::string& value) {
    append_csv_text(rows_, value);
    rows_ += ',';
  });
  rows_.back() = '\n';
}

FocusCharge FocusRows::charge_of(const ReceiptView& receipt) {
  const model::ReceiptRecord& record = receipt.record;
  return {.position = receipt.position,
          .from_us = record.opened_us,
          .to_us = record.closed_us,
          .uid = record.uid,
          .payer = receipt.text(ReceiptText::kPayer),
          .sku = receipt.model_name(),
          .unit = "Tokens",
          .service_tier = receipt.text(ReceiptText::kServiceTier),
          .namespace_name = receipt.text(ReceiptText::kNamespace),
          .request_id = id_text(record.request_id),
          .session = std::to_string(record.session),
          .turn = std::to_string(record.turn)};
}

void FocusRows::receipt(const ReceiptView& receipt) {
  const model::ReceiptRecord& record = receipt.record;
  FocusCharge charge = charge_of(receipt);
  for (const FocusMeter& meter : kFocusMeters) {
    const uint32_t tokens = record.*meter.tokens;
    if (tokens == 0) continue;
    charge.meter = meter.name;
    charge.quantity = std::to_string(tokens) + ".0";
    // How long it is kept is a matter of what is written alone.
    charge.retention =
        meter.name == "written_tokens" ? receipt.text(ReceiptText::kRetention) : std::string_view();
    append(charge);
  }
}

void FocusRows::storage(const StorageView& storage) {
  const model::StorageRecord& record = storage.record;
  FocusCharge charge{.position = storage.position,
                     .from_us = record.from_us,
                     .to_us = record.to_us,
                     .uid = record.uid,
                     .payer = storage.tenant,
                     .sku = storage_tier(record),
                     .retention = storage.retention};
  const auto add = [&](std::string_view meter, std::string_view unit,
                       const model::WideCount& count_us) {
    if (count_us.low == 0 && count_us.high == 0) return;
    charge.meter = meter;
    charge.unit = unit;
    charge.quantity = seconds_text(count_us);
    append(charge);
  };
  add("byte_seconds", "B-Seconds", record.byte_us);
  add("token_seconds", "Token-Seconds", record.token_us);
}

}  // namespace quire::client
