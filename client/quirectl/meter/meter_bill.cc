#include "client/quirectl/meter/meter_bill.h"

#include <algorithm>
#include <ostream>
#include <string>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/meter/bill_output.h"
#include "client/quirectl/meter/json_rows.h"
#include "client/quirectl/readable.h"
#include "model/prices/price_book.h"

namespace quire::client {

using model::Errc;
using model::make_error;
using model::Result;
using prices::Bill;
using prices::BillTotal;

namespace {

Result<prices::BillOptions> split_of(const MeterOptions& options) {
  prices::BillOptions bill{.day_zone = options.zone, .currency = options.bill_currency};
  for (const std::string& part : options.split) {
    if (part == "model") {
      bill.by_model = true;
    } else if (part == "namespace") {
      bill.by_namespace = true;
    } else if (part == "day") {
      bill.by_day = true;
    } else if (part == "tenant") {
      bill.by_tenant = true;
    } else {
      return make_error(Errc::kInvalidArgument,
                        "--by " + part + ": a bill is split by model, namespace, day or tenant");
    }
  }
  return bill;
}

std::string plural(uint64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// What is in it, before the bill itself.
std::string heading(const MeterOptions& options, const LedgerBill& made) {
  std::string text = plural(made.counts.receipts, "request");
  if (!options.from.empty()) text += " from " + options.from;
  if (!options.to.empty()) text += " before " + options.to;
  if (options.of_tenant) text += " of " + options.tenant;
  if (made.counts.cut_short > 0) {
    text += "; " + std::to_string(made.counts.cut_short) + " cut short, billed as far as they came";
  }
  if (made.counts.tried_again > 0) {
    text +=
        "; " + std::to_string(made.counts.tried_again) + " cut short and tried again, billed once";
  }
  if (made.unbilled.lost_receipts > 0) {
    text += "; " + std::to_string(made.unbilled.lost_receipts) + " more were lost, of all tenants";
  }
  if (made.unbilled.unknown_spans > 0) {
    text += "; some may be missing of " + plural(made.unbilled.unknown_spans, "span") +
            " of time, together " + duration_text(made.unbilled.unknown_us / 1000);
  }
  return text + "\n";
}

Result<std::string> to_json(const LedgerBill& made) {
  std::string text = "{";
  JsonFields fields(text);
  fields.number("receipts", made.counts.receipts);
  fields.number("cut_short", made.counts.cut_short);
  fields.number("tried_again", made.counts.tried_again);
  fields.number("lost_receipts", made.unbilled.lost_receipts);
  fields.number("unknown_spans", made.unbilled.unknown_spans);
  fields.number("unknown_us", made.unbilled.unknown_us);
  fields.number("ledger_faults", made.faults);
  std::string bill = QUIRE_TRY(bill_json(made.bill));
  bill.pop_back();  // the line's end
  return text + ",\"bill\":" + bill + "}";
}

Result<int> bill(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  const LedgerBill made = QUIRE_TRY(bill_ledger(options, options.book, err));
  if (options.json) {
    const std::string json = QUIRE_TRY(to_json(made));
    out << R"({"schema":"quire.meter.bill.v1",)" << json.substr(1) << '\n';
  } else {
    const std::string table = QUIRE_TRY(bill_table(made.bill));
    out << heading(options, made) << table;
  }
  return exit_code_of(made);
}

// What stands there again (a doubled block is a fault, too) is counted once.
class UnbilledCounter final : public EntryVisitor {
 public:
  explicit UnbilledCounter(const MeterWindow& window) : window_(window) {}
  void receipt(const ReceiptView&) override {}
  void lost(const LostView& lost) override {
    if (!counts(lost.position, lost.record.from_us, lost.record.to_us)) return;
    counts_.lost_receipts += lost.record.receipts;
  }
  void unknown(const UnknownView& unknown) override {
    const model::StartRecord& start = unknown.record;
    if (!counts(unknown.position, start.unknown_from_us, start.unknown_to_us)) return;
    ++counts_.unknown_spans;
    counts_.unknown_us += static_cast<uint64_t>(start.unknown_to_us - start.unknown_from_us);
  }
  const UnbilledCounts& counts() const { return counts_; }

 private:
  bool counts(const model::LedgerPosition& position, int64_t from_us, int64_t to_us) {
    if (position <= last_) return false;
    last_ = position;
    return from_us < window_.to_us && to_us >= window_.from_us;
  }

  const MeterWindow& window_;
  model::LedgerPosition last_;
  UnbilledCounts counts_;
};

// Of a currency that both bills have.
Result<std::string> difference(const Bill& first, const Bill& second) {
  std::string text;
  for (const BillTotal& total : first.totals) {
    const auto other = std::find_if(
        second.totals.begin(), second.totals.end(),
        [&](const BillTotal& candidate) { return candidate.currency == total.currency; });
    if (other == second.totals.end()) continue;
    const prices::Sum exact = QUIRE_TRY(other->amount.minus(total.amount));
    const prices::Decimal change = exact.rounded(total.digits);
    text += "difference " + total.currency + (change < prices::Decimal() ? " " : " +") +
            change.text() + "\n";
  }
  return text;
}

Result<int> whatif(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  const LedgerBill first = QUIRE_TRY(bill_ledger(options, options.book, err));
  const LedgerBill second = QUIRE_TRY(bill_ledger(options, options.with_book, err));
  if (options.json) {
    const std::string as_it_is = QUIRE_TRY(to_json(first));
    const std::string as_it_would_be = QUIRE_TRY(to_json(second));
    out << R"({"schema":"quire.meter.whatif.v1","book":)" << as_it_is << R"(,"with":)"
        << as_it_would_be << "}\n";
  } else {
    const std::string table = QUIRE_TRY(bill_table(first.bill));
    const std::string other = QUIRE_TRY(bill_table(second.bill));
    const std::string change = QUIRE_TRY(difference(first.bill, second.bill));
    out << heading(options, first) << table << '\n' << other << change;
  }
  return std::max(exit_code_of(first), exit_code_of(second));
}

}  // namespace

int exit_code_of(const LedgerBill& made) {
  if (made.faults > 0) return kExitDegraded;
  return made.bill.unpriced.empty() ? kExitOk : kExitFailed;
}

Result<LedgerBill> bill_ledger(const MeterOptions& options, const std::string& book_path,
                               std::ostream& err, prices::BilledListener* listener) {
  const MeterWindow window = QUIRE_TRY(window_of(options));
  const prices::PriceBook book = QUIRE_TRY(prices::PriceBook::load(book_path));
  prices::ReceiptBillOptions wanted{
      .bill = QUIRE_TRY(split_of(options)), .from_us = window.from_us, .to_us = window.to_us};
  if (options.of_tenant) wanted.tenant = options.tenant;
  wanted.listener = listener;
  prices::ReceiptBill made = QUIRE_TRY(prices::ReceiptBill::create(book, wanted));
  UnbilledCounter unbilled(window);
  LedgerWalk walk(&unbilled, [&](const WalkFault& fault) { print_fault(fault, err); });
  // A request ends after it began, and its receipt is written then.
  const model::MeterRequest request{.from_us = std::max<int64_t>(window.from_us, 0)};
  if (options.place.is_daemon() && request.from_us > 0) walk.begin_anywhere();
  model::LedgerPosition billed;
  const auto on_block = [&](std::string_view bytes) -> Result<bool> {
    walk.add(bytes);
    const auto block = model::LedgerBlock::parse(bytes);
    // One that stands there again is billed once.
    if (!block.ok() || block->head().position <= billed) return true;
    billed = block->head().position;
    QUIRE_TRY(made.add(*block));
    return true;
  };
  const model::LedgerHead end =
      QUIRE_TRY(read_frames(options.place, request, model::StreamKind::kBlock, on_block));
  walk.finish(end);
  LedgerBill result{.bill = QUIRE_TRY(made.finish())};
  result.counts = made.counts();
  result.unbilled = unbilled.counts();
  result.faults = walk.counts().faults;
  return result;
}

int run_meter_bill(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  const auto code = bill(options, out, err);
  return code.ok() ? *code : meter_failure(code.error(), err);
}

int run_meter_whatif(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  const auto code = whatif(options, out, err);
  return code.ok() ? *code : meter_failure(code.error(), err);
}

}  // namespace quire::client
