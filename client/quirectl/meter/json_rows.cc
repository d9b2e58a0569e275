#include "client/quirectl/meter/json_rows.h"

#include "client/quirectl/meter/field_text.h"

namespace quire::client {

void JsonFields::begin(std::string_view name) {
  if (out_.back() != '{') out_ += ',';
  out_ += '"';
  out_ += name;
  out_ += "\":";
}

void JsonFields::text(std::string_view name, std::string_view value) {
  begin(name);
  append_json_text(out_, value);
}

void JsonFields::number(std::string_view name, uint64_t value) {
  begin(name);
  append_number(out_, value);
}

void JsonFields::flag(std::string_view name, bool value) {
  begin(name);
  out_ += value ? "true" : "false";
}

void JsonFields::none(std::string_view name) {
  begin(name);
  out_ += "null";
}

void JsonRows::receipt(const ReceiptView& receipt) {
  rows_ += R"({"type":"receipt")";
  JsonFields fields(rows_);
  receipt_fields(receipt, fields);
  rows_ += "}\n";
}

void JsonRows::storage(const StorageView& storage) {
  rows_ += R"({"type":"storage")";
  JsonFields fields(rows_);
  storage_fields(storage, fields);
  rows_ += "}\n";
}

void JsonRows::lost(const LostView& lost) {
  rows_ += R"({"type":"lost")";
  JsonFields fields(rows_);
  lost_fields(lost, fields);
  rows_ += "}\n";
}

void JsonRows::unknown(const UnknownView& unknown) {
  rows_ += R"({"type":"unknown")";
  JsonFields fields(rows_);
  unknown_fields(unknown, fields);
  rows_ += "}\n";
}

}  // namespace quire::client
