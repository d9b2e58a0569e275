#include "model/verb_codec.h"

#include <algorithm>
#include <cstring>

#include "model/ids.h"

namespace quire::model {

namespace {

constexpr std::string_view kWords = "=\" \\";  // what makes a bare value of logfmt another one

bool counts(const VerbArgument& argument, const VerbAction* action, std::string_view payload) {
  const bool of_action =
      argument.actions == VerbArgument::kEveryAction ||
      (action != nullptr && action->value < 32 && (argument.actions >> action->value & 1) != 0);
  if (!of_action) return false;
  if (argument.counts_if == VerbArgument::kAlways) return true;
  return argument.counts_if < payload.size() && payload[argument.counts_if] == 1;
}

std::string number_text(std::string_view bytes) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value == UINT64_MAX ? "none" : std::to_string(value);
}

// A name that nothing ends is shown as far as it goes: what a stranger sent is shown, too.
std::string name_text(std::string_view bytes) {
  const std::string_view name = bytes.substr(0, bytes.find('\0'));
  return name.empty() ? "*" : logfmt_value(name);
}

std::string tier_text(std::string_view bytes) {
  const auto tier = static_cast<uint8_t>(bytes.front());
  return tier < kTierCount ? std::string(tier_name(TierId{tier})) : std::to_string(tier);
}

size_t bytes_of(ArgumentKind kind) {
  switch (kind) {
    case ArgumentKind::kNumber:
      return sizeof(uint64_t);
    case ArgumentKind::kTier:
      return sizeof(uint8_t);
    case ArgumentKind::kName:
      break;
  }
  return sizeof(WireName);
}

std::string value_text(ArgumentKind kind, std::string_view bytes) {
  switch (kind) {
    case ArgumentKind::kNumber:
      return number_text(bytes);
    case ArgumentKind::kTier:
      return tier_text(bytes);
    case ArgumentKind::kName:
      break;
  }
  return name_text(bytes);
}

}  // namespace

std::string_view role_name(VerbRole role) {
  static constexpr std::array<std::string_view, kVerbRoles> kNames{"anyone", "client", "reader",
                                                                   "meter", "administrator"};
  return kNames[static_cast<size_t>(role)];
}

const VerbAction* find_action(const VerbCodec& codec, std::string_view payload) {
  if (codec.actions.empty()) return nullptr;
  if (codec.action_offset == VerbCodec::kNoByte) return &codec.actions.front();
  if (codec.action_offset >= payload.size()) return nullptr;
  const auto value = static_cast<uint8_t>(payload[codec.action_offset]);
  const auto found = std::find_if(codec.actions.begin(), codec.actions.end(),
                                  [&](const VerbAction& action) { return action.value == value; });
  return found == codec.actions.end() ? nullptr : &*found;
}

std::string arguments_text(const VerbCodec& codec, const VerbAction* action,
                           std::string_view payload) {
  std::string text;
  for (const VerbArgument& argument : codec.arguments) {
    const size_t bytes = bytes_of(argument.kind);
    if (argument.offset + bytes > payload.size() || !counts(argument, action, payload)) continue;
    text += ' ' + std::string(argument.name) + '=' +
            value_text(argument.kind, payload.substr(argument.offset, bytes));
  }
  return text;
}

std::string logfmt_value(std::string_view text) {
  if (!text.empty() && text.find_first_of(kWords) == text.npos) return std::string(text);
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + '"';
}

}  // namespace quire::model
