#include "client/quirectl/meter/meter_verify.h"

#include <optional>
#include <ostream>
#include <string>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/meter/head_text.h"
#include "client/quirectl/meter/json_rows.h"

namespace quire::client {

using model::Errc;
using model::LedgerHead;
using model::Result;
using model::StreamKind;

namespace {

// Faults as they come: there may be as many as entries.
class FaultPrinter {
 public:
  FaultPrinter(bool json, std::ostream& out) : json_(json), out_(out) {}

  void print(const WalkFault& fault) {
    if (!json_) return print_fault(fault, out_);
    std::string object = "{";
    JsonFields fields(object);
    fields.text("kind", fault.kind);
    fields.text("id", to_text(fault.position));
    fields.text("text", fault.text);
    begin_json();
    out_ << (first_ ? "" : ",") << object << '}';
    first_ = false;
  }

  void finish(const LedgerWalk& walk) {
    const LedgerWalk::Counts& counts = walk.counts();
    const std::string head = walk.entries() == 0 ? "" : head_text(walk.head(), counts.written_us);
    if (json_) return finish_json(walk, head);
    out_ << "entries   " << walk.entries() << "\nreceipts  " << counts.receipts << "\nstorage   "
         << counts.storage_records << "\nlost      " << counts.lost_receipts << "\nunknown   "
         << counts.unknown_spans << "\nepochs    " << counts.epochs << "\nfirst     "
         << to_text(counts.first) << "\nlast      " << to_text(walk.head().position)
         << "\nfaults    " << counts.faults << "\nhead      " << (head.empty() ? "-" : head)
         << '\n';
  }

 private:
  // Not before there is something to say: nothing may come of it at all.
  void begin_json() {
    if (!begun_) out_ << R"({"schema":"quire.meter.verify.v1","faults":[)";
    begun_ = true;
  }

  void finish_json(const LedgerWalk& walk, const std::string& head) {
    const LedgerWalk::Counts& counts = walk.counts();
    std::string members = "]";
    JsonFields fields(members);
    fields.number("entries", walk.entries());
    fields.number("receipts", counts.receipts);
    fields.number("storage_records", counts.storage_records);
    fields.number("lost_receipts", counts.lost_receipts);
    fields.number("unknown_spans", counts.unknown_spans);
    fields.number("epochs", counts.epochs);
    fields.text("first", to_text(counts.first));
    fields.text("last", to_text(walk.head().position));
    if (head.empty()) {
      fields.none("head");
    } else {
      fields.text("head", head);
    }
    begin_json();
    out_ << members << "}\n";
  }

  bool json_;
  bool begun_ = false;
  bool first_ = true;
  std::ostream& out_;
};

Result<int> verify(const MeterOptions& options, std::ostream& out) {
  std::optional<LedgerHead> anchor;
  if (!options.head.empty()) anchor = QUIRE_TRY(read_head_argument(options.head));
  FaultPrinter faults(options.json, out);
  LedgerWalk walk(nullptr, [&](const WalkFault& fault) { faults.print(fault); });
  if (anchor) walk.expect(*anchor);
  const auto read = read_frames(options.place, {}, StreamKind::kBlock,
                                [&](std::string_view block) -> Result<bool> {
                                  walk.add(block);
                                  return true;
                                });
  if (read.ok()) {
    walk.finish(*read);
  } else if (read.code() == Errc::kCorrupt || read.code() == Errc::kClosed) {
    walk.cut_off(read.error());
  } else {
    return read.error();
  }
  faults.finish(walk);
  return walk.counts().faults == 0 ? kExitOk : kExitDegraded;
}

Result<std::string> present_head(const MeterOptions& options) {
  // What follows the last entry that there can be: the block that holds the last one there is.
  const model::MeterRequest request{.after_epoch = UINT64_MAX, .after_sequence = UINT64_MAX};
  int64_t written_us = 0;
  const auto on_block = [&](std::string_view bytes) -> Result<bool> {
    const auto block = QUIRE_TRY(model::LedgerBlock::parse(bytes));
    written_us = block.header().written_us;
    return true;
  };
  const LedgerHead head =
      QUIRE_TRY(read_frames(options.place, request, StreamKind::kBlock, on_block));
  if (head.position == model::LedgerPosition{}) {
    return model::make_error(Errc::kNotFound, "the ledger has no entries yet");
  }
  return head_text(head, written_us);
}

}  // namespace

int run_meter_verify(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  const auto verified = verify(options, out);
  return verified.ok() ? *verified : meter_failure(verified.error(), err);
}

int run_meter_head(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  const auto head = present_head(options);
  if (!head.ok()) return meter_failure(head.error(), err);
  if (options.json) {
    std::string text = R"({"schema":"quire.meter.head.v1")";
    JsonFields(text).text("head", *head);
    out << text << "}\n";
    return kExitOk;
  }
  out << *head << '\n';
  return kExitOk;
}

}  // namespace quire::client
