#include "client/quirectl/meter/meter_tail.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <deque>
#include <ostream>
#include <string>

#include "client/quirectl/answer_output.h"
#include "client/quirectl/daemon_command.h"
#include "client/quirectl/meter/csv_rows.h"
#include "client/quirectl/meter/json_rows.h"
#include "client/quirectl/meter/stamp.h"

namespace quire::client {

using model::LedgerHead;
using model::LedgerPosition;
using model::ReceiptRecord;
using model::Result;
using model::StreamKind;

namespace {

constexpr int64_t kHourUs = 3'600'000'000;

// Columns of a width of their own: rows come one by one, and may be the last.
constexpr const char* kTailHeader =
    "id            opened                payer             model                 prompt       hit  "
    "replayed    missed    output   written  end\n";

std::string tail_row(const ReceiptView& receipt) {
  const ReceiptRecord& record = receipt.record;
  std::array<char, 80> numbers;
  std::snprintf(numbers.data(), numbers.size(), "%10u%10u%10u%10u%10u%10u  ", record.prompt_tokens,
                record.hit_tokens, record.replayed_tokens, record.missed_tokens,
                record.output_tokens, record.written_tokens);
  std::string row;
  const auto column = [&](std::string_view text, size_t width) {
    row += text;
    row.append(width - std::min(width - 2, text.size()), ' ');
  };
  column(to_text(receipt.position), 14);
  column(second_text(record.opened_us), 22);
  column(receipt.text(model::ReceiptText::kPayer), 18);
  column(receipt.model_name(), 18);
  row += numbers.data();
  row += record.end < model::kReceiptEnds.size() ? model::kReceiptEnds[record.end] : "unknown";
  return row + "\n";
}

// Keeps the last rows, or prints each at once.
class TailRows : public EntryVisitor {
 public:
  TailRows(const MeterOptions& options)
      : json_(options.json), csv_(options.csv), kept_(options.last) {}

  void receipt(const ReceiptView& receipt) override {
    if (receipt.position <= after_) return;
    std::string row;
    if (csv_) {
      CsvRows(row).receipt(receipt);
    } else if (json_) {
      JsonRows(row).receipt(receipt);
      row = with_schema(row, "receipt");
    } else {
      row = tail_row(receipt);
    }
    rows_.push_back(std::move(row));
    if (rows_.size() > kept_) rows_.pop_front();
  }

  // From now on only what follows this, and all of it.
  void begin_after(const LedgerPosition& position) {
    after_ = position;
    kept_ = SIZE_MAX;
  }
  size_t size() const { return rows_.size(); }
  void clear() { rows_.clear(); }
  void print(std::ostream& out) {
    for (const std::string& row : rows_) out << row;
    rows_.clear();
    out.flush();
  }

 private:
  bool json_;
  bool csv_;
  size_t kept_;
  LedgerPosition after_;
  std::deque<std::string> rows_;
};

class Tail {
 public:
  Tail(const MeterOptions& options, std::ostream& out, std::ostream& err)
      : options_(options), out_(out), err_(err), rows_(options) {}

  Result<int> run() {
    const LedgerHead head = QUIRE_TRY(read_last());
    out_ << header();
    rows_.print(out_);
    if (options_.follow) QUIRE_TRY(follow(head));
    return faults_ == 0 ? kExitOk : kExitDegraded;
  }

 private:
  std::string header() const {
    std::string text;
    if (options_.csv) {
      CsvRows(text).header();
    } else if (!options_.json) {
      text = kTailHeader;
    }
    return text;
  }
  Result<LedgerHead> read(const model::MeterRequest& request,
                          const std::function<void()>& after_block) {
    LedgerWalk walk(&rows_, [&](const WalkFault& fault) {
      ++faults_;
      print_fault(fault, err_);
    });
    walk.begin_anywhere();
    return read_frames(options_.place, request, StreamKind::kBlock,
                       [&](std::string_view block) -> Result<bool> {
                         walk.add(block);
                         after_block();
                         return static_cast<bool>(out_);
                       });
  }

  // A daemon need not read its whole ledger for its last receipts: it begins an hour ago, then a
  // day, then with the first.
  Result<LedgerHead> read_last() {
    using std::chrono::microseconds;
    const int64_t now_us = std::chrono::duration_cast<microseconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count();
    for (const int64_t back_us : {kHourUs, 24 * kHourUs, now_us}) {
      if (!options_.place.is_daemon() && back_us != now_us) continue;
      rows_.clear();
      faults_ = 0;
      const LedgerHead head = QUIRE_TRY(read({.from_us = now_us - back_us}, [] {}));
      if (rows_.size() >= options_.last || back_us == now_us) return head;
    }
    return LedgerHead();
  }

  Result<void> follow(const LedgerHead& head) {
    rows_.begin_after(head.position);
    const auto read_on = read(
        {.follow = 1, .after_epoch = head.position.epoch, .after_sequence = head.position.sequence},
        [&] { rows_.print(out_); });
    // The daemon ended, and its stream with it.
    if (!read_on.ok() && read_on.code() != model::Errc::kClosed) return read_on.error();
    return {};
  }

  const MeterOptions& options_;
  std::ostream& out_;
  std::ostream& err_;
  TailRows rows_;
  uint64_t faults_ = 0;
};

}  // namespace

int run_meter_tail(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  if (options.follow && !options.place.is_daemon()) {
    return meter_failure(model::make_error(model::Errc::kInvalidArgument,
                                           "--follow: only a running daemon's ledger goes on"),
                         err);
  }
  const auto code = Tail(options, out, err).run();
  return code.ok() ? *code : meter_failure(code.error(), err);
}

}  // namespace quire::client
