// A layout for people (table) and for programs (JSON, raw numbers in bytes and tokens).
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

#include "model/layout.h"

namespace quire::client {

// Quoted. Names in layouts are printable ASCII, so that two escapes are enough.
std::string json_text(std::string_view text);
// One row a group, then what a context costs.
void write_layout_table(const model::Layout& layout, std::ostream& out);
// One object, schema "quire.layout.v1".
void write_layout_json(const model::Layout& layout, std::ostream& out);

// A row a group.
void write_layout_csv(const model::Layout& layout, std::ostream& out);

}  // namespace quire::client
