#include "client/quirectl/readable.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace quire::client {

namespace {

std::string three_digits(double value) {
  std::array<char, 32> text;
  const int digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  const int length = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return {text.data(), static_cast<size_t>(length)};
}

// The largest unit of which there is at least one.
template <size_t Count>
std::string scaled(uint64_t amount, double step, const std::array<std::string_view, Count>& units) {
  auto value = static_cast<double>(amount);
  size_t unit = 0;
  while (value >= step && unit + 1 < Count) {
    value /= step;
    ++unit;
  }
  const std::string number = unit == 0 ? std::to_string(amount) : three_digits(value);
  return units[unit].empty() ? number : number + ' ' + std::string(units[unit]);
}

// Characters that a terminal shows: no colours, and one for each character of UTF-8.
size_t shown_width(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      while (i < text.size() && text[i] != 'm') ++i;
    } else if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {
      ++width;
    }
  }
  return width;
}

}  // namespace

std::string clipped(std::string_view line, size_t columns) {
  size_t shown = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      while (i < line.size() && line[i] != 'm') ++i;
    } else if ((static_cast<unsigned char>(line[i]) & 0xc0) != 0x80 && ++shown > columns) {
      const std::string front(line.substr(0, i));
      return front.find('\x1b') == front.npos ? front : front + "\x1b[0m";
    }
  }
  return std::string(line);
}

std::string bytes_text(uint64_t bytes) {
  static constexpr std::array<std::string_view, 7> kUnits{"B",   "KiB", "MiB", "GiB",
                                                          "TiB", "PiB", "EiB"};
  return scaled(bytes, 1024, kUnits);
}

std::string count_text(uint64_t count) {
  static constexpr std::array<std::string_view, 5> kUnits{"", "k", "M", "G", "T"};
  return scaled(count, 1000, kUnits);
}

std::string tokens_text(uint64_t tokens) { return count_text(tokens) + " tokens"; }

std::string percent_text(double percent) {
  std::array<char, 32> text;
  const int length = std::snprintf(text.data(), text.size(), "%.1f %%", percent);
  return {text.data(), static_cast<size_t>(length)};
}

std::string duration_text(uint64_t milliseconds) {
  if (milliseconds < 1000) return std::to_string(milliseconds) + " ms";
  const uint64_t seconds = milliseconds / 1000;
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  return seconds < 172'800 ? std::to_string(seconds / 3600) + " h"
                           : std::to_string(seconds / 86'400) + " d";
}

std::string share_text(uint64_t part, uint64_t whole) {
  if (whole == 0) return "-";
  return percent_text(100 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string columns_text(const std::vector<std::string>& head,
                         const std::vector<std::vector<std::string>>& rows,
                         std::string_view indent) {
  std::vector<size_t> widths(head.size(), 0);
  std::vector<std::vector<std::string>> lines{{}};
  for (const std::string& name : head) lines[0].push_back(name.substr(name.starts_with('>')));
  lines.insert(lines.end(), rows.begin(), rows.end());
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], shown_width(line[i]));
  }
  std::string out;
  for (const auto& line : lines) {
    std::string text(indent);
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string blanks(widths[i] - shown_width(line[i]), ' ');
      const bool right = head[i].starts_with('>');
      text += (right ? blanks + line[i] : line[i] + blanks) + "  ";
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  }
  return out;
}

}  // namespace quire::client
