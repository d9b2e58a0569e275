#include "client/quirectl/meter/event_rows.h"

#include "client/quirectl/meter/field_text.h"
#include "client/quirectl/meter/json_rows.h"
#include "client/quirectl/meter/stamp.h"

namespace quire::client {

void EventRows::begin(std::string_view type, const model::LedgerPosition& position, int64_t time_us,
                      std::string_view subject) {
  rows_ += '{';
  JsonFields context(rows_);
  context.text("specversion", "1.0");
  context.text("id", to_text(position));
  context.text("source", source_);
  context.text("type", type);
  context.text("time", stamp_text(time_us));
  if (!subject.empty()) context.text("subject", subject);
  context.text("datacontenttype", "application/json");
  rows_ += ",\"data\":{";
}

void EventRows::receipt(const ReceiptView& receipt) {
  begin("dev.quire.receipt.v1", receipt.position, receipt.record.opened_us,
        receipt.text(model::ReceiptText::kPayer));
  JsonFields data(rows_);
  receipt_fields(receipt, data);
  rows_ += "}}\n";
}

void EventRows::storage(const StorageView& storage) {
  begin("dev.quire.storage.v1", storage.position, storage.record.to_us, storage.tenant);
  JsonFields data(rows_);
  storage_fields(storage, data);
  rows_ += "}}\n";
}

void EventRows::lost(const LostView& lost) {
  begin("dev.quire.lost.v1", lost.position, lost.record.to_us, {});
  JsonFields data(rows_);
  lost_fields(lost, data);
  rows_ += "}}\n";
}

void EventRows::unknown(const UnknownView& unknown) {
  begin("dev.quire.unknown.v1", unknown.position, unknown.record.unknown_to_us, {});
  JsonFields data(rows_);
  unknown_fields(unknown, data);
  rows_ += "}}\n";
}

}  // namespace quire::client
