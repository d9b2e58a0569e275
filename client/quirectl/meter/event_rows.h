// CloudEvents 1.0 in their JSON format, one a line: receipts, storage, what was lost, and
// spans of time of which that is not known.
//
//   id      the entry's number, "EPOCH.SEQUENCE": unique under its source, and the same in every
//           export, so that a consumer knows what it has seen
//   time    when the request began; of all else, the end of their span
//   subject who pays; absent for the nameless tenant
//   data    the fields of receipt_fields.h
#pragma once

#include <string>
#include <string_view>

#include "client/quirectl/meter/row_writer.h"

namespace quire::client {

class EventRows : public RowWriter {
 public:
  // `source`: a URI reference that is this ledger's alone.
  EventRows(std::string& rows, std::string source) : RowWriter(rows), source_(std::move(source)) {}
  void receipt(const ReceiptView& receipt) override;
  void storage(const StorageView& storage) override;
  void lost(const LostView& lost) override;
  void unknown(const UnknownView& unknown) override;

 private:
  void begin(std::string_view type, const model::LedgerPosition& position, int64_t time_us,
             std::string_view subject);
  std::string source_;
};

}  // namespace quire::client
