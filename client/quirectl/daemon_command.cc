#include "client/quirectl/daemon_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <thread>

#include "client/quire.h"
#include "client/quirectl/advice_output.h"
#include "client/quirectl/meter/advice_money.h"
#include "client/quirectl/meter/stamp.h"
#include "client/quirectl/option_types.h"
#include "client/quirectl/status_output.h"
#include "client/quirectl/verb_outcome.h"
#include "model/socket_verbs.h"

namespace quire::client {

namespace {

using model::Errc;
using model::EvictAction;
using model::FrameType;
using model::KeptAction;
using model::Result;
using model::ScrubAction;
using model::VerifyScope;

constexpr uint64_t kUsPerSecond = 1'000'000;
// In the place of a tier: what is set or advised is which checkpoints engines write.
constexpr const char* kCheckpoints = "checkpoints";

Result<std::unique_ptr<Client>> connect(const DaemonCommandLine& line) {
  ClientOptions options;
  options.socket_path = line.socket_path;
  options.client_name = "quirectl";
  options.connect_timeout_ms = line.timeout_ms;
  options.populate_segments = false;  // an operator reads no pages
  return Client::connect(options);
}

Result<int64_t> ping_us(const DaemonCommandLine& line) {
  using Clock = std::chrono::steady_clock;
  const std::unique_ptr<Client> client = QUIRE_TRY(connect(line));
  const Clock::time_point start = Clock::now();
  QUIRE_TRY(client->ping());
  return (Clock::now() - start) / std::chrono::microseconds(1);
}

// What is to be printed of the daemon's JSON.
Result<std::string> printed(const DaemonCommandLine& line, const std::string& json) {
  if (line.output == "json") return json + "\n";
  return status_table(json);
}

template <typename Ask>
Result<std::string> answer_text(const DaemonCommandLine& line, Ask ask) {
  const std::unique_ptr<Client> client = QUIRE_TRY(connect(line));
  return printed(line, QUIRE_TRY(ask(*client)));
}

// As a scraper takes it, unchanged.
Result<std::string> prometheus_text(const DaemonCommandLine& line) {
  const std::unique_ptr<Client> client = QUIRE_TRY(connect(line));
  return client->status_text(model::StatusFormat::kPrometheus);
}

template <typename Ask>
int print_answer(const DaemonCommandLine& line, std::ostream& out, std::ostream& err, Ask ask) {
  const Result<std::string> text = answer_text(line, ask);
  if (!text.ok()) return report(text.error(), err);
  out << *text;
  return kExitOk;
}

// Starts a pass over what the daemon holds and waits until it is over; `ask` tells how far it is.
// kExitDegraded when it found damage.
template <typename Ask, typename Start>
Result<int> run_pass(const DaemonCommandLine& line, std::ostream& out, Ask ask, Start start) {
  const std::unique_ptr<Client> client = QUIRE_TRY(connect(line));
  const std::string said = QUIRE_TRY(ask(*client));
  const ScrubCounts before = QUIRE_TRY(scrub_counts(said));
  QUIRE_TRY(start(*client));
  for (;;) {
    const std::string text = QUIRE_TRY(ask(*client));
    const ScrubCounts now = QUIRE_TRY(scrub_counts(text));
    if (now.passes > before.passes) {
      out << QUIRE_TRY(printed(line, text));
      return now.damaged > before.damaged ? kExitDegraded : kExitOk;
    }
    if (!now.running) return model::make_error(Errc::kClosed, "the pass was stopped");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

Result<int> verify_headers(const DaemonCommandLine& line, std::ostream& out) {
  return run_pass(
      line, out, [](Client& client) { return client.scrub_json(ScrubAction::kStatus); },
      [](Client& client) { return client.verify_json(VerifyScope::kIndexAndHeaders); });
}

Result<int> verify_memory(const DaemonCommandLine& line, std::ostream& out) {
  return run_pass(
      line, out, [](Client& client) { return client.verify_json(VerifyScope::kMemoryStatus); },
      [](Client& client) { return client.verify_json(VerifyScope::kMemory); });
}

Result<std::string> drop_kept(Client& client, const std::string& reason) {
  std::string text = QUIRE_TRY(client.kept_json(KeptAction::kDrop, reason));
  while (QUIRE_TRY(flag_of(text, "dropping"))) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    text = QUIRE_TRY(client.kept_json(KeptAction::kShow));
  }
  return text;
}

model::TierId tier_of(const DaemonCommandLine& line) {
  return line.scope_tier == "ssd" ? model::TierId::kSsd : model::TierId::kRam;
}

ScopeOptions scope_of(const DaemonCommandLine& line) {
  return {.domain = line.scope_domain,
          .tenant = line.of_tenant ? std::optional(line.scope_tenant) : std::nullopt};
}

Result<std::string> set_policy(Client& client, const DaemonCommandLine& line) {
  std::string text = QUIRE_TRY(line.scope_tier == kCheckpoints
                                   ? client.set_checkpoints(line.policy, scope_of(line))
                                   : client.set_policy(tier_of(line), line.policy, scope_of(line)));
  while (QUIRE_TRY(flag_of(text, "switching")) || QUIRE_TRY(flag_of(text, "saving"))) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    text = QUIRE_TRY(client.policy_json());
  }
  return text;
}

Result<std::string> change_quota(Client& client, const DaemonCommandLine& line) {
  const QuotaBytes quota{.guaranteed = line.guaranteed_bytes, .burst = line.burst_bytes};
  std::string text =
      QUIRE_TRY(line.clear_quota ? client.clear_quota(tier_of(line), scope_of(line))
                                 : client.set_quota(tier_of(line), scope_of(line), quota));
  while (QUIRE_TRY(flag_of(text, "saving"))) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    text = QUIRE_TRY(client.quota_json());
  }
  return text;
}

// When it holds for what is in RAM already, and on disk.
Result<std::string> wait_for_pins(Client& client, std::string text) {
  while (QUIRE_TRY(flag_of(text, "moving")) || QUIRE_TRY(flag_of(text, "saving"))) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    text = QUIRE_TRY(client.pin_json());
  }
  return text;
}

Result<std::string> set_pin(Client& client, const DaemonCommandLine& line) {
  const PinOptions pin{.scope = scope_of(line),
                       .namespace_name = line.namespace_name,
                       .budget_bytes = line.budget_bytes,
                       .for_seconds = line.for_seconds};
  return wait_for_pins(client, QUIRE_TRY(client.set_pin(pin)));
}

Result<std::string> clear_pin(Client& client, const DaemonCommandLine& line) {
  if (line.unpin_all) return wait_for_pins(client, QUIRE_TRY(client.clear_pins()));
  return wait_for_pins(client, QUIRE_TRY(client.clear_pin(scope_of(line), line.namespace_name)));
}

Result<std::string> advice_text(const DaemonCommandLine& line) {
  const auto window = line.advice_window == "15m"  ? model::AdviceWindow::kQuarter
                      : line.advice_window == "1h" ? model::AdviceWindow::kHour
                                                   : model::AdviceWindow::kDay;
  const bool of_checkpoints = line.scope_tier == kCheckpoints;
  const std::unique_ptr<Client> client = QUIRE_TRY(connect(line));
  const std::string json = QUIRE_TRY(of_checkpoints ? client->checkpoint_advice_json(window)
                                                    : client->advice_json(tier_of(line), window));
  if (of_checkpoints) return line.output == "json" ? json + "\n" : checkpoint_advice_table(json);
  if (line.price_book.empty()) return line.output == "json" ? json + "\n" : advice_table(json);
  const AdviceMoney money = QUIRE_TRY(advice_money(json, {.book_path = line.price_book,
                                                          .model = line.price_model,
                                                          .currency = line.price_currency,
                                                          .instant_us = present_us()}));
  if (line.output == "json") return with_money(json, money) + "\n";
  return QUIRE_TRY(advice_table(json)) + money_table(money);
}

Result<std::string> evict(Client& client, const DaemonCommandLine& line) {
  const EvictOptions options{
      .tier = tier_of(line),
      .scope = scope_of(line),
      .namespace_name = line.of_namespace ? std::optional(line.namespace_name) : std::nullopt,
      .unused_us = std::min(line.unused_seconds, UINT64_MAX / kUsPerSecond) * kUsPerSecond};
  const EvictAction action = line.yes ? EvictAction::kGo : EvictAction::kPlan;
  std::string text = QUIRE_TRY(client.evict_json(action, options));
  while (QUIRE_TRY(flag_of(text, "running"))) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    text = QUIRE_TRY(client.evict_json(EvictAction::kShow));
  }
  return text;
}

Result<int> flush(const DaemonCommandLine& line, std::ostream& out) {
  const std::unique_ptr<Client> client = QUIRE_TRY(connect(line));
  std::string text = QUIRE_TRY(client->flush_json(model::FlushAction::kStart));
  while (QUIRE_TRY(flag_of(text, "running"))) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    text = QUIRE_TRY(client->flush_json(model::FlushAction::kShow));
  }
  const bool complete = QUIRE_TRY(flag_of(text, "complete"));
  out << QUIRE_TRY(printed(line, text));
  return complete ? kExitOk : kExitDegraded;
}

std::optional<ScrubAction> scrub_action(std::string_view name) {
  if (name == "start") return ScrubAction::kStart;
  if (name == "stop") return ScrubAction::kStop;
  if (name == "status") return ScrubAction::kStatus;
  return std::nullopt;
}

// Runs a verb that prints an answer of the daemon in one of two forms.
template <typename Run>
int run_with_output(DaemonCommandLine& line, std::ostream& err, Run run) {
  return settle_output(line.output, err) ? run() : kExitUsage;
}

// What the table of verbs says of it: name and help, and for a destructive one --yes.
CLI::App* add_verb(CLI::App& app, DaemonCommandLine& line, FrameType type) {
  const model::SocketVerb& verb = *model::find_verb(type);
  CLI::App* command = app.add_subcommand(std::string(verb.name), std::string(verb.help));
  if (verb.destructive) {
    command->add_flag("--yes", line.yes, "do it; without: only tell what would go");
  }
  return command;
}

void add_verify_and_scrub(CLI::App& app, DaemonCommandLine& line, std::ostream& out,
                          std::ostream& err) {
  CLI::App* verify = add_verb(app, line, FrameType::kVerify);
  verify->add_flag("--headers", line.verify_headers,
                   "all that lies on the SSD against the index, instead of memory");
  verify->callback([&] {
    line.exit_code = run_with_output(line, err, [&] { return run_verify(line, out, err); });
  });

  CLI::App* scrub = add_verb(app, line, FrameType::kScrub);
  scrub->add_option("ACTION", line.scrub_action, "start, stop or status")
      ->required()
      ->check(CLI::IsMember({"start", "stop", "status"}));
  scrub->add_option("--bytes_per_second", line.bytes_per_second,
                    "with start: how fast to read; 0 = as the daemon is configured");
  scrub->callback([&] {
    line.exit_code = run_with_output(line, err, [&] { return run_scrub(line, out, err); });
  });
}

void add_kept(CLI::App& app, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* kept = add_verb(app, line, FrameType::kKept);
  kept->add_option("ACTION", line.kept_action, "show or drop")
      ->check(CLI::IsMember({"show", "drop"}))
      ->capture_default_str();
  kept->add_option("--reason", line.kept_reason, "with drop: only what is kept for this reason");
  kept->callback([&] {
    line.exit_code = run_with_output(line, err, [&] { return run_kept(line, out, err); });
  });
}

void add_tier(CLI::App& command, DaemonCommandLine& line) {
  command.add_option("TIER", line.scope_tier, "ram or ssd")
      ->required()
      ->check(CLI::IsMember({"ram", "ssd"}));
}

// Returns the option that names the domain.
CLI::Option* add_scope(CLI::App& command, DaemonCommandLine& line) {
  CLI::Option* domain = command.add_option(
      "--domain", line.scope_domain, "this user alone (uid:1000); else all, and those to come");
  command
      .add_option_function<std::string>(
          "--tenant",
          [&line](const std::string& tenant) {
            line.scope_tenant = tenant;
            line.of_tenant = true;
          },
          "of that user this tenant alone")
      ->needs(domain);
  return domain;
}

CLI::Option* add_namespace(CLI::App& command, DaemonCommandLine& line, const std::string& help) {
  return command.add_option_function<std::string>(
      "--namespace",
      [&line](const std::string& name) {
        line.namespace_name = name;
        line.of_namespace = true;
      },
      help);
}

void add_policy(CLI::App& app, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* policy = add_verb(app, line, FrameType::kPolicy);
  policy->require_subcommand(1);
  const auto run = [&] {
    line.exit_code = run_with_output(line, err, [&] { return run_policy(line, out, err); });
  };
  policy->add_subcommand("show", "which policy orders which tier, and those that there are")
      ->callback(run);
  CLI::App* set = policy->add_subcommand(
      "set", "another policy from now on; entries, order and history are carried over");
  set->add_option("OF", line.scope_tier, "ram, ssd, or checkpoints: those that engines write")
      ->required()
      ->check(CLI::IsMember({"ram", "ssd", kCheckpoints}));
  set->add_option("POLICY", line.policy,
                  "its name, as `policy show` lists them; of checkpoints none, branch, turn_ends, "
                  "every:N or all")
      ->required();
  add_scope(*set, line);
  set->callback(run);
  CLI::App* advise = policy->add_subcommand(
      "advise", "what each policy, at several sizes, would have hit, beside the ceiling");
  advise
      ->add_option(
          "OF", line.scope_tier,
          "ram, or ssd: RAM and SSD as one place; ram if none. checkpoints: what each word "
          "would write and bring")
      ->check(CLI::IsMember({"ram", "ssd", kCheckpoints}));
  CLI::Option* window =
      advise->add_option("--window", line.advice_window, "of so long until now; 1h if none")
          ->check(CLI::IsMember({"15m", "1h", "24h"}));
  CLI::Option* book = advise->add_option("--book", line.price_book,
                                         "in money, too: what hits save by this price book (TOML)");
  CLI::Option* model = advise->add_option("--model", line.price_model, "name that it lists");
  book->needs(model);
  model->needs(book);
  advise->add_option("--currency", line.price_currency, "one list of the book; else its first")
      ->needs(book);
  advise->callback([&, run, window] {
    if (window->count() == 0) line.advice_window = "1h";
    run();
  });
}

void add_quota(CLI::App& app, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* quota = add_verb(app, line, FrameType::kQuota);
  quota->require_subcommand(1);
  const auto run = [&] {
    line.exit_code = run_with_output(line, err, [&] { return run_quota(line, out, err); });
  };
  quota->add_subcommand("show", "who has a quota, and what each holds")->callback(run);
  CLI::App* set = quota->add_subcommand("set", "what a user or a tenant may hold of a tier");
  add_tier(*set, line);
  add_scope(*set, line)->required();
  set->add_option("--guaranteed", line.guaranteed_bytes,
                  "nobody else's need takes it below this (4GiB); default 0")
      ->transform(CLI::AsSizeValue(false));
  set->add_option("--burst", line.burst_bytes, "the most that it may hold; default: no bound")
      ->transform(CLI::AsSizeValue(false));
  set->callback(run);
  CLI::App* clear = quota->add_subcommand("clear", "as the quota file says, or none");
  add_tier(*clear, line);
  add_scope(*clear, line)->required();
  clear->callback([&line, run] {
    line.clear_quota = true;
    run();
  });
}

void add_evict(CLI::App& app, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* evict = add_verb(app, line, FrameType::kEvict);
  evict->add_option("TIER", line.scope_tier, "ram or ssd; ram unless it is given")
      ->check(CLI::IsMember({"ram", "ssd"}));
  add_scope(*evict, line);
  add_namespace(*evict, line, "of this namespace alone");
  evict
      ->add_option("--older-than", line.unused_seconds,
                   "what was not used for so long: 30m, 2h, 7d")
      ->transform(duration());
  evict->callback([&] {
    line.exit_code = run_with_output(line, err, [&] { return run_evict(line, out, err); });
  });
}

// Without arguments it shows what is pinned, as `pin show` does.
void add_pin(CLI::App& app, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* pin = add_verb(app, line, FrameType::kPin);
  CLI::Option* domain = add_scope(*pin, line);
  CLI::Option* name = add_namespace(*pin, line, "the namespace; it need not be there yet");
  CLI::Option* budget =
      pin->add_option("--budget", line.budget_bytes, "so much of it stays in RAM (10GiB)")
          ->transform(CLI::AsSizeValue(false))
          ->check(CLI::PositiveNumber);
  pin->add_option("--for", line.for_seconds, "for so long: 30m, 2h, 7d; else until it is unpinned")
      ->transform(duration())
      ->needs(budget);
  domain->needs(name)->needs(budget);
  name->needs(domain)->needs(budget);
  budget->needs(domain)->needs(name);
  pin->add_subcommand("show", "what is pinned, and what of it is in RAM");
  pin->callback([&] {
    line.exit_code = run_with_output(line, err, [&] { return run_pin(line, out, err); });
  });
}

void add_unpin(CLI::App& app, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* unpin =
      app.add_subcommand("unpin", "Let a pinned namespace leave RAM as others do from now on");
  CLI::Option* domain = add_scope(*unpin, line);
  CLI::Option* name = add_namespace(*unpin, line, "the namespace, as it was pinned");
  domain->needs(name);
  name->needs(domain);
  CLI::Option* all = unpin->add_flag("--all", line.unpin_all, "all that is pinned");
  all->excludes(name)->excludes(domain);
  unpin->callback([&] {
    line.exit_code = run_with_output(line, err, [&] { return run_unpin(line, out, err); });
  });
}

void add_flush(CLI::App& app, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  add_verb(app, line, FrameType::kFlush)->callback([&] {
    line.exit_code = run_with_output(line, err, [&] { return run_flush(line, out, err); });
  });
}

void add_rebuild(CLI::App& app, DaemonCommandLine& line, std::ostream& err) {
  CLI::App* rebuild =
      app.add_subcommand("rebuild", "Make an SSD tier's index anew while no daemon uses it");
  rebuild->add_option("--ssd_path", line.rebuild.ssd_path, "directory of the tier")->required();
  rebuild->add_flag("--yes", line.rebuild.yes, "do it; without: only tell what would be done");
  rebuild->callback([&] { line.exit_code = run_rebuild(line.rebuild, err); });
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
  if (line.status_format.empty()) {
    return print_answer(line, out, err, [](Client& client) { return client.status_json(); });
  }
  const Result<std::string> text = prometheus_text(line);
  if (!text.ok()) return report(text.error(), err);
  out << *text;
  return kExitOk;
}

int run_verify(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  const Result<int> verified =
      line.verify_headers ? verify_headers(line, out) : verify_memory(line, out);
  return verified.ok() ? *verified : report(verified.error(), err);
}

int run_scrub(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  const std::optional<ScrubAction> action = scrub_action(line.scrub_action);
  if (!action || (line.bytes_per_second != 0 && *action != ScrubAction::kStart)) {
    err << "quirectl scrub: start [--bytes_per_second N], stop or status\n";
    return kExitUsage;
  }
  return print_answer(line, out, err, [&](Client& client) {
    return client.scrub_json(*action, line.bytes_per_second);
  });
}

int run_evict(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  if (!line.yes) err << "nothing was evicted; --yes evicts it\n";
  return print_answer(line, out, err, [&](Client& client) { return evict(client, line); });
}

int run_flush(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  const Result<int> flushed = flush(line, out);
  return flushed.ok() ? *flushed : report(flushed.error(), err);
}

int run_kept(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  const bool drop = line.kept_action == "drop";
  if ((!drop && line.kept_action != "show") || (!drop && (line.yes || !line.kept_reason.empty()))) {
    err << "quirectl kept: show, or drop [--reason REASON] [--yes]\n";
    return kExitUsage;
  }
  if (drop && !line.yes) err << "nothing was dropped; --yes drops it for good\n";
  return print_answer(line, out, err, [&](Client& client) {
    return drop && line.yes ? drop_kept(client, line.kept_reason)
                            : client.kept_json(KeptAction::kShow);
  });
}

int run_policy(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  if (!line.advice_window.empty()) {
    const Result<std::string> text = advice_text(line);
    if (!text.ok()) return report(text.error(), err);
    out << *text;
    return kExitOk;
  }
  return print_answer(line, out, err, [&](Client& client) {
    return line.scope_tier.empty() ? client.policy_json() : set_policy(client, line);
  });
}

int run_quota(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  return print_answer(line, out, err, [&](Client& client) {
    return line.scope_tier.empty() ? client.quota_json() : change_quota(client, line);
  });
}

int run_pin(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  return print_answer(line, out, err, [&](Client& client) {
    return line.budget_bytes == 0 ? client.pin_json() : set_pin(client, line);
  });
}

int run_unpin(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  if (line.of_namespace == line.unpin_all) {
    err << "quirectl unpin: --domain uid:N [--tenant T] --namespace NAME, or --all\n";
    return kExitUsage;
  }
  return print_answer(line, out, err, [&](Client& client) { return clear_pin(client, line); });
}

void add_daemon_commands(CLI::App& app, DaemonCommandLine& line, std::ostream& out,
                         std::ostream& err) {
  app.add_option("--socket", line.socket_path, "Socket of quired (/run/quire/quired.sock)")
      ->envname("QUIRE_SOCKET");
  app.add_option("--timeout_ms", line.timeout_ms, "How long to wait for the daemon")
      ->capture_default_str()
      ->envname("QUIRECTL_TIMEOUT_MS");
  CLI::App* ping = add_verb(app, line, FrameType::kPing);
  ping->callback([&] { line.exit_code = run_ping(line, out, err); });
  CLI::App* status = add_verb(app, line, FrameType::kStatus);
  status
      ->add_option("--format", line.status_format,
                   "prometheus: the text that a scraper takes, whatever --output says")
      ->check(CLI::IsMember({"prometheus"}));
  status->callback([&] {
    line.exit_code = run_with_output(line, err, [&] { return run_status(line, out, err); });
  });
  add_evict(app, line, out, err);
  add_flush(app, line, out, err);
  add_pin(app, line, out, err);
  add_unpin(app, line, out, err);
  add_verify_and_scrub(app, line, out, err);
  add_kept(app, line, out, err);
  add_policy(app, line, out, err);
  add_quota(app, line, out, err);
  add_rebuild(app, line, err);
}

}  // namespace quire::client
