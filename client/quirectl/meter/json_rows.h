// JSON Lines: an object a line, "type" first: receipt, storage, lost, unknown; then the fields of
// receipt_fields.h.
#pragma once

#include <string_view>

#include "client/quirectl/meter/receipt_fields.h"
#include "client/quirectl/meter/row_writer.h"

namespace quire::client {

// Members of an object, behind one that stands there already.
class JsonFields : public FieldSink {
 public:
  explicit JsonFields(std::string& out) : out_(out) {}
  void text(std::string_view name, std::string_view value) override;
  void number(std::string_view name, uint64_t value) override;
  void flag(std::string_view name, bool value) override;
  void none(std::string_view name) override;

 private:
  void begin(std::string_view name);
  std::string& out_;
};

class JsonRows : public RowWriter {
 public:
  using RowWriter::RowWriter;
  void receipt(const ReceiptView& receipt) override;
  void storage(const StorageView& storage) override;
  void lost(const LostView& lost) override;
  void unknown(const UnknownView& unknown) override;
};

}  // namespace quire::client
