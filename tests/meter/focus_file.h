// A file of FOCUS rows, read.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/meter/meter_rig.h"

namespace quire::tests {

using FocusRow = std::map<std::string, std::string>;

inline std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (quoted && line[i] == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      cells.back() += line[++i];
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += line[i];
    }
  }
  return cells;
}

struct FocusFile {
  std::vector<std::string> columns;
  std::vector<FocusRow> rows;
};

inline FocusFile parse_focus(const std::string& text) {
  FocusFile file;
  for (const std::string& line : lines_of(text)) {
    const auto cells = cells_of(line);
    if (file.columns.empty()) {
      file.columns = cells;
      continue;
    }
    EXPECT_EQ(cells.size(), file.columns.size()) << line;
    FocusRow row;
    for (size_t i = 0; i < cells.size(); ++i) row[file.columns[i]] = cells[i];
    file.rows.push_back(row);
  }
  return file;
}

}  // namespace quire::tests
