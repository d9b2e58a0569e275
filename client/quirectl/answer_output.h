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

// `list`: whose rows; empty: none, the whole document as key,value; nullopt: those of its first
// list of objects, if it has one. Text that is no one document is taken as one a line, each a row.
// kMalformedFrame: it is none of it.
model::Result<std::string> answer_csv(std::string_view json,
                                      std::optional<std::string_view> list = std::nullopt);

// With "schema":"quire.NAME.v1" in front, unless the document says its schema itself.
std::string with_schema(std::string_view json, std::string_view name);

}  // namespace quire::client
