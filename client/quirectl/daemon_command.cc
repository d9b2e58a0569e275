#include "client/quirectl/daemon_command.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <ostream>

#include "client/quire.h"
#include "client/quirectl/status_output.h"

namespace quire::client {

namespace {

using model::Errc;
using model::Result;

Result<std::unique_ptr<Client>> connect(const DaemonCommandLine& line) {
  ClientOptions options;
  options.socket_path = line.socket_path;
  options.client_name = "quirectl";
  options.connect_timeout_ms = line.timeout_ms;
  options.populate_segments = false;  // an operator reads no pages
  return Client::connect(options);
}

int report(const model::Error& error, std::ostream& err) {
  err << "quirectl: " << model::errc_name(error.code) << ": " << error.text << '\n';
  return exit_code_of(error.code);
}

Result<int64_t> ping_us(const DaemonCommandLine& line) {
  using Clock = std::chrono::steady_clock;
  const std::unique_ptr<Client> client = QUIRE_TRY(connect(line));
  const Clock::time_point start = Clock::now();
  QUIRE_TRY(client->ping());
  return (Clock::now() - start) / std::chrono::microseconds(1);
}

Result<std::string> status_text(const DaemonCommandLine& line) {
  const std::unique_ptr<Client> client = QUIRE_TRY(connect(line));
  std::string json = QUIRE_TRY(client->status_json());
  if (line.output == "json") return json + "\n";
  return status_table(json);
}

}  // namespace

int exit_code_of(Errc code) {
  switch (code) {
    case Errc::kUnavailable:
    case Errc::kUnsupportedVersion:
      return kExitCannotConnect;
    case Errc::kPermissionDenied:
      return kExitNotAuthorised;
    case Errc::kNotFound:
      return kExitNotFound;
    default:
      return kExitFailed;
  }
}

int run_ping(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  const Result<int64_t> round_trip = ping_us(line);
  if (!round_trip.ok()) return report(round_trip.error(), err);
  out << "ok " << *round_trip << " us\n";
  return kExitOk;
}

int run_status(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  const Result<std::string> text = status_text(line);
  if (!text.ok()) return report(text.error(), err);
  out << *text;
  return kExitOk;
}

void add_daemon_commands(CLI::App& app, DaemonCommandLine& line, std::ostream& out,
                         std::ostream& err) {
  app.add_option("--socket", line.socket_path, "Socket of quired (/run/quire/quired.sock)")
      ->envname("QUIRE_SOCKET");
  app.add_option("--timeout_ms", line.timeout_ms, "How long to wait for the daemon")
      ->capture_default_str()
      ->envname("QUIRECTL_TIMEOUT_MS");
  CLI::App* ping = app.add_subcommand("ping", "Check that the daemon answers");
  ping->callback([&] { line.exit_code = run_ping(line, out, err); });
  CLI::App* status = app.add_subcommand("status", "Show the daemon's state");
  status->add_option("-o,--output", line.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str()
      ->envname("QUIRECTL_OUTPUT");
  status->callback([&] { line.exit_code = run_status(line, out, err); });
}

}  // namespace quire::client
