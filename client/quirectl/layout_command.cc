#include "client/quirectl/layout_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <optional>
#include <ostream>

#include "client/quirectl/config_json.h"
#include "client/quirectl/daemon_answer.h"
#include "client/quirectl/layout_output.h"
#include "client/quirectl/layout_plan.h"
#include "client/quirectl/meter/field_text.h"
#include "model/byte_text.h"
#include "model/check.h"
#include "model/hex_text.h"
#include "model/layout_toml.h"

namespace quire::client {

namespace {

using model::IndexerFormat;
using model::KvFormat;
using model::Layout;
using model::Result;

void write_layout(const Layout& layout, LayoutOutput output, std::ostream& out) {
  switch (output) {
    case LayoutOutput::kToml:
      out << model::layout_to_toml(layout);
      return;
    case LayoutOutput::kJson:
      write_layout_json(layout, out);
      return;
    case LayoutOutput::kTable:
      write_layout_table(layout, out);
      return;
    case LayoutOutput::kCsv:
      write_layout_csv(layout, out);
      return;
  }
}

int refuse(const model::Error& error, std::ostream& err) {
  err << "quirectl layout: " << error.text << '\n';
  return exit_code_of(error.code);
}

// The rows are not what the model's own type of element would give: said, not left to be found.
void tell_of_scheme(const model::ModelConfig& config, const model::LayoutOptions& options,
                    std::ostream& err) {
  if (config.cache_scheme.field.empty() || options.kv) return;
  err << "quirectl layout: " << config.cache_scheme.field << " of the file asks for a cache in "
      << config.cache_scheme.format << "; --kv overrides it\n";
}

Result<Layout> layout_from_file(const LayoutFromConfigOptions& options, std::ostream& err) {
  const model::ModelConfig config = QUIRE_TRY(load_config_json(options.path));
  const Layout layout = QUIRE_TRY(model::layout_from_config(config, options.layout));
  tell_of_scheme(config, options.layout, err);
  return layout;
}

template <typename Format>
void add_format_option(CLI::App& command, const std::string& name, std::optional<Format>& target,
                       const std::map<std::string, Format>& formats, const std::string& text) {
  std::vector<std::string> words{"auto"};
  for (const auto& [word, format] : formats) words.push_back(word);
  command
      .add_option_function<std::string>(
          name,
          [&target, formats](const std::string& word) {
            const auto found = formats.find(word);
            target = found == formats.end() ? std::optional<Format>() : found->second;
          },
          text)
      ->check(CLI::IsMember(words));
}

void add_format_options(CLI::App& command, model::LayoutOptions& layout) {
  using model::StateFormat;
  add_format_option<IndexerFormat>(
      command, "--indexer", layout.indexer,
      {{"fp4", IndexerFormat::kFp4}, {"fp8", IndexerFormat::kFp8}, {"bf16", IndexerFormat::kBf16}},
      "format of indexer keys; auto: fp8");
  add_format_option<KvFormat>(command, "--kv", layout.kv,
                              {{"bf16", KvFormat::kBf16}, {"fp8", KvFormat::kFp8}},
                              "format of rows; auto: what the file asks for, else the model's");
  add_format_option<StateFormat>(
      command, "--state,--state-dtype", layout.state,
      {{"bf16", StateFormat::kBf16}, {"fp16", StateFormat::kFp16}, {"fp32", StateFormat::kFp32}},
      "format of recurrent states; auto: the file's, else fp32");
}

void add_model_options(CLI::App& command, model::LayoutOptions& layout) {
  command.add_option("--name", layout.name, "name of the layout; default: model_type");
  add_format_options(command, layout);
  command.add_option("--unit-tokens", layout.unit_tokens, "tokens between chain hashes");
  command.add_option("--block-tokens", layout.block_tokens, "tokens of one append page");
  command.add_option("--tensor-parallel", layout.tensor_parallel,
                     "ranks that share the heads; one group for each shard");
  command.add_flag("--draft-layers", layout.draft_layers, "include multi-token-prediction layers");
}

const std::map<std::string, LayoutOutput>& output_names() {
  static const std::map<std::string, LayoutOutput> names{{"toml", LayoutOutput::kToml},
                                                         {"json", LayoutOutput::kJson},
                                                         {"table", LayoutOutput::kTable},
                                                         {"csv", LayoutOutput::kCsv}};
  return names;
}

CLI::Option* add_output_option(CLI::App& command, LayoutOutput& output) {
  return command.add_option("-o,--output", output, "toml, json, table or csv")
      ->transform(CLI::CheckedTransformer(output_names()));
}

// What was given behind the verb, else before it, else the verb's own default.
LayoutOutput choose_output(const CLI::Option* behind, const LayoutCommandLine& line,
                           LayoutOutput chosen) {
  const auto before = output_names().find(line.output_before_verb);
  return behind->count() == 0 && before != output_names().end() ? before->second : chosen;
}

void add_from_config(CLI::App& parent, LayoutCommandLine& line, std::ostream& out,
                     std::ostream& err) {
  CLI::App* command = parent.add_subcommand("from-config", "Layout of a model's config.json");
  LayoutFromConfigOptions& options = line.from_config;
  command->add_option("FILE", options.path, "config.json as published")->required();
  add_model_options(*command, options.layout);
  const CLI::Option* output = add_output_option(*command, options.output);
  command->callback([&line, &out, &err, output] {
    line.from_config.output = choose_output(output, line, line.from_config.output);
    line.exit_code = run_layout_from_config(line.from_config, out, err);
  });
}

void add_show_and_check(CLI::App& parent, LayoutCommandLine& line, std::ostream& out,
                        std::ostream& err) {
  CLI::App* show = parent.add_subcommand("show", "Print a layout file");
  show->add_option("FILE", line.show.path, "layout file (TOML)")->required();
  const CLI::Option* output = add_output_option(*show, line.show.output);
  show->callback([&line, &out, &err, output] {
    line.show.output = choose_output(output, line, line.show.output);
    line.exit_code = run_layout_show(line.show, out, err);
  });

  CLI::App* check = parent.add_subcommand("check", "Check layout files and print their digests");
  check->add_option("FILE", line.check.paths, "layout files (TOML)")->required();
  const CLI::Option* form = add_output_option(*check, line.check.output);
  check->callback([&line, &out, &err, form] {
    line.check.output = choose_output(form, line, line.check.output);
    line.exit_code = run_layout_check(line.check, out, err);
  });
}

void add_plan(CLI::App& parent, LayoutCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* command = parent.add_subcommand("plan", "How many sessions of a context fit");
  LayoutPlanOptions& options = line.plan;
  command->add_option("LAYOUT", options.path, "layout file (TOML), or the name of a shipped one");
  command->add_option("--from-config", options.config.path,
                      "a model's config.json instead of a layout, with the options below that say "
                      "how it is served");
  command->add_option("--context", options.context, "tokens of a session: 200000, 128K, 1M")
      ->capture_default_str();
  command->add_option("--ram", options.ram, "memory of the pool (--ram_bytes of quired): 256GiB");
  command->add_option("--ssd", options.ssd, "capacity of the SSD tier: 4TiB");
  command->add_option("--ssd-bandwidth,--ssd_bandwidth", options.ssd_bandwidth,
                      "bytes a second that the device reads: 6GiB");
  command
      ->add_option("--checkpoints", options.checkpoints,
                   "which are kept of a session: none, branch, turn_ends, every:N, all")
      ->capture_default_str();
  add_model_options(*command, options.config.layout);
  const CLI::Option* output = add_output_option(*command, options.output);
  command->callback([&line, &out, &err, output] {
    line.plan.output = choose_output(output, line, line.plan.output);
    line.exit_code = run_layout_plan(line.plan, out, err);
  });
}

Result<uint64_t> bytes_option(std::string_view name, const std::string& text) {
  if (text.empty()) return uint64_t{0};
  const uint64_t bytes = QUIRE_TRY(model::parse_bytes(name, text));
  if (bytes != 0) return bytes;
  return model::make_error(model::Errc::kInvalidArgument, std::string(name) + " must not be 0");
}

Result<Layout> planned_layout(const LayoutPlanOptions& options, std::ostream& err) {
  if (!options.config.path.empty()) return layout_from_file(options.config, err);
  return model::load_layout_file(
      QUIRE_TRY(find_layout_file(options.path, {"configs/models", "/usr/share/quire/models"})));
}

Result<void> write_plan(const LayoutPlanOptions& options, std::ostream& out, std::ostream& err) {
  PlanQuestion question;
  question.ram_bytes = QUIRE_TRY(bytes_option("--ram", options.ram));
  question.ssd_bytes = QUIRE_TRY(bytes_option("--ssd", options.ssd));
  question.ssd_bandwidth = QUIRE_TRY(bytes_option("--ssd-bandwidth", options.ssd_bandwidth));
  question.context_tokens = QUIRE_TRY(parse_tokens_count(options.context));
  question.checkpoints = QUIRE_TRY(model::parse_checkpoint_policy(options.checkpoints));
  const Layout layout = QUIRE_TRY(planned_layout(options, err));
  const SessionPlan plan = QUIRE_TRY(plan_session(layout, question));
  switch (options.output) {
    case LayoutOutput::kToml:
      return model::make_error(model::Errc::kInvalidArgument,
                               "a plan is no layout: choose table, json or csv");
    case LayoutOutput::kJson:
      write_plan_json(layout, plan, question, out);
      break;
    case LayoutOutput::kTable:
      write_plan_table(layout, plan, question, out);
      break;
    case LayoutOutput::kCsv:
      write_plan_csv(layout, plan, question, out);
      break;
  }
  return {};
}

}  // namespace

int run_layout_from_config(const LayoutFromConfigOptions& options, std::ostream& out,
                           std::ostream& err) {
  const Result<Layout> layout = layout_from_file(options, err);
  if (!layout.ok()) return refuse(layout.error(), err);
  write_layout(*layout, options.output, out);
  return kExitOk;
}

int run_layout_show(const LayoutShowOptions& options, std::ostream& out, std::ostream& err) {
  const Result<Layout> layout = model::load_layout_file(options.path);
  if (!layout.ok()) return refuse(layout.error(), err);
  write_layout(*layout, options.output, out);
  return kExitOk;
}

int run_layout_check(const LayoutCheckOptions& options, std::ostream& out, std::ostream& err) {
  if (options.paths.empty()) {
    err << "quirectl layout check: no files given\n";
    return kExitUsage;
  }
  if (options.output == LayoutOutput::kToml) {
    return refuse(model::make_error(model::Errc::kInvalidArgument,
                                    "a check is no layout: choose table, json or csv"),
                  err);
  }
  const bool table = options.output == LayoutOutput::kTable;
  std::string files;
  int exit_code = kExitOk;
  for (const std::string& path : options.paths) {
    const Result<Layout> layout = model::load_layout_file(path);
    if (!layout.ok()) {
      refuse(layout.error(), err);
      exit_code = std::max(exit_code,
                           layout.code() == model::Errc::kNotFound ? kExitNotFound : kExitDegraded);
    } else if (table) {
      out << "ok " << model::hex_text(model::layout_digest(*layout).bytes) << ' ' << path << '\n';
    }
    files += (files.empty() ? "{\"file\":" : ",{\"file\":") + json_text(path) +
             ",\"ok\":" + (layout.ok() ? "true" : "false") + ",\"digest\":\"" +
             (layout.ok() ? model::hex_text(model::layout_digest(*layout).bytes) : "") +
             "\",\"fault\":";
    append_json_text(files, layout.ok() ? "" : layout.error().text);
    files += '}';
  }
  if (table) return exit_code;
  const std::string json = "{\"files\":[" + files + "]}";
  const Result<std::string> text = printed(options.output == LayoutOutput::kJson ? "json" : "csv",
                                           json, {.name = "layout_check", .list = "files"});
  QUIRE_CHECK(text.ok());  // it was written here
  out << *text;
  return exit_code;
}

int run_layout_plan(const LayoutPlanOptions& options, std::ostream& out, std::ostream& err) {
  if (options.path.empty() == options.config.path.empty()) {
    err << "quirectl layout plan: give a layout, or --from-config with a model's config.json\n";
    return kExitUsage;
  }
  const Result<void> written = write_plan(options, out, err);
  return written.ok() ? kExitOk : refuse(written.error(), err);
}

void add_layout_commands(CLI::App& app, LayoutCommandLine& line, std::ostream& out,
                         std::ostream& err) {
  CLI::App* layout = app.add_subcommand("layout", "Layouts of models, without a daemon");
  layout->require_subcommand(1);
  add_from_config(*layout, line, out, err);
  add_show_and_check(*layout, line, out, err);
  add_plan(*layout, line, out, err);
}

}  // namespace quire::client
