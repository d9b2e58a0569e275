#include "server/start/flag_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace quire::server {

using model::Errc;
using model::make_error;

namespace {

constexpr int kMaxDepth = 8;  // of flag files named in flag files: a file may name itself

model::Result<void> append(const FlagLine& line, int depth, std::vector<FlagLine>& lines);

model::Result<void> append_file(const std::string& path, int depth, std::vector<FlagLine>& lines) {
  if (depth == kMaxDepth) {
    return make_error(Errc::kInvalidArgument, "flag files name each other too deep: " + path);
  }
  std::error_code error;
  // A device or a pipe might never end.
  const bool regular = std::filesystem::is_regular_file(path, error);
  std::ifstream file(path);
  if (!regular || !file) {
    const std::string why = error     ? error.message()
                            : regular ? std::strerror(errno)
                                      : "not a regular file";
    return make_error(Errc::kInvalidArgument, "cannot read the flag file " + path + ": " + why);
  }
  std::string text;
  for (int number = 1; std::getline(file, text); ++number) {
    const size_t start = text.find_first_not_of(" \t\r");
    if (start == std::string::npos || text[start] == '#') continue;
    const size_t end = text.find_last_not_of(" \t\r");
    const FlagLine line{text.substr(start, end - start + 1), path + ":" + std::to_string(number)};
    if (line.text[0] != '-') {
      return make_error(Errc::kInvalidArgument,
                        line.origin + ": \"" + line.text + "\" is no flag; write --name=value");
    }
    QUIRE_TRY(append(line, depth, lines));
  }
  return {};
}

model::Result<void> append(const FlagLine& line, int depth, std::vector<FlagLine>& lines) {
  const size_t value = line.text.find_first_of("= ");
  if (flag_name(line.text) != "flagfile" || value == std::string::npos) {
    lines.push_back(line);
    return {};
  }
  return append_file(line.text.substr(value + 1), depth + 1, lines);
}

}  // namespace

std::string flag_name(const std::string& text) {
  const size_t start = std::min(text.find_first_not_of('-'), text.size());
  return text.substr(start, std::min(text.find_first_of("= "), text.size()) - start);
}

model::Result<std::vector<FlagLine>> expand_flag_files(const std::vector<std::string>& arguments) {
  std::vector<FlagLine> lines;
  for (size_t i = 0; i < arguments.size(); ++i) {
    FlagLine line{arguments[i], "the command line"};
    const bool bare_file =
        flag_name(line.text) == "flagfile" && line.text.find('=') == std::string::npos;
    if (bare_file && i + 1 < arguments.size()) line.text += "=" + arguments[++i];
    QUIRE_TRY(append(line, 0, lines));
  }
  return lines;
}

}  // namespace quire::server
