// FOCUS rows by the rules that its validator checks, without it: columns and their order, types,
// nulls. tests/focus/check_focus.sh runs the validator itself.
#include "client/quirectl/meter/focus_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "tests/meter/focus_file.h"
#include "tests/meter/meter_rig.h"

namespace quire::client::focus_rows_test {

using namespace quire::tests;

namespace {

FocusFile exported(FocusOptions options = {}, ReceiptView receipt = full_view()) {
  std::string text;
  FocusRows writer(text, std::move(options));
  writer.header();
  writer.receipt(receipt);
  writer.storage(full_storage());
  writer.lost(full_lost());
  return parse_focus(text);
}

bool is_custom(const std::string& column) { return column.starts_with("x_"); }

// Mandatory in FOCUS 1.2 and 1.3, and those that their conditions ask of a service that measures
// usage, has sub accounts and unit prices.
const std::set<std::string> kRequired{"BilledCost",         "BillingAccountId",
                                      "BillingAccountName", "BillingCurrency",
                                      "BillingPeriodEnd",   "BillingPeriodStart",
                                      "ChargeCategory",     "ChargeClass",
                                      "ChargeDescription",  "ChargePeriodEnd",
                                      "ChargePeriodStart",  "CommitmentDiscountStatus",
                                      "InvoiceId",          "ConsumedQuantity",
                                      "ConsumedUnit",       "ContractedCost",
                                      "EffectiveCost",      "HostProviderName",
                                      "InvoiceIssuerName",  "ListCost",
                                      "PricingCategory",    "PricingQuantity",
                                      "PricingUnit",        "ProviderName",
                                      "PublisherName",      "ServiceCategory",
                                      "ServiceName",        "ServiceProviderName",
                                      "ServiceSubcategory", "SkuId",
                                      "SkuMeter",           "SkuPriceId",
                                      "SubAccountId",       "SubAccountName"};
const std::set<std::string> kMayBeNull{"BillingAccountName",
                                       "ChargeClass",
                                       "CommitmentDiscountStatus",
                                       "InvoiceId",
                                       "ContractedUnitPrice",
                                       "ListUnitPrice",
                                       "SkuPriceDetails",
                                       "SubAccountId",
                                       "SubAccountName",
                                       "SubAccountType",
                                       "x_PriceRule",
                                       "x_RequestId",
                                       "x_SessionId",
                                       "x_Turn",
                                       "x_NamespaceName"};
const std::set<std::string> kDecimals{"BilledCost",       "ContractedCost", "ContractedUnitPrice",
                                      "ConsumedQuantity", "EffectiveCost",  "ListCost",
                                      "ListUnitPrice",    "PricingQuantity"};

}  // namespace

TEST(FocusRows, EveryRequiredColumnIsThereOnceInOrder) {
  const FocusFile file = exported();
  const auto custom = std::find_if(file.columns.begin(), file.columns.end(), is_custom);
  const std::vector<std::string> standard(file.columns.begin(), custom);
  EXPECT_TRUE(std::is_sorted(standard.begin(), standard.end()));
  EXPECT_EQ(std::set<std::string>(standard.begin(), standard.end()).size(), standard.size());
  EXPECT_TRUE(std::all_of(custom, file.columns.end(), is_custom)) << "custom columns stand last";
  for (const std::string& column : kRequired) {
    EXPECT_TRUE(std::count(standard.begin(), standard.end(), column)) << column;
  }
  for (const std::string& column : file.columns) {
    EXPECT_TRUE(std::regex_match(column, std::regex("(x_)?[A-Z][A-Za-z]{1,47}"))) << column;
  }
}

TEST(FocusRows, OnlyWhatMayBeNullIs) {
  for (const FocusRow& row : exported().rows) {
    for (const auto& [column, value] : row) {
      EXPECT_TRUE(!value.empty() || kMayBeNull.contains(column)) << column;
    }
    EXPECT_EQ(row.at("SubAccountId").empty(), row.at("SubAccountType").empty());
  }
}

TEST(FocusRows, ValuesAreOfTheirTypes) {
  const std::regex decimal("[0-9]+\\.[0-9]+");
  const std::regex instant("[0-9]{4}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z");
  for (const FocusRow& row : exported().rows) {
    for (const std::string& column : kDecimals) {
      const std::string& value = row.at(column);
      EXPECT_TRUE(value.empty() || std::regex_match(value, decimal)) << column << " " << value;
    }
    for (const char* column :
         {"BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"}) {
      EXPECT_TRUE(std::regex_match(row.at(column), instant)) << column << " " << row.at(column);
    }
    EXPECT_EQ(row.at("ChargeCategory"), "Usage");
    EXPECT_EQ(row.at("ChargeFrequency"), "Usage-Based");
    EXPECT_EQ(row.at("PricingCategory"), "Standard");
    EXPECT_LT(row.at("ChargePeriodStart"), row.at("ChargePeriodEnd"));
    EXPECT_LE(row.at("BillingPeriodStart"), row.at("ChargePeriodStart"));
  }
}

TEST(FocusRows, AReceiptIsARowForEachMeterThatItMoved) {
  std::map<std::string, std::string> quantities;
  std::set<std::string> receipts;
  for (const FocusRow& row : exported().rows) {
    quantities[row.at("SkuId")] = row.at("ConsumedQuantity") + " " + row.at("ConsumedUnit");
    receipts.insert(row.at("x_ReceiptId"));
    EXPECT_EQ(row.at("PricingQuantity"), row.at("ConsumedQuantity"));
    EXPECT_EQ(row.at("PricingUnit"), row.at("ConsumedUnit"));
  }
  const std::map<std::string, std::string> expected{
      {"deepseek-flash/hit_tokens", "742.0 Tokens"},
      {"deepseek-flash/replayed_tokens", "128.0 Tokens"},
      {"deepseek-flash/missed_tokens", "130.0 Tokens"},
      {"deepseek-flash/output_tokens", "77.0 Tokens"},
      {"deepseek-flash/written_tokens", "136.0 Tokens"},
      {"ssd/byte_seconds", "18446744073709.551616 B-Seconds"},
      {"ssd/token_seconds", "1.5 Token-Seconds"}};
  EXPECT_EQ(quantities, expected);
  EXPECT_EQ(receipts, (std::set<std::string>{"3.17", "3.18"}));
}

TEST(FocusRows, WhatAPriceDependsOnIsInItsId) {
  std::set<std::string> ids;
  for (const FocusRow& row : exported().rows) {
    ids.insert(row.at("SkuPriceId") + " " + row.at("SkuPriceDetails"));
  }
  EXPECT_TRUE(ids.contains("deepseek-flash/hit_tokens/batch {\"x_ServiceTier\":\"batch\"}"));
  EXPECT_TRUE(
      ids.contains("deepseek-flash/written_tokens/batch/5m "
                   "{\"x_ServiceTier\":\"batch\",\"x_Retention\":\"5m\"}"));
  EXPECT_TRUE(ids.contains("ssd/byte_seconds/standard/1h {\"x_Retention\":\"1h\"}"));
}

TEST(FocusRows, WithoutPricesCostsAreZeroAndUnitPricesNull) {
  for (const FocusRow& row : exported().rows) {
    for (const char* cost : {"BilledCost", "ContractedCost", "EffectiveCost", "ListCost"}) {
      EXPECT_EQ(row.at(cost), "0.0");
    }
    EXPECT_EQ(row.at("ListUnitPrice") + row.at("ContractedUnitPrice"), "");
  }
}

TEST(FocusRows, ACostStandsInItsColumns) {
  std::string text;
  FocusRows writer(text, {.provider = "Acme", .currency = "USD"});
  writer.header();
  FocusCharge charge = FocusRows::charge_of(full_view());
  charge.meter = "hit_tokens";
  charge.quantity = "742.0";
  charge.cost = FocusCost{"CNY", "0.5", "1000000 Tokens", "0.000742", "0.000371", "a rule"};
  writer.append(charge);
  const FocusRow row = parse_focus(text).rows.front();
  EXPECT_EQ(row.at("ListUnitPrice") + " " + row.at("ContractedUnitPrice"), "0.5 0.5");
  for (const char* cost : {"BilledCost", "ContractedCost", "EffectiveCost", "ListCost"}) {
    EXPECT_EQ(row.at(cost), "0.000371") << cost;
  }
  EXPECT_EQ(row.at("PricingQuantity") + " " + row.at("PricingUnit"), "0.000742 1000000 Tokens");
  EXPECT_EQ(row.at("ConsumedQuantity") + " " + row.at("ConsumedUnit"), "742.0 Tokens");
  EXPECT_EQ(row.at("BillingCurrency") + row.at("ProviderName"), "CNYAcme");
  EXPECT_EQ(row.at("x_PriceRule"), "a rule");
}

TEST(FocusRows, TheNamelessTenantIsNoSubAccount) {
  ReceiptView receipt = full_view();
  receipt.texts[static_cast<size_t>(model::ReceiptText::kPayer)] = "";
  const FocusRow row = exported({}, receipt).rows.front();
  EXPECT_EQ(row.at("BillingAccountId"), "uid:1000");
  EXPECT_EQ(row.at("SubAccountId") + row.at("SubAccountName") + row.at("SubAccountType"), "");
}

TEST(FocusRows, AReceiptThatMovedNothingHasNoCharge) {
  std::string text;
  FocusRows(text, {}).receipt({{1, 1}, {}, {}});
  EXPECT_EQ(text, "");
}

}  // namespace quire::client::focus_rows_test
