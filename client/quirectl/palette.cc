#include "client/quirectl/palette.h"

#include <array>
#include <cstdlib>

namespace quire::client {

namespace {

constexpr std::array<std::string_view, 6> kCodes{"", "32", "33", "31", "2", "1"};  // by Tone

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

Palette Palette::chosen(std::string_view choice, bool terminal) {
  Palette palette;
  const char* kind = std::getenv("TERM");
  const bool dumb = kind == nullptr || std::string_view(kind) == "dumb";
  palette.on_ =
      choice == "always" || (choice != "never" && terminal && !dumb && !is_set("NO_COLOR"));
  return palette;
}

std::string Palette::paint(Tone tone, std::string_view text) const {
  if (!on_ || tone == Tone::kPlain) return std::string(text);
  return "\x1b[" + std::string(kCodes[static_cast<size_t>(tone)]) + "m" + std::string(text) +
         "\x1b[0m";
}

std::string Palette::state(std::string_view word) const {
  if (word == "ok") return paint(Tone::kGood, word);
  return paint(word == "off" || word == "failed" ? Tone::kBad : Tone::kWarning, word);
}

}  // namespace quire::client
