// An export's rows: what a format makes of each entry, appended to a text that whoever exports
// writes out and clears.
//
// An interface with a class a format: json_rows.h, csv_rows.h, event_rows.h, focus_rows.h.
#pragma once

#include <string>

#include "client/quirectl/meter/ledger_walk.h"

namespace quire::client {

class RowWriter : public EntryVisitor {
 public:
  // `rows` outlives it.
  explicit RowWriter(std::string& rows) : rows_(rows) {}
  // What stands before the first row; nothing in most formats.
  virtual void header() {}

 protected:
  std::string& rows_;
};

}  // namespace quire::client
