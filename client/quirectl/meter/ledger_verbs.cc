#include "client/quirectl/meter/ledger_verbs.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <string>
#include <string_view>

#include "client/quirectl/answer_output.h"
#include "client/quirectl/daemon_command.h"
#include "client/quirectl/meter/bill_output.h"
#include "client/quirectl/meter/meter_bill.h"
#include "client/quirectl/meter/meter_export.h"
#include "client/quirectl/meter/meter_show.h"
#include "client/quirectl/meter/meter_tail.h"
#include "client/quirectl/meter/meter_verify.h"
#include "client/quirectl/verb_outcome.h"
#include "client/quirectl/verb_words.h"
#include "model/prices/instant.h"
#include "model/prices/price_book.h"

namespace quire::client {

namespace {

constexpr std::string_view kRollupColumns =
    "begin,begin_us,uid,tenant,payer,namespace,model,turns,interrupted_turns,prompt_tokens,"
    "hit_tokens,replayed_tokens,missed_tokens,output_tokens,written_tokens,undelivered_tokens,"
    "withheld_tokens,delivered_ram_tokens,delivered_ssd_tokens,delivered_cluster_tokens,"
    "moved_ram_bytes,moved_ssd_bytes,moved_cluster_bytes,written_bytes";

using Run = int (*)(const MeterOptions&, std::ostream&, std::ostream&);

void add_place(CLI::App& verb, LedgerPlace& place) {
  CLI::Option* directory = verb.add_option(
      "--ledger", place.directory,
      "this directory of receipts, with or without its daemon, instead of asking the daemon");
  verb.add_option("--file", place.file, "what `meter export --raw` saved; - is standard input")
      ->excludes(directory);
  verb.add_option("--quired", place.quired,
                  "with --ledger: the program that reads it; else beside this one, or in PATH");
}

struct LedgerVerbs {
  CLI::App& meter;
  MeterOptions& options;
  DaemonCommandLine& daemon;
  std::ostream& out;
  std::ostream& err;

  CLI::App* add(const std::string& name, const std::string& help, Run run,
                const CsvForm& csv = {.list = ""}) const {
    CLI::App* verb = meter.add_subcommand(name, help);
    note_role(*verb, model::VerbRole::kMeter);
    add_place(*verb, options.place);
    verb->callback(
        [verbs = *this, run, csv] { verbs.daemon.exit_code = verbs.run_verb(run, csv); });
    return verb;
  }

  int run_verb(Run run, const CsvForm& csv) const {
    if (!settle_output(daemon.output, err)) return kExitUsage;
    options.place.socket_path = daemon.socket_path;
    options.place.timeout_ms = daemon.timeout_ms;
    options.csv = daemon.output == "csv";
    // What has no end is written row by row; what is an export has a form of its own.
    if (options.csv && !csv.list) return run(options, out, err);
    return run_in_form(daemon.output, csv, out, err, [&](bool json, std::ostream& to) {
      options.json = json;
      return run(options, to, err);
    });
  }
};

// Names the fault of a value, or is content.
template <typename Parse>
CLI::Validator parsed_by(Parse parse, const std::string& name) {
  return CLI::Validator(
      [parse](const std::string& text) {
        const auto parsed = parse(text);
        return parsed.ok() ? std::string() : parsed.error().text;
      },
      name);
}

std::string fault_of_currency(const std::string& text) {
  return prices::is_currency(text) ? std::string()
                                   : "'" + text + "' is no currency: write three capitals, as USD";
}

// RFC 3986: its characters, and what else there is as %HH.
std::string fault_of_uri(const std::string& text) {
  constexpr std::string_view kOthers = "-._~:/?#[]@!$&'()*+,;=";
  for (size_t i = 0; i < text.size(); ++i) {
    const auto is_hex = [&](size_t at) {
      return at < text.size() && std::isxdigit(static_cast<unsigned char>(text[at])) != 0;
    };
    const bool plain = std::isalnum(static_cast<unsigned char>(text[i])) != 0 ||
                       kOthers.find(text[i]) != std::string_view::npos;
    if (!plain && !(text[i] == '%' && is_hex(i + 1) && is_hex(i + 2))) {
      return "'" + text + "' is no URI reference: write what it may not hold as %HH";
    }
  }
  return {};
}

void add_window(CLI::App& verb, MeterOptions& options, const std::string& of_what) {
  const CLI::Validator instant = parsed_by(prices::parse_instant, "INSTANT");
  verb.add_option("--from", options.from,
                  of_what +
                      " from this instant on, with its zone: 2026-11-30T00:00:00Z, "
                      "2026-11-30T08:00:00+08:00")
      ->check(instant);
  verb.add_option("--to", options.to, of_what + " before this instant")->check(instant);
}

CLI::Option* add_tenant(CLI::App& verb, MeterOptions& options) {
  return verb.add_option_function<std::string>(
      "--tenant",
      [&options](const std::string& name) {
        options.tenant = name;
        options.of_tenant = true;
      },
      "only what this tenant pays for");
}

CLI::App* add_bill(const LedgerVerbs& verbs, const std::string& name, const std::string& help,
                   Run run, const CsvForm& csv) {
  MeterOptions& options = verbs.options;
  CLI::App* verb = verbs.add(name, help, run, csv);
  verb->add_option("--book", options.book, "price book (TOML; docs/prices.md)")->required();
  add_window(*verb, options, "requests that began");
  add_tenant(*verb, options);
  verb->add_option("--by", options.split, "a part for each model, namespace, day or tenant")
      ->delimiter(',')
      ->check(CLI::IsMember({"model", "namespace", "day", "tenant"}));
  verb->add_option("--zone", options.zone, "whose days: Asia/Shanghai")->capture_default_str();
  verb->add_option("--currency", options.bill_currency, "one list of the book; else each");
  return verb;
}

void add_export(const LedgerVerbs& verbs) {
  MeterOptions& options = verbs.options;
  CLI::App* verb =
      verbs.add("export", "receipts as other programs take them", run_meter_export, {});
  CLI::Option* format = verb->add_option("--format", options.format,
                                         "jsonl, csv, cloudevents (1.0, a line each) or focus "
                                         "(FOCUS 1.3, CSV)")
                            ->capture_default_str();
  format->check(
      CLI::IsMember(std::vector<std::string>(kMeterFormats.begin(), kMeterFormats.end())));
  add_window(*verb, options, "requests that began");
  CLI::Option* after =
      verb->add_option("--after", options.after,
                       "only what follows the entry of this id: the last one that was seen")
          ->check(parsed_by(model::parse_ledger_position, "ID"));
  CLI::Option* tenant = add_tenant(*verb, options);
  CLI::Option* out = verb->add_option("--out", options.out, "into this file, made anew");
  verb->add_flag("--no-header", options.no_header, "csv, focus: rows alone, to be appended");
  verb->add_option("--source", options.source,
                   "cloudevents: URI reference of this ledger; quire/HOSTNAME unless it is given")
      ->check(fault_of_uri, "URI");
  verb->add_option("--provider", options.provider, "focus: who provides the service")
      ->capture_default_str();
  verb->add_option("--currency", options.currency,
                   "focus: of the bill, by ISO 4217; USD, or the only one of --book")
      ->check(fault_of_currency, "CODE");
  CLI::Option* book = verb->add_option(
      "--book", options.book,
      "focus: what `meter bill` charges by this price book, a row a charge; without, usage alone");
  book->excludes(after);
  CLI::Option* raw = verb->add_option(
      "--raw", options.raw, "the ledger's stream itself into this file, whole, for --file");
  for (CLI::Option* other :
       {format, after, tenant, out, book, verb->get_option("--from"), verb->get_option("--to")}) {
    raw->excludes(other);
  }
}

}  // namespace

void add_ledger_verbs(CLI::App& meter, MeterOptions& options, DaemonCommandLine& daemon,
                      std::ostream& out, std::ostream& err) {
  const LedgerVerbs verbs{meter, options, daemon, out, err};
  CLI::App* tail = verbs.add("tail", "the last receipts, and those to come", run_meter_tail, {});
  tail->add_option("-n,--last", options.last, "so many")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{0}, uint64_t{1} << 32));
  tail->add_flag("-f,--follow", options.follow, "go on with those to come");
  CLI::App* show = verbs.add("show", "sums of receipts by minute or hour", run_meter_show,
                             {.list = "rollups", .columns = kRollupColumns});
  show->add_option("--by", options.by, "minute or hour")
      ->check(CLI::IsMember({"minute", "hour"}))
      ->capture_default_str();
  add_window(*show, options, "minutes or hours that began");
  add_export(verbs);
  verbs
      .add("verify", "read all of the ledger and check that it is what was written",
           run_meter_verify)
      ->add_option("--head", options.head,
                   "what `meter head` printed once, or a file of it: it must be in the ledger");
  add_bill(verbs, "bill", "what the requests cost by a price book, line by line", run_meter_bill,
           {.list = "bill.lines", .columns = kBillColumns});
  add_bill(verbs, "whatif", "the bill by one book beside that by another", run_meter_whatif,
           {.list = "book.bill.lines|with.bill.lines", .columns = kWhatifColumns})
      ->add_option("--with", options.with_book, "the other book")
      ->required();
  verbs.add("head", "the present head as a line to be kept elsewhere", run_meter_head);
}

}  // namespace quire::client
