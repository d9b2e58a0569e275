#include "client/engines/reference/demo_bill.h"

#include <chrono>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <thread>

#include "client/quire.h"
#include "client/quirectl/daemon_command.h"
#include "client/quirectl/meter/bill_output.h"
#include "client/quirectl/meter/meter_bill.h"
#include "client/quirectl/meter/meter_verify.h"
#include "client/quirectl/meter/stamp.h"
#include "client/quirectl/status/status_facts.h"

namespace quire::client {

using model::Errc;
using model::make_error;
using model::Result;

namespace {

constexpr auto kDurableTimeout = std::chrono::seconds(30);

MeterOptions options_for(const std::string& socket_path, const std::string& source) {
  MeterOptions options;
  options.place.socket_path = socket_path;
  options.book = source + "/configs/prices/deepseek.toml";
  options.bill_currency = "USD";
  return options;
}

// Every session has ended, and what they told is on the device.
Result<void> wait_for_receipts(const std::string& socket_path) {
  const auto client =
      QUIRE_TRY(Client::connect({.socket_path = socket_path, .client_name = "demo"}));
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < kDurableTimeout) {
    const std::string status = QUIRE_TRY(client->status_json());
    const DaemonFacts facts = QUIRE_TRY(read_status(status));
    if (facts.sessions == 0 && facts.ledger.waiting == 0 && facts.ledger.lost == 0) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return make_error(Errc::kDeadlineExceeded, "receipts do not become durable");
}

DemoBill summary_of(const LedgerBill& made, int64_t to_us) {
  DemoBill bill{.to_us = to_us, .requests = made.counts.receipts};
  for (const prices::BillTotal& total : made.bill.totals) {
    bill.totals.push_back(total.amount.rounded(prices::Decimal::kDigits).text());
  }
  return bill;
}

Result<LedgerBill> bill_until(const MeterOptions& options) {
  std::ostringstream faults;
  LedgerBill made = QUIRE_TRY(bill_ledger(options, options.book, faults));
  if (made.faults == 0) return made;
  return make_error(Errc::kInternal, "the ledger is not whole: " + faults.str());
}

void indent(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    std::printf("                %s\n", line.c_str());
}

}  // namespace

Result<DemoBill> show_bill(const std::string& socket_path, const std::string& source) {
  QUIRE_TRY(wait_for_receipts(socket_path));
  MeterOptions options = options_for(socket_path, source);
  const int64_t now_us = present_us();
  options.to = stamp_text(now_us);
  const LedgerBill made = QUIRE_TRY(bill_until(options));
  std::printf("bill            of %lu requests; quirectl meter bill --book deepseek.toml:\n",
              static_cast<unsigned long>(made.counts.receipts));
  indent(QUIRE_TRY(bill_table(made.bill)));
  return summary_of(made, now_us);
}

Result<void> show_bill_again(const std::string& socket_path, const std::string& source,
                             const DemoBill& before) {
  QUIRE_TRY(wait_for_receipts(socket_path));
  MeterOptions options = options_for(socket_path, source);
  std::ostringstream verified;
  if (run_meter_verify(options, verified, std::cerr) != kExitOk) {
    return make_error(Errc::kInternal, "meter verify: " + verified.str());
  }
  const LedgerBill all = QUIRE_TRY(bill_until(options));
  options.to = stamp_text(before.to_us);
  const DemoBill again = summary_of(QUIRE_TRY(bill_until(options)), before.to_us);
  if (again.requests != before.requests || again.totals != before.totals) {
    return make_error(Errc::kInternal, "requests of before the kill are billed otherwise now");
  }
  std::printf(
      "                after kill -9: the ledger verifies, the %lu requests of before cost the "
      "same\n"
      "                to the last digit; with those since (%lu, of which %lu cut short):\n",
      static_cast<unsigned long>(again.requests), static_cast<unsigned long>(all.counts.receipts),
      static_cast<unsigned long>(all.counts.cut_short));
  const std::string table = QUIRE_TRY(bill_table(all.bill));
  const size_t total = table.find("total ");
  indent(total == std::string::npos ? table : table.substr(total));
  return {};
}

}  // namespace quire::client
