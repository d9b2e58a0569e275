#include "model/clean_text.h"

#include <array>
#include <cstdint>

namespace quire::model {

namespace {

uint8_t byte_at(std::string_view text, size_t at) { return static_cast<uint8_t>(text[at]); }

// The separators of lines and paragraphs too: a line of the log has to stay one.
bool is_control(uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0) || code_point == 0x2028 ||
         code_point == 0x2029;
}

// Bytes of the clean character that starts here; 0 when none does.
size_t clean_bytes(std::string_view text, size_t at) {
  constexpr std::array<uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const uint8_t first = byte_at(text, at);
  size_t length = 1;
  uint32_t code_point = first;
  if (first >= 0xf0 && first < 0xf8) {
    length = 4;
    code_point = first & 0x07u;
  } else if (first >= 0xe0 && first < 0xf0) {
    length = 3;
    code_point = first & 0x0fu;
  } else if (first >= 0xc0 && first < 0xe0) {
    length = 2;
    code_point = first & 0x1fu;
  } else if (first >= 0x80) {
    return 0;
  }
  if (length > text.size() - at) return 0;
  for (size_t i = 1; i < length; ++i) {
    const uint8_t next = byte_at(text, at + i);
    if ((next & 0xc0) != 0x80) return 0;
    code_point = code_point << 6 | (next & 0x3fu);
  }
  // Longer forms than needed are refused too: two spellings of one character would be two names.
  const bool surrogate = code_point >= 0xd800 && code_point < 0xe000;
  if (code_point < kSmallest[length] || code_point > 0x10ffff || surrogate) return 0;
  return is_control(code_point) ? 0 : length;
}

void append_escaped(std::string& out, uint8_t byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (byte == '\n') {
    out += "\\n";
  } else if (byte == '\r') {
    out += "\\r";
  } else if (byte == '\t') {
    out += "\\t";
  } else {
    out += "\\x";
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

}  // namespace

bool is_clean_text(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = clean_bytes(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

Result<void> check_clean_text(std::string_view text, std::string_view what) {
  if (is_clean_text(text)) return {};
  return make_error(Errc::kInvalidArgument,
                    std::string(what) + " must be UTF-8 without control characters");
}

std::string escape_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t length = clean_bytes(text, at);
    if (length == 0) {
      append_escaped(out, byte_at(text, at++));
    } else {
      out += text.substr(at, length);
      at += length;
    }
  }
  return out;
}

}  // namespace quire::model
