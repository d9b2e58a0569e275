#include "client/quirectl/meter/csv_rows.h"

#include "client/quirectl/meter/field_text.h"
#include "client/quirectl/meter/receipt_fields.h"

namespace quire::client {

namespace {

class CsvNames : public FieldSink {
 public:
  explicit CsvNames(std::string& out) : out_(out) {}
  void text(std::string_view name, std::string_view) override { add(name); }
  void number(std::string_view name, uint64_t) override { add(name); }
  void flag(std::string_view name, bool) override { add(name); }
  void none(std::string_view name) override { add(name); }

 private:
  void add(std::string_view name) { out_.append(name) += ','; }
  std::string& out_;
};

class CsvValues : public FieldSink {
 public:
  explicit CsvValues(std::string& out) : out_(out) {}
  void text(std::string_view, std::string_view value) override {
    append_csv_text(out_, value);
    out_ += ',';
  }
  void number(std::string_view, uint64_t value) override {
    append_number(out_, value);
    out_ += ',';
  }
  void flag(std::string_view, bool value) override { out_ += value ? "true," : "false,"; }
  void none(std::string_view) override { out_ += ','; }

 private:
  std::string& out_;
};

}  // namespace

void CsvRows::header() {
  CsvNames names(rows_);
  receipt_fields({}, names);
  rows_.back() = '\n';
}

void CsvRows::receipt(const ReceiptView& receipt) {
  CsvValues values(rows_);
  receipt_fields(receipt, values);
  rows_.back() = '\n';
}

}  // namespace quire::client
