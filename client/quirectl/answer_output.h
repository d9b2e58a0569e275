// A document of the daemon's, or of a verb's own, in the form that was asked for.
//
//   json   the document as it came, base units, with a field `schema`
//   csv    the rows of its list, nested keys joined by dots; a document without one as key,value
//   table  for people (client/quirectl/status_output.h, or a verb's own)
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::client {

// What csv is made of.
struct CsvForm {
  // Whose rows, by its path: "pins", "bill.lines". Several ("book.lines|with.lines") have a column
  // in front, `part`, with the path's first word. Empty: none, the whole document as key,value.
  // nullopt: the first list of objects, if there is one.
  std::optional<std::string_view> list = std::nullopt;
  // They are there whatever rows there are, or none: what reads it finds its columns. What rows
  // have besides follows.
  std::string_view columns = {};
};

// Text that is no one document is taken as one a line, each a row. kMalformedFrame: it is none of
// it.
model::Result<std::string> answer_csv(std::string_view json, const CsvForm& form = {});

// One row of a JSON object, with its line end. A column is a path ("ram.used_bytes"); a list of
// plain values is one cell, with blanks between; what there is no field for is empty. Text that is
// no JSON is no row.
std::string csv_row(std::string_view json, std::string_view columns);

// With "schema":"quire.NAME.v1" in front, unless the document says its schema itself.
std::string with_schema(std::string_view json, std::string_view name);

}  // namespace quire::client
