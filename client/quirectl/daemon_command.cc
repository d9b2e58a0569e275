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
#include "client/quirectl/daemon_answer.h"
#include "client/quirectl/meter/advice_money.h"
#include "client/quirectl/meter/stamp.h"
#include "client/quirectl/option_types.h"
#include "client/quirectl/status/status_command.h"
#include "client/quirectl/status_output.h"
#include "client/quirectl/verb_outcome.h"
#include "client/quirectl/verb_words.h"
#include "model/socket_verbs.h"

namespace quire::client {

namespace {

using model::Errc;
using model::EvictAction;
using model::FrameType;
using model::KeptAction;
using model::PinAction;
using model::PolicyAction;
using model::QuotaAction;
using model::Result;
using model::ScrubAction;
using model::VerifyScope;

constexpr uint64_t kUsPerSecond = 1'000'000;
// In the place of a tier: what is set or advised is which checkpoints engines write.
constexpr const char* kCheckpoints = "checkpoints";
// Columns of lists that may be empty.
constexpr std::string_view kQuotaColumns =
    "tier,domain,tenant,held_bytes,guaranteed_bytes,burst_bytes,weight,set_by";
constexpr std::string_view kPinColumns =
    "domain,tenant,namespace,held_bytes,budget_bytes,left_seconds";
constexpr std::string_view kPolicyColumns = "tier,domain,tenant,policy,switching";
constexpr std::string_view kAdviceColumns = "policy,size,hit_tokens,hit_percent,error_points,now";
constexpr AnswerShape kQuotas{.name = "quota", .list = "quotas", .columns = kQuotaColumns};
constexpr AnswerShape kPins{.name = "pin", .list = "pins", .columns = kPinColumns};

constexpr uint8_t as_byte(auto action) { return static_cast<uint8_t>(action); }

Result<int64_t> ping_us(const DaemonCommandLine& line) {
  using Clock = std::chrono::steady_clock;
  const std::unique_ptr<Client> client = QUIRE_TRY(connect_to_daemon(line));
  const Clock::time_point start = Clock::now();
  QUIRE_TRY(client->ping());
  return (Clock::now() - start) / std::chrono::microseconds(1);
}

// Starts a pass over what the daemon holds and waits until it is over; `ask` tells how far it is.
// kExitDegraded when it found damage.
template <typename Ask, typename Start>
Result<int> run_pass(const DaemonCommandLine& line, std::ostream& out, Ask ask, Start start) {
  const std::unique_ptr<Client> client = QUIRE_TRY(connect_to_daemon(line));
  const std::string said = QUIRE_TRY(ask(*client));
  const ScrubCounts before = QUIRE_TRY(scrub_counts(said));
  QUIRE_TRY(start(*client));
  for (;;) {
    const std::string text = QUIRE_TRY(ask(*client));
    const ScrubCounts now = QUIRE_TRY(scrub_counts(text));
    if (now.passes > before.passes) {
      out << QUIRE_TRY(printed(line.output, text, {.name = "verify", .list = ""}));
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

// A restart will know it.
Result<std::string> wait_for_quotas(Client& client, std::string text) {
  while (QUIRE_TRY(flag_of(text, "saving"))) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    text = QUIRE_TRY(client.quota_json());
  }
  return text;
}

Result<std::string> change_quota(Client& client, const DaemonCommandLine& line) {
  const QuotaBytes quota{
      .guaranteed = line.guaranteed_bytes, .burst = line.burst_bytes, .weight = line.weight};
  return wait_for_quotas(client, QUIRE_TRY(client.set_quota(tier_of(line), scope_of(line), quota)));
}

Result<std::string> clear_quota(Client& client, const DaemonCommandLine& line) {
  return wait_for_quotas(client, QUIRE_TRY(client.clear_quota(tier_of(line), scope_of(line))));
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
  const auto window = line.advice_window == "15m"   ? model::AdviceWindow::kQuarter
                      : line.advice_window == "24h" ? model::AdviceWindow::kDay
                                                    : model::AdviceWindow::kHour;
  const bool of_checkpoints = line.scope_tier == kCheckpoints;
  const std::unique_ptr<Client> client = QUIRE_TRY(connect_to_daemon(line));
  const std::string json = QUIRE_TRY(of_checkpoints ? client->checkpoint_advice_json(window)
                                                    : client->advice_json(tier_of(line), window));
  const AnswerShape shape{.name = of_checkpoints ? "checkpoint_advice" : "advice",
                          .list = "rows",
                          .columns = of_checkpoints ? std::string_view() : kAdviceColumns,
                          .table = of_checkpoints ? checkpoint_advice_table : advice_table};
  if (of_checkpoints || line.price_book.empty()) return printed(line.output, json, shape);
  const AdviceMoney money = QUIRE_TRY(advice_money(json, {.book_path = line.price_book,
                                                          .model = line.price_model,
                                                          .currency = line.price_currency,
                                                          .instant_us = present_us()}));
  if (line.output == "json" || line.output == "csv") {
    return printed(line.output, with_money(json, money), shape);
  }
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
  const std::unique_ptr<Client> client = QUIRE_TRY(connect_to_daemon(line));
  std::string text = QUIRE_TRY(client->flush_json(model::FlushAction::kStart));
  while (QUIRE_TRY(flag_of(text, "running"))) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    text = QUIRE_TRY(client->flush_json(model::FlushAction::kShow));
  }
  const bool complete = QUIRE_TRY(flag_of(text, "complete"));
  out << QUIRE_TRY(printed(line.output, text, {.name = "flush", .list = ""}));
  return complete ? kExitOk : kExitDegraded;
}

std::optional<ScrubAction> scrub_action(std::string_view name) {
  if (name == "start") return ScrubAction::kStart;
  if (name == "stop") return ScrubAction::kStop;
  if (name == "status") return ScrubAction::kStatus;
  return std::nullopt;
}

void add_verify_and_scrub(CLI::App& app, DaemonCommandLine& line, std::ostream& out,
                          std::ostream& err) {
  CLI::App* verify = add_verb(app, line, FrameType::kVerify);
  verify->add_flag("--headers", line.verify_headers,
                   "all that lies on the SSD against the index, instead of memory");
  note_role(*verify, model::VerbRole::kAdministrator);
  run_when_parsed(*verify, line, out, err, run_verify);

  CLI::App* scrub = add_verb(app, line, FrameType::kScrub);
  scrub->add_option("ACTION", line.scrub_action, "start, stop or status")
      ->required()
      ->check(CLI::IsMember({"start", "stop", "status"}));
  scrub->add_option("--bytes_per_second", line.bytes_per_second,
                    "with start: how fast to read; 0 = as the daemon is configured");
  run_when_parsed(*scrub, line, out, err, run_scrub);
}

void add_kept(CLI::App& app, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* kept = add_verb(app, line, FrameType::kKept);
  kept->add_option("ACTION", line.kept_action, "show or drop")
      ->check(CLI::IsMember({"show", "drop"}))
      ->capture_default_str();
  kept->add_option("--reason", line.kept_reason, "with drop: only what is kept for this reason");
  run_when_parsed(*kept, line, out, err, run_kept);
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

void add_advise(CLI::App& policy, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* advise = add_action(
      policy, "advise", "what each policy, at several sizes, would have hit, beside the ceiling",
      FrameType::kPolicy, as_byte(PolicyAction::kAdvise));
  advise
      ->add_option(
          "OF", line.scope_tier,
          "ram, or ssd: RAM and SSD as one place; ram if none. checkpoints: what each word "
          "would write and bring")
      ->check(CLI::IsMember({"ram", "ssd", kCheckpoints}));
  advise->add_option("--window", line.advice_window, "of so long until now; 1h if none")
      ->check(CLI::IsMember({"15m", "1h", "24h"}));
  CLI::Option* book = advise->add_option("--book", line.price_book,
                                         "in money, too: what hits save by this price book (TOML)");
  CLI::Option* model = advise->add_option("--model", line.price_model, "name that it lists");
  book->needs(model);
  model->needs(book);
  advise->add_option("--currency", line.price_currency, "one list of the book; else its first")
      ->needs(book);
  run_when_parsed(*advise, line, out, err, run_advise);
}

void add_policy(CLI::App& app, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* policy = add_verb(app, line, FrameType::kPolicy);
  policy->require_subcommand(1);
  run_when_parsed(
      *add_action(*policy, "show", "which policy orders which tier, and those that there are",
                  FrameType::kPolicy, as_byte(PolicyAction::kShow)),
      line, out, err, run_policy);
  CLI::App* set = add_action(
      *policy, "set", "another policy from now on; entries, order and history are carried over",
      FrameType::kPolicy, as_byte(PolicyAction::kSet));
  set->add_option("OF", line.scope_tier, "ram, ssd, or checkpoints: those that engines write")
      ->required()
      ->check(CLI::IsMember({"ram", "ssd", kCheckpoints}));
  set->add_option("POLICY", line.policy,
                  "its name, as `policy show` lists them; of checkpoints none, branch, turn_ends, "
                  "every:N or all")
      ->required();
  add_scope(*set, line);
  run_when_parsed(*set, line, out, err, run_policy);
  add_advise(*policy, line, out, err);
}

void add_quota(CLI::App& app, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* quota = add_verb(app, line, FrameType::kQuota);
  quota->require_subcommand(1);
  run_when_parsed(*add_action(*quota, "show", "who has a quota, and what each holds",
                              FrameType::kQuota, as_byte(QuotaAction::kShow)),
                  line, out, err, run_quota);
  CLI::App* set = add_action(*quota, "set", "what a user or a tenant may hold of a tier",
                             FrameType::kQuota, as_byte(QuotaAction::kSet));
  add_tier(*set, line);
  add_scope(*set, line)->required();
  set->add_option("--guaranteed", line.guaranteed_bytes,
                  "nobody else's need takes it below this (4GiB); default 0")
      ->transform(CLI::AsSizeValue(false));
  set->add_option("--burst", line.burst_bytes, "the most that it may hold; default: no bound")
      ->transform(CLI::AsSizeValue(false));
  set->add_option("--weight", line.weight,
                  "1 to 1000: each tenant's part where several read from the tier; default 1");
  run_when_parsed(*set, line, out, err, run_quota);
  CLI::App* clear = add_action(*quota, "clear", "as the quota file says, or none",
                               FrameType::kQuota, as_byte(QuotaAction::kClear));
  add_tier(*clear, line);
  add_scope(*clear, line)->required();
  run_when_parsed(*clear, line, out, err, run_clear_quota);
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
  note_role(*evict, model::VerbRole::kAdministrator);
  run_when_parsed(*evict, line, out, err, run_evict);
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
  add_action(*pin, "show", "what is pinned, and what of it is in RAM", FrameType::kPin,
             as_byte(PinAction::kShow));
  run_when_parsed(*pin, line, out, err, run_pin);
}

void add_unpin(CLI::App& app, DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* unpin =
      add_action(app, "unpin", "Let a pinned namespace leave RAM as others do from now on",
                 FrameType::kPin, as_byte(PinAction::kClear));
  CLI::Option* domain = add_scope(*unpin, line);
  CLI::Option* name = add_namespace(*unpin, line, "the namespace, as it was pinned");
  domain->needs(name);
  name->needs(domain);
  CLI::Option* all = unpin->add_flag("--all", line.unpin_all, "all that is pinned");
  all->excludes(name)->excludes(domain);
  run_when_parsed(*unpin, line, out, err, run_unpin);
}

void add_rebuild(CLI::App& app, DaemonCommandLine& line, std::ostream& err) {
  CLI::App* rebuild =
      app.add_subcommand("rebuild", "Make an SSD tier's index anew while no daemon uses it");
  rebuild->add_option("--ssd_path", line.rebuild.ssd_path, "directory of the tier")->required();
  rebuild->add_flag("--yes", line.rebuild.yes, "do it; without: only tell what would be done");
  rebuild->callback([&] { line.exit_code = run_rebuild(line.rebuild, err); });
}

}  // namespace

int run_ping(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  const Result<int64_t> round_trip = ping_us(line);
  if (!round_trip.ok()) return report(round_trip.error(), err);
  if (line.output.empty() || line.output == "table") {
    out << "ok " << *round_trip << " us\n";
    return kExitOk;
  }
  const std::string json = "{\"round_trip_us\":" + std::to_string(*round_trip) + "}";
  const auto text = printed(line.output, json, {.name = "ping", .list = ""});
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
  return print_answer(line, out, err, {.name = "scrub", .list = ""}, [&](Client& client) {
    return client.scrub_json(*action, line.bytes_per_second);
  });
}

int run_evict(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  const int code = print_answer(line, out, err, {.name = "evict", .list = ""},
                                [&](Client& client) { return evict(client, line); });
  if (code != kExitOk || line.yes) return code;
  err << "nothing was evicted; --yes evicts it\n";
  return kExitRefused;
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
  const int code = print_answer(line, out, err, {.name = "kept", .list = ""}, [&](Client& client) {
    return drop && line.yes ? drop_kept(client, line.kept_reason)
                            : client.kept_json(KeptAction::kShow);
  });
  if (code != kExitOk || !drop || line.yes) return code;
  err << "nothing was dropped; --yes drops it for good\n";
  return kExitRefused;
}

int run_policy(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  return print_answer(
      line, out, err, {.name = "policy", .list = "scopes", .columns = kPolicyColumns},
      [&](Client& client) {
        return line.scope_tier.empty() ? client.policy_json() : set_policy(client, line);
      });
}

int run_advise(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  const Result<std::string> text = advice_text(line);
  if (!text.ok()) return report(text.error(), err);
  out << *text;
  return kExitOk;
}

int run_quota(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  return print_answer(line, out, err, kQuotas, [&](Client& client) {
    return line.scope_tier.empty() ? client.quota_json() : change_quota(client, line);
  });
}

int run_clear_quota(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  return print_answer(line, out, err, kQuotas,
                      [&](Client& client) { return clear_quota(client, line); });
}

int run_pin(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  return print_answer(line, out, err, kPins, [&](Client& client) {
    return line.budget_bytes == 0 ? client.pin_json() : set_pin(client, line);
  });
}

int run_unpin(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  if (line.of_namespace == line.unpin_all) {
    err << "quirectl unpin: --domain uid:N [--tenant T] --namespace NAME, or --all\n";
    return kExitUsage;
  }
  return print_answer(line, out, err, kPins,
                      [&](Client& client) { return clear_pin(client, line); });
}

void add_daemon_commands(CLI::App& app, DaemonCommandLine& line, std::ostream& out,
                         std::ostream& err) {
  app.add_option("--socket", line.socket_path, "Socket of quired (/run/quire/quired.sock)")
      ->envname("QUIRE_SOCKET");
  app.add_option("--timeout_ms", line.timeout_ms, "How long to wait for the daemon")
      ->capture_default_str()
      ->envname("QUIRECTL_TIMEOUT_MS");
  run_when_parsed(*add_verb(app, line, FrameType::kPing), line, out, err, run_ping);
  add_status_commands(app, line, out, err);
  add_evict(app, line, out, err);
  CLI::App* flush = add_verb(app, line, FrameType::kFlush);
  note_role(*flush, model::VerbRole::kAdministrator);
  run_when_parsed(*flush, line, out, err, run_flush);
  add_pin(app, line, out, err);
  add_unpin(app, line, out, err);
  add_verify_and_scrub(app, line, out, err);
  add_kept(app, line, out, err);
  add_policy(app, line, out, err);
  add_quota(app, line, out, err);
  add_rebuild(app, line, err);
}

}  // namespace quire::client
