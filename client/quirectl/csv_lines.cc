#include "client/quirectl/csv_lines.h"

#include "client/quirectl/answer_output.h"

namespace quire::client {

CsvLines::CsvLines(std::ostream& out, std::string_view columns) : out_(out), columns_(columns) {
  out_ << columns_ << '\n';
}

void CsvLines::take(char letter) {
  if (letter != '\n') {
    line_ += letter;
    return;
  }
  out_ << csv_row(line_, columns_);
  line_.clear();
}

int CsvLines::overflow(int letter) {
  if (letter != traits_type::eof()) take(static_cast<char>(letter));
  return out_ ? traits_type::not_eof(letter) : traits_type::eof();
}

std::streamsize CsvLines::xsputn(const char* text, std::streamsize count) {
  for (std::streamsize i = 0; i < count; ++i) take(text[i]);
  return out_ ? count : 0;
}

int CsvLines::sync() {
  out_.flush();
  return out_ ? 0 : -1;
}

}  // namespace quire::client
