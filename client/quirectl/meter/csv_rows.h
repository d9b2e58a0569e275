// CSV (RFC 4180, but with line feeds alone): a header, and a row a receipt. Other entries have no
// place in it. What a receipt has none of is empty.
#pragma once

#include "client/quirectl/meter/row_writer.h"

namespace quire::client {

class CsvRows : public RowWriter {
 public:
  using RowWriter::RowWriter;
  void header() override;
  void receipt(const ReceiptView& receipt) override;
};

}  // namespace quire::client
