#include "server/start/flag_registry.h"

#include <gflags/gflags.h>

#include <optional>
#include <string_view>

#include "model/nearest_name.h"

namespace quire::server {

namespace {

std::optional<gflags::CommandLineFlagInfo> find_flag(const std::string& text) {
  gflags::CommandLineFlagInfo flag;
  const std::string name = flag_name(text);
  if (gflags::GetCommandLineFlagInfo(name.c_str(), &flag)) return flag;
  const bool negated = name.starts_with("no") &&
                       gflags::GetCommandLineFlagInfo(name.c_str() + 2, &flag) &&
                       flag.type == "bool";
  return negated ? std::optional(flag) : std::nullopt;
}

}  // namespace

std::vector<FlagValue> own_flags() {
  std::vector<gflags::CommandLineFlagInfo> all;
  gflags::GetAllFlags(&all);
  std::vector<FlagValue> own;
  for (const gflags::CommandLineFlagInfo& flag : all) {
    if (flag.filename.find("server/start/flags.cc") == std::string::npos) continue;
    own.push_back({.name = flag.name,
                   .type = flag.type,
                   .value = flag.current_value,
                   .default_value = flag.default_value,
                   .help = flag.description,
                   .is_default = flag.is_default});
  }
  return own;
}

// Words that are no flag: the value of the flag before them, or gflags leaves them over.
model::Result<void> check_known(const std::vector<FlagLine>& lines) {
  const std::vector<FlagValue> own = own_flags();
  std::vector<std::string_view> names;
  for (const FlagValue& flag : own) names.push_back(flag.name);
  for (const FlagLine& line : lines) {
    if (line.text == "--") return {};
    if (!line.text.starts_with('-') || find_flag(line.text)) continue;
    const std::string name = flag_name(line.text);
    return model::make_error(model::Errc::kInvalidArgument,
                             line.origin + ": unknown flag --" + name + "; did you mean --" +
                                 std::string(model::nearest_name(name, names)) + "?");
  }
  return {};
}

std::string joined(const std::vector<FlagLine>& lines) {
  std::string text;
  for (size_t i = 0; i < lines.size(); ++i) {
    text += lines[i].text;
    const auto flag = find_flag(lines[i].text);
    const bool value_follows = flag && flag->type != "bool" &&
                               lines[i].text.find('=') == std::string::npos && i + 1 < lines.size();
    if (value_follows) text += "=" + lines[++i].text;
    text += '\n';
  }
  return text;
}

}  // namespace quire::server
