#include "client/quirectl/doctor/doctor_command.h"

#include <CLI/CLI.hpp>
#include <ostream>

#include "client/quirectl/daemon_answer.h"
#include "client/quirectl/meter/field_text.h"
#include "client/quirectl/readable.h"
#include "client/quirectl/status/live_screen.h"

namespace quire::client {

namespace {

void add_doctor_options(CLI::App& verb, DoctorOptions& options) {
  verb.add_option("--flagfile", options.flagfile,
                  "flags of this file; else those of the daemon that runs");
  verb.add_option("--quired", options.quired,
                  "the daemon's program; else beside this one, or in PATH");
  verb.add_flag("--no-disk", options.no_disk, "do not measure how fast the SSD tier's disk is");
}

DaemonWord word_of(const DaemonCommandLine& daemon) {
  const auto client = connect_to_daemon(daemon);
  if (client.ok()) return ask_daemon(**client);
  return {.error = client.error().text, .facts = {}};
}

int run_bundle(const DaemonCommandLine& daemon, const DoctorCommandLine& line, std::ostream& out,
               std::ostream& err) {
  const auto told = write_bundle(daemon, line.bundle, line.version);
  if (!told.ok()) return report(told.error(), err);
  if (daemon.output == "table") {
    out << line.bundle.path << '\n';
    for (const BundledFile& file : *told) {
      out << file.name << "  " << bytes_text(file.bytes) << '\n';
    }
    return kExitOk;
  }
  std::string json = "{\"path\":";
  append_json_text(json, line.bundle.path);
  json += ",\"files\":[";
  for (const BundledFile& file : *told) {
    json += json.back() == '[' ? "{\"name\":" : ",{\"name\":";
    append_json_text(json, file.name);
    json += ",\"bytes\":" + std::to_string(file.bytes) + "}";
  }
  const auto text = printed(daemon.output, json + "]}", {.name = "bundle", .list = "files"});
  if (!text.ok()) return report(text.error(), err);
  out << *text;
  return kExitOk;
}

}  // namespace

int run_doctor(const DaemonCommandLine& daemon, const DoctorOptions& options, std::ostream& out,
               std::ostream& err) {
  const HealthChecks checks =
      examine(options, find_flags(daemon.socket_path, options.flagfile), word_of(daemon));
  if (daemon.output == "json" || daemon.output == "csv") {
    const auto text =
        printed(daemon.output, health_json(checks), {.name = "doctor", .list = "checks"});
    if (!text.ok()) return report(text.error(), err);
    out << *text;
  } else {
    out << health_table(checks, Palette::chosen(daemon.color, stdout_is_terminal()));
  }
  return all_well(checks) ? kExitOk : kExitDegraded;
}

void add_doctor_commands(CLI::App& app, DoctorCommandLine& line, DaemonCommandLine& daemon,
                         std::ostream& out, std::ostream& err) {
  CLI::App* doctor = app.add_subcommand(
      "doctor", "Tell what of this machine hurts the daemon, what it costs, and what mends it");
  add_doctor_options(*doctor, line.doctor);
  doctor->callback([&] {
    daemon.exit_code =
        settle_output(daemon.output, err) ? run_doctor(daemon, line.doctor, out, err) : kExitUsage;
  });
  CLI::App* bundle = app.add_subcommand(
      "bundle", "Write an archive for who helps from afar: status, settings, machine; no names");
  bundle->add_option("FILE", line.bundle.path, "the archive (.tar)")->required();
  bundle->add_flag("--keep-names", line.bundle.keep_names,
                   "leave the names of tenants, namespaces, models and users in");
  add_doctor_options(*bundle, line.bundle.doctor);
  bundle->callback([&] {
    daemon.exit_code =
        settle_output(daemon.output, err) ? run_bundle(daemon, line, out, err) : kExitUsage;
  });
}

}  // namespace quire::client
