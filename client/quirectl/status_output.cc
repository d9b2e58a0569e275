#include "client/quirectl/status_output.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>

#include "client/quirectl/readable.h"

namespace quire::client {

namespace {

namespace json = boost::json;

void write_object(const json::object& object, size_t indent, std::string& out);

// The library writes 0E0 and 5E-1, which people do not read. Digits enough to get the value back.
std::string fraction_text(double value) {
  std::array<char, 512> text;  // the longest has less than 350
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return {text.data(), end.ptr};
}

std::string scalar_text(const json::value& value) {
  if (value.is_double()) return fraction_text(value.get_double());
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_null()) return "-";
  return json::serialize(value);
}

// "", or what is behind "_per_" as a unit is written.
std::string rate_unit(std::string_view key) {
  constexpr std::string_view kPer = "_per_";
  const size_t per = key.find(kPer);
  if (per == key.npos) return {};
  const std::string_view unit = key.substr(per + kPer.size());
  return "/" + std::string(unit == "second" || unit == "hour" ? unit.substr(0, 1) : unit);
}

// A word of the key says what a whole number counts: "burst_bytes", "hit_tokens".
bool has_word(std::string_view key, std::string_view word) {
  for (size_t at = key.find(word); at != key.npos; at = key.find(word, at + 1)) {
    const bool begins = at == 0 || key[at - 1] == '_';
    const size_t end = at + word.size();
    if (begins && (end == key.size() || key[end] == '_')) return true;
  }
  return false;
}

std::string value_text(std::string_view key, const json::value& value) {
  if (key == "progress" && value.is_double()) return percent_text(100 * value.get_double());
  json::error_code not_whole;
  const auto number = value.is_double() ? 0 : value.to_number<uint64_t>(not_whole);
  if (value.is_double() || not_whole) return scalar_text(value);
  if (has_word(key, "bytes")) {
    return number == UINT64_MAX ? "no bound" : bytes_text(number) + rate_unit(key);
  }
  if (has_word(key, "tokens")) return count_text(number) + rate_unit(key);
  return scalar_text(value);
}

bool is_nested(const json::value& value) { return value.is_object() || value.is_array(); }

bool is_plain_list(const json::array& array) {
  return std::none_of(array.begin(), array.end(), is_nested);
}

std::string list_text(const json::array& array) {
  if (array.empty()) return "none";
  std::string text;
  for (const json::value& value : array) {
    if (!text.empty()) text += ", ";
    text += scalar_text(value);
  }
  return text;
}

// Each entry of a list of objects starts with a number, as a table's row would.
void write_list(const json::array& array, size_t indent, std::string& out) {
  size_t number = 0;
  for (const json::value& value : array) {
    out.append(indent, ' ').append("[" + std::to_string(number++) + "]");
    if (value.is_object()) {
      out += '\n';
      write_object(value.get_object(), indent + 2, out);
    } else if (value.is_array() && !is_plain_list(value.get_array())) {
      out += '\n';
      write_list(value.get_array(), indent + 2, out);
    } else {
      out += ' ' + (value.is_array() ? list_text(value.get_array()) : scalar_text(value)) + '\n';
    }
  }
}

void write_object(const json::object& object, size_t indent, std::string& out) {
  size_t width = 0;
  for (const auto& [key, value] : object) width = std::max(width, key.size());
  for (const auto& [key, value] : object) {
    out.append(indent, ' ').append(key);
    if (value.is_object()) {
      out += '\n';
      write_object(value.get_object(), indent + 2, out);
    } else if (value.is_array() && !is_plain_list(value.get_array())) {
      out += '\n';
      write_list(value.get_array(), indent + 2, out);
    } else {
      out.append(width + 2 - key.size(), ' ');
      out += (value.is_array() ? list_text(value.get_array())
                               : value_text(std::string_view(key), value)) +
             '\n';
    }
  }
}

}  // namespace

model::Result<std::string> status_table(std::string_view text) {
  json::error_code failure;
  const json::value status = json::parse(json::string_view(text.data(), text.size()), failure);
  if (failure || !status.is_object()) {
    return model::make_error(model::Errc::kMalformedFrame, "the daemon's answer is no JSON object");
  }
  std::string out;
  write_object(status.get_object(), 0, out);
  return out;
}

model::Result<ScrubCounts> scrub_counts(std::string_view text) {
  json::error_code failure;
  const json::value answer = json::parse(json::string_view(text.data(), text.size()), failure);
  const auto number = [&](const char* pointer) -> uint64_t {
    json::error_code wrong;
    const json::value* found = answer.find_pointer(pointer, wrong);
    const uint64_t value = found != nullptr ? found->to_number<uint64_t>(wrong) : 0;
    if (wrong) failure = wrong;
    return value;
  };
  ScrubCounts counts{.passes = number("/passes"), .damaged = number("/bad")};
  json::error_code absent;
  // Memory has no such thing.
  if (answer.find_pointer("/unreadable", absent) != nullptr)
    counts.damaged += number("/unreadable");
  const json::value* running = answer.find_pointer("/running", absent);
  if (failure || running == nullptr || !running->is_bool()) {
    return model::make_error(model::Errc::kMalformedFrame,
                             "the daemon's answer says nothing of a scrub");
  }
  counts.running = running->get_bool();
  return counts;
}

model::Result<bool> flag_of(std::string_view text, std::string_view flag) {
  json::error_code failure;
  const json::value answer = json::parse(json::string_view(text.data(), text.size()), failure);
  json::error_code absent;
  const json::value* found =
      failure ? nullptr : answer.find_pointer("/" + std::string(flag), absent);
  if (found == nullptr || !found->is_bool()) {
    return model::make_error(model::Errc::kMalformedFrame,
                             "the daemon's answer does not say whether it is " + std::string(flag));
  }
  return found->get_bool();
}

}  // namespace quire::client
