#include "model/byte_text.h"

#include <charconv>
#include <limits>
#include <string>

namespace quire::model {

Result<uint64_t> parse_bytes(std::string_view what, std::string_view text) {
  const Error wrong =
      make_error(Errc::kInvalidArgument,
                 std::string(what) + " must be a number of bytes such as 64MiB or 8GiB; it is \"" +
                     std::string(text) + "\"");
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc{}) return wrong;
  std::string unit(parsed.ptr, text.data() + text.size());
  std::erase(unit, ' ');
  int shift = 0;
  if (unit == "KiB") {
    shift = 10;
  } else if (unit == "MiB") {
    shift = 20;
  } else if (unit == "GiB") {
    shift = 30;
  } else if (unit == "TiB") {
    shift = 40;
  } else if (!unit.empty() && unit != "B") {
    return wrong;
  }
  if (number > std::numeric_limits<uint64_t>::max() >> shift) return wrong;
  return number << shift;
}

}  // namespace quire::model
