// JSON lines as CSV, each as it comes: what a verb whose answer has no end prints for `-o csv`.
//
// Columns are given and stay, for what comes later must not change the header:
// "tiers.ram.used_bytes" is a field of a field; a list of plain values is one cell, with blanks
// between; what a line has no field for is empty, and what no column asks for is left out. Threads:
// the caller's.
#pragma once

#include <iosfwd>
#include <ostream>
#include <streambuf>
#include <string>
#include <string_view>

namespace quire::client {

class CsvLines final : public std::streambuf {
 public:
  // Writes the header. `columns`: a literal, between commas.
  CsvLines(std::ostream& out, std::string_view columns);

 protected:
  int overflow(int letter) override;
  std::streamsize xsputn(const char* text, std::streamsize count) override;
  int sync() override;

 private:
  void take(char letter);

  std::ostream& out_;
  const std::string_view columns_;
  std::string line_;  // so far
};

// A stream of lines for `print`, which go on to `out` as they are, or with `csv` as rows.
template <typename Print>
int print_lines(bool csv, std::string_view columns, std::ostream& out, Print print) {
  if (!csv) return print(out);
  CsvLines lines(out, columns);
  std::ostream to(&lines);
  return print(to);
}

}  // namespace quire::client
