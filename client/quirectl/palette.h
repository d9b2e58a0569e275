// Colours of what quirectl prints for people: a state that is well, one that is not, one that is
// lost, and what is beside the point.
//
// --color (QUIRECTL_COLOR) decides; auto: on a terminal, unless NO_COLOR is set (no-color.org) or
// the terminal knows none.
#pragma once

#include <string>
#include <string_view>

namespace quire::client {

enum class Tone : uint8_t { kPlain, kGood, kWarning, kBad, kFaint, kStrong };

class Palette {
 public:
  // Without colours.
  Palette() = default;
  // `choice`: always, never, auto or empty. `terminal`: what is written goes to one.
  static Palette chosen(std::string_view choice, bool terminal);

  bool on() const { return on_; }
  std::string paint(Tone tone, std::string_view text) const;
  // A word of the daemon's: ok, degraded, read-only, off, failed.
  std::string state(std::string_view word) const;

 private:
  bool on_ = false;
};

}  // namespace quire::client
