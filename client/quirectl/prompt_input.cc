#include "client/quirectl/prompt_input.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <istream>

namespace quire::client {

using model::Errc;
using model::Hash256;
using model::make_error;
using model::Result;

namespace {

// Words between spaces, commas and brackets: a JSON list of numbers is one too.
constexpr std::string_view kSeparators = " \t\r\n,[]\"";
constexpr size_t kMostBytes = 64 << 20;
constexpr size_t kFewestDigits = 32;  // of a hash

// Calls `take` with each word, until that fails.
template <typename Take>
Result<void> for_each_word(std::string_view text, Take&& take) {
  for (size_t at = text.find_first_not_of(kSeparators); at != text.npos;) {
    const size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
    QUIRE_TRY(take(text.substr(at, end - at)));
    at = text.find_first_not_of(kSeparators, end);
  }
  return {};
}

Result<Hash256> parse_hash(std::string_view word) {
  Hash256 hash;
  bool good =
      word.size() >= kFewestDigits && word.size() <= 2 * hash.bytes.size() && word.size() % 2 == 0;
  for (size_t i = 0; good && i < word.size() / 2; ++i) {
    const char* digits = word.data() + 2 * i;
    const auto read = std::from_chars(digits, digits + 2, hash.bytes[i], 16);
    good = read.ec == std::errc() && read.ptr == digits + 2;
  }
  if (good) return hash;
  return make_error(Errc::kInvalidArgument, "\"" + std::string(word.substr(0, 72)) +
                                                "\" is no unit hash: 16 to 32 bytes in hex are");
}

}  // namespace

Result<std::string> read_prompt_text(const std::string& path, std::istream& in) {
  std::ifstream file;
  if (path != "-") {
    file.open(path);
    if (!file) return make_error(Errc::kIoError, path + ": " + std::strerror(errno));
  }
  std::istream& from = path == "-" ? in : file;
  std::string text(kMostBytes + 1, '\0');
  from.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(from.gcount()));
  if (text.size() > kMostBytes) {
    return make_error(Errc::kInvalidArgument, path + ": more than 64 MiB are no prompt");
  }
  return text;
}

Result<std::vector<uint32_t>> parse_tokens(std::string_view text) {
  std::vector<uint32_t> tokens;
  QUIRE_TRY(for_each_word(text, [&](std::string_view word) -> Result<void> {
    uint32_t token = 0;
    const auto read = std::from_chars(word.data(), word.data() + word.size(), token);
    if (read.ec != std::errc() || read.ptr != word.data() + word.size()) {
      return make_error(Errc::kInvalidArgument, "\"" + std::string(word.substr(0, 32)) +
                                                    "\" is no token id: a decimal number is");
    }
    tokens.push_back(token);
    return {};
  }));
  if (tokens.empty()) return make_error(Errc::kInvalidArgument, "there are no token ids");
  return tokens;
}

Result<std::vector<Hash256>> parse_hashes(std::string_view text) {
  std::vector<Hash256> hashes;
  const Result<void> all = for_each_word(text, [&](std::string_view word) -> Result<void> {
    hashes.push_back(QUIRE_TRY(parse_hash(word)));
    return {};
  });
  if (!all.ok()) return all.error();
  return hashes;
}

}  // namespace quire::client
