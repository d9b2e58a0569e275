#include "client/quirectl/config_command.h"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <ostream>

#include "client/quire.h"
#include "client/quirectl/daemon_answer.h"
#include "client/quirectl/verb_outcome.h"
#include "client/quirectl/verb_words.h"
#include "model/socket_verbs.h"

namespace quire::client {

namespace {

using model::Errc;
using model::Result;

Result<std::string> config_text(std::string_view json) {
  boost::json::error_code error;
  const boost::json::value document = boost::json::parse(json, error);
  const boost::json::object* object = error ? nullptr : document.if_object();
  const auto* flags = object == nullptr ? nullptr : object->if_contains("flags");
  if (flags == nullptr || !flags->is_array()) {
    return model::make_error(Errc::kCorrupt, "the daemon's answer lists no flags");
  }
  const auto text_of = [](const boost::json::object& flag, const char* key) {
    const auto* text = flag.if_contains(key);
    return text != nullptr && text->is_string() ? std::string(text->get_string().c_str())
                                                : std::string();
  };
  std::string text;
  for (const boost::json::value& entry : flags->get_array()) {
    if (!entry.is_object()) continue;
    const boost::json::object& flag = entry.get_object();
    const auto* live = flag.if_contains("live");
    text += "--" + text_of(flag, "key") + "=" + text_of(flag, "value") + "  # " +
            text_of(flag, "origin");
    text += live != nullptr && live->is_bool() && live->get_bool() ? ", live\n" : "\n";
  }
  return text;
}

}  // namespace

int run_config(const DaemonCommandLine& daemon, const ConfigCommandLine& line, std::ostream& out,
               std::ostream& err) {
  const AnswerShape shape{.name = "config", .list = "flags", .table = config_text};
  return print_answer(daemon, out, err, shape, [&line](Client& client) {
    return line.key.empty() ? client.config_json() : client.set_config(line.key, line.value);
  });
}

void add_config_command(CLI::App& app, ConfigCommandLine& line, DaemonCommandLine& daemon,
                        std::ostream& out, std::ostream& err) {
  using model::ConfigAction;
  using model::FrameType;
  CLI::App* config = add_verb(app, daemon, FrameType::kConfig);
  config->require_subcommand(1);
  const auto run = [&line, &daemon, &out, &err] {
    daemon.exit_code =
        settle_output(daemon.output, err) ? run_config(daemon, line, out, err) : kExitUsage;
  };
  add_action(*config, "show", "every flag with its value and origin; live: it may be set",
             FrameType::kConfig, static_cast<uint8_t>(ConfigAction::kShow))
      ->callback(run);
  CLI::App* set = add_action(*config, "set", "one flag, until the daemon ends or gets SIGHUP",
                             FrameType::kConfig, static_cast<uint8_t>(ConfigAction::kSet));
  set->add_option("KEY", line.key, "the flag's name: log_level")->required();
  set->add_option("VALUE", line.value, "its new value; \"\" empties it")->required();
  set->callback(run);
}

}  // namespace quire::client
