#include "client/quirectl/meter/meter_export.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <ostream>
#include <string>
#include <system_error>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/meter/csv_rows.h"
#include "client/quirectl/meter/event_rows.h"
#include "client/quirectl/meter/focus_bill.h"
#include "client/quirectl/meter/focus_rows.h"
#include "client/quirectl/meter/json_rows.h"
#include "client/quirectl/meter/meter_bill.h"

namespace quire::client {

using model::Errc;
using model::LedgerPosition;
using model::make_error;
using model::Result;
using model::StreamKind;

namespace {

constexpr size_t kRowsAtOnce = 1 << 16;

std::string own_source() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') return "quire";
  return std::string("quire/") + host.data();
}

std::unique_ptr<RowWriter> writer_of(const MeterOptions& options, std::string& rows) {
  if (options.format == "csv") return std::make_unique<CsvRows>(rows);
  if (options.format == "cloudevents") {
    return std::make_unique<EventRows>(rows,
                                       options.source.empty() ? own_source() : options.source);
  }
  if (options.format == "focus") {
    return std::make_unique<FocusRows>(
        rows, FocusOptions{.provider = options.provider,
                           .currency = options.currency.empty() ? "USD" : options.currency});
  }
  if (options.format == "jsonl") return std::make_unique<JsonRows>(rows);
  return nullptr;
}

// Lets through what was asked for.
class ExportFilter : public EntryVisitor {
 public:
  ExportFilter(const MeterOptions& options, const MeterWindow& window, const LedgerPosition& after,
               RowWriter& rows)
      : options_(options), window_(window), after_(after), rows_(rows) {}

  void receipt(const ReceiptView& receipt) override {
    if (holds(receipt.position, receipt.record.opened_us) &&
        is_of(receipt.text(model::ReceiptText::kPayer))) {
      rows_.receipt(receipt);
    }
  }
  void storage(const StorageView& storage) override {
    if (holds(storage.position, storage.record.from_us) && is_of(storage.tenant)) {
      rows_.storage(storage);
    }
  }
  // Whose they were is lost, too.
  void lost(const LostView& lost) override {
    if (holds(lost.position, lost.record.from_us) && !options_.of_tenant) rows_.lost(lost);
  }
  void unknown(const UnknownView& unknown) override {
    if (holds(unknown.position, unknown.record.unknown_from_us) && !options_.of_tenant) {
      rows_.unknown(unknown);
    }
  }

 private:
  bool holds(const LedgerPosition& position, int64_t us) const {
    return position > after_ && window_.holds(us);
  }
  bool is_of(std::string_view tenant) const {
    return !options_.of_tenant || tenant == options_.tenant;
  }

  const MeterOptions& options_;
  MeterWindow window_;
  LedgerPosition after_;
  RowWriter& rows_;
};

Result<void> write_rows(std::string& rows, std::ostream& out) {
  out.write(rows.data(), static_cast<std::streamsize>(rows.size()));
  rows.clear();
  if (out) return {};
  return make_error(Errc::kIoError, "the export cannot be written");
}

// A request ends after it began, and its receipt is written then: nothing that began at `from_us`
// stands before the blocks of that hour.
model::MeterRequest request_for(const MeterWindow& window, const LedgerPosition& after) {
  return {.after_epoch = after.epoch,
          .after_sequence = after.sequence,
          .from_us = std::max<int64_t>(window.from_us, 0)};
}

// Whoever resumes must get all that followed: of another ledger, or one whose entries went
// meanwhile, nobody is told that nothing new is there. The count of faults.
Result<uint64_t> check_resumed(const LedgerPosition& after, const LedgerWalk& walk,
                               const model::LedgerHead& end, std::ostream& err) {
  if (after > end.position) {
    return make_error(Errc::kNotFound, "--after " + to_text(after) + ": the ledger ends with " +
                                           to_text(end.position) + "; is it another one?");
  }
  if (after == LedgerPosition{} || walk.begin().position <= after) return uint64_t{0};
  const std::string gap =
      "what followed, up to " + to_text(walk.begin().position) + ", is not in the ledger any more";
  print_fault({"missing", after, gap}, err);
  return uint64_t{1};
}

Result<int> export_rows(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  const MeterWindow window = QUIRE_TRY(window_of(options));
  LedgerPosition after;
  if (!options.after.empty()) after = QUIRE_TRY(model::parse_ledger_position(options.after));
  std::string rows;
  const auto writer = writer_of(options, rows);
  if (writer == nullptr) {
    return make_error(Errc::kInvalidArgument, "--format: no such format: " + options.format);
  }
  if (!options.no_header) writer->header();
  ExportFilter filter(options, window, after, *writer);
  LedgerWalk walk(&filter, [&](const WalkFault& fault) { print_fault(fault, err); });
  const model::MeterRequest request = request_for(window, after);
  if (options.place.is_daemon() && (request.from_us > 0 || after != LedgerPosition{})) {
    walk.begin_anywhere();
  }
  const auto on_block = [&](std::string_view block) -> Result<bool> {
    walk.add(block);
    if (rows.size() >= kRowsAtOnce) QUIRE_TRY(write_rows(rows, out));
    return true;
  };
  const model::LedgerHead end =
      QUIRE_TRY(read_frames(options.place, request, StreamKind::kBlock, on_block));
  walk.finish(end);
  QUIRE_TRY(write_rows(rows, out));
  const uint64_t gaps = QUIRE_TRY(check_resumed(after, walk, end, err));
  if (walk.counts().faults + gaps == 0) return kExitOk;
  err << "quirectl: the ledger is not whole; every row that can be read was written\n";
  return kExitDegraded;
}

// FOCUS has one currency a row, and sums of several say nothing.
Result<std::string> currency_of(const MeterOptions& options) {
  if (!options.currency.empty()) return options.currency;
  const prices::PriceBook book = QUIRE_TRY(prices::PriceBook::load(options.book));
  const std::vector<std::string> all = book.currencies();
  if (all.size() == 1) return all.front();
  std::string names;
  for (const std::string& one : all) names += (names.empty() ? "" : ", ") + one;
  return make_error(Errc::kInvalidArgument,
                    options.book + " has prices in " + names + ": choose one by --currency");
}

// What is billed of a turn that was cut short depends on what follows it, so this reads the ledger
// to its end, as the bill does, whatever the time that is asked for.
Result<int> export_bill(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  if (options.format != "focus") {
    return make_error(Errc::kInvalidArgument, "--book is for --format focus, which has costs");
  }
  MeterOptions wanted = options;
  wanted.bill_currency = QUIRE_TRY(currency_of(options));
  FocusBill rows({.provider = options.provider, .currency = wanted.bill_currency}, out);
  if (!options.no_header) rows.header();
  const LedgerBill made = QUIRE_TRY(bill_ledger(wanted, options.book, err, &rows));
  rows.flush();
  if (!out) return make_error(Errc::kIoError, "the export cannot be written");
  for (const prices::UnpricedLine& line : made.bill.unpriced) {
    err << "quirectl: " << line.requests << " requests of " << line.model
        << " have no cost: " << prices::unpriced_text(line.reason) << '\n';
  }
  return exit_code_of(made);
}

Result<int> export_raw(const MeterOptions& options, std::ostream& out) {
  std::string frames;
  const auto on_block = [&](std::string_view block) -> Result<bool> {
    model::append_frame(frames, StreamKind::kBlock, block);
    if (frames.size() >= kRowsAtOnce) QUIRE_TRY(write_rows(frames, out));
    return true;
  };
  const model::LedgerHead head =
      QUIRE_TRY(read_frames(options.place, {}, StreamKind::kBlock, on_block));
  model::append_end(frames, head, {});
  QUIRE_TRY(write_rows(frames, out));
  return kExitOk;
}

Result<int> export_as_asked(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  return options.book.empty() ? export_rows(options, out, err) : export_bill(options, out, err);
}

// The file is there whole, or as it was before: rows go into one beside it first. What is no file
// (/dev/stdout) is written at once.
Result<int> export_to(const std::string& path, const MeterOptions& options, std::ostream& err) {
  std::error_code failure;
  const bool is_device =
      std::filesystem::exists(path, failure) && !std::filesystem::is_regular_file(path, failure);
  const std::string part = is_device ? path : path + ".part";
  std::ofstream file(part, std::ios::binary | std::ios::trunc);
  if (!file) return model::errno_error("cannot write " + part);
  const auto code =
      options.raw.empty() ? export_as_asked(options, file, err) : export_raw(options, file);
  file.close();
  if (is_device)
    return code.ok() && !file ? make_error(Errc::kIoError, "cannot write " + path) : code;
  if (code.ok() && file) {
    std::filesystem::rename(part, path, failure);
    if (!failure) return code;
  }
  std::filesystem::remove(part, failure);
  return code.ok() ? make_error(Errc::kIoError, path + " cannot be written whole") : code;
}

}  // namespace

int run_meter_export(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  const std::string& path = options.raw.empty() ? options.out : options.raw;
  const auto code =
      path.empty() ? export_as_asked(options, out, err) : export_to(path, options, err);
  return code.ok() ? *code : meter_failure(code.error(), err);
}

}  // namespace quire::client
