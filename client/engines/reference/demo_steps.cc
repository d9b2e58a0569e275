#include "client/engines/reference/demo_steps.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "client/engines/reference/demo_text.h"
#include "client/engines/reference/reference_engine.h"

namespace quire::client {

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kFollowTimeoutMs = 60'000;
constexpr size_t kHandoverTokens = 16'384;
constexpr size_t kRankTokens = 8'192;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<uint32_t> with_question(std::vector<uint32_t> document, const std::string& question) {
  const std::vector<uint32_t> tokens = to_tokens(question);
  document.insert(document.end(), tokens.begin(), tokens.end());
  return document;
}

std::vector<uint32_t> head_of(const std::vector<uint32_t>& document, size_t tokens) {
  return {document.begin(),
          document.begin() + static_cast<ptrdiff_t>(std::min(tokens, document.size()))};
}

// Progress on standard error: a moving line on a terminal, every tenth otherwise.
class ProgressLine {
 public:
  ProgressLine(const char* what, uint32_t total) : what_(what), total_(total) {}
  void show(uint32_t position) {
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    const uint32_t percent = total_ == 0 ? 100 : uint32_t(uint64_t{position} * 100 / total_);
    if (!terminal && percent / 10 == shown_ / 10) return;
    shown_ = percent;
    std::fprintf(stderr, terminal ? "\r    %s %u %%   " : "    %s %u %%\n", what_, percent);
    if (terminal && position >= total_) std::fprintf(stderr, "\r%*s\r", 40, "");
  }

 private:
  const char* what_;
  uint32_t total_;
  uint32_t shown_ = 0;
};

struct EngineTask {
  DemoSettings settings;
  std::vector<uint32_t> prompt;
  const char* label = "prefill";
  std::string namespace_name = "reference";
  uint32_t shard = 0;
  uint32_t shard_count = 1;
  uint32_t shared_tokens = 0;
  const SessionToken* join = nullptr;
};

// The same for all processes of one request, which work on one prompt.
uint64_t request_id_of(const EngineTask& task) {
  const auto* bytes = reinterpret_cast<const char*>(task.prompt.data());
  const size_t hash =
      std::hash<std::string_view>()(std::string_view(bytes, task.prompt.size() * sizeof(uint32_t)));
  return hash | 1;  // 0 would be none
}

reference::DecoderConfig config_of(uint32_t shard) {
  reference::DecoderConfig config;
  config.seed = 1 + shard;  // a rank's own heads
  return config;
}

model::Result<std::unique_ptr<Session>> open(Client& client, const EngineTask& task) {
  SessionOptions options;
  options.layout = reference_layout(reference::KvGeometry(config_of(task.shard)), task.shard_count);
  options.namespace_name = task.namespace_name;
  options.tenant = "demo";
  options.model = kDemoModel;
  return task.join != nullptr ? client.join_session(*task.join, options)
                              : client.open_session(options);
}

model::Result<std::unique_ptr<Client>> connect(const EngineTask& task) {
  return Client::connect({.socket_path = task.settings.socket_path, .client_name = task.label});
}

// A session that this process opens for its engine processes to join; it takes no other part.
struct SharedSession {
  std::unique_ptr<Client> client;
  std::unique_ptr<Session> session;
  SessionToken token;
};

model::Result<SharedSession> share_session(const EngineTask& task) {
  SharedSession shared;
  shared.client = QUIRE_TRY(connect(task));
  shared.session = QUIRE_TRY(open(*shared.client, task));
  shared.token = shared.session->token();
  return shared;
}

ChildReport to_report(const RunOutcome& outcome, const EngineTask& task) {
  ChildReport report;
  report.prompt_tokens = static_cast<uint32_t>(task.prompt.size());
  report.hit_tokens = outcome.hit_tokens;
  report.ssd_tokens = std::min(outcome.match.tokens[model::TierId::kSsd], outcome.hit_tokens);
  report.pages_read = outcome.pages_read;
  report.spans_committed = outcome.spans_committed;
  report.logits = outcome.logits;
  return report;
}

// The whole life of an engine process: attach, resume what is there, compute, commit, leave.
model::Result<ChildReport> try_prefill(const EngineTask& task) {
  reference::Decoder decoder(config_of(task.shard), task.settings.threads);
  const std::unique_ptr<Client> client = QUIRE_TRY(connect(task));
  const std::unique_ptr<Session> session = QUIRE_TRY(open(*client, task));
  ProgressLine progress(task.label, static_cast<uint32_t>(task.prompt.size()));
  RunOptions options{
      .shard = task.shard, .shared_tokens = task.shared_tokens, .request_id = request_id_of(task)};
  options.on_chunk = [&](uint32_t position) { progress.show(position); };
  const Clock::time_point start = Clock::now();
  ReferenceRun run(decoder, *session, options);
  const RunOutcome outcome = QUIRE_TRY(run.prefill(task.prompt));
  ChildReport report = to_report(outcome, task);
  report.first_token_s = seconds_since(start);
  return report;
}

// The same numbers without Quire: the judge of every hit.
ChildReport compute_alone(const EngineTask& task) {
  reference::Decoder decoder(config_of(task.shard), task.settings.threads);
  reference::HeapPageSink heap;
  reference::Sequence sequence(decoder, heap);
  ProgressLine progress(task.label, static_cast<uint32_t>(task.prompt.size()));
  reference::PrefillOptions options;
  options.on_chunk = [&](uint32_t position) { progress.show(position); };
  const Clock::time_point start = Clock::now();
  ChildReport report;
  report.logits = sequence.prefill(task.prompt, options).logits;
  report.first_token_s = seconds_since(start);
  return report;
}

model::Result<ChildReport> try_follow(const EngineTask& task) {
  reference::Decoder decoder(config_of(task.shard), task.settings.threads);
  const std::unique_ptr<Client> client = QUIRE_TRY(connect(task));
  const std::unique_ptr<Session> session = QUIRE_TRY(open(*client, task));
  ReferenceRun run(decoder, *session, {.request_id = request_id_of(task)});
  uint32_t early = 0;
  Clock::time_point last_arrival = Clock::now();
  const auto on_pages = [&](uint32_t blocks) {
    if (session->progress().checkpoint_tokens == 0) early = blocks;
    last_arrival = Clock::now();
  };
  const RunOutcome outcome = QUIRE_TRY(run.follow(task.prompt, kFollowTimeoutMs, on_pages));
  ChildReport report = to_report(outcome, task);
  report.pages_early = early;
  report.decode_wait_s = seconds_since(last_arrival);
  return report;
}

ChildReport or_error(model::Result<ChildReport> result) {
  if (result.ok()) return std::move(result).value();
  ChildReport report;
  report.error = std::string(model::errc_name(result.code())) + ": " + result.error().text;
  return report;
}

model::Result<ChildReport> wait_for(ChildProcess& child) {
  ChildReport report = child.wait_report();
  if (!report.error.empty()) return model::make_error(model::Errc::kInternal, report.error);
  return report;
}

model::Result<ChildReport> run_prefill(const EngineTask& task) {
  ChildProcess child = QUIRE_TRY(ChildProcess::run([&] { return or_error(try_prefill(task)); }));
  return wait_for(child);
}

model::Result<ChildReport> run_alone(const EngineTask& task) {
  ChildProcess child = QUIRE_TRY(ChildProcess::run([&] { return compute_alone(task); }));
  return wait_for(child);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return !a.empty() && a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

const char* yes_no(bool value) { return value ? "yes" : "no"; }

uint32_t whole_units(uint32_t tokens) {
  const uint32_t unit = reference::KvGeometry(config_of(0)).unit_tokens();
  return tokens / unit * unit;
}

uint32_t last_unit(const EngineTask& task) {
  return whole_units(static_cast<uint32_t>(task.prompt.size()) - 1);
}

// A question about the document, answered with what Quire has of it and without Quire.
struct Answers {
  ChildReport resumed;
  ChildReport alone;
  bool equal = false;
  bool whole = false;  // all of the document that can be resumed was hit
};

model::Result<Answers> answer_twice(const DemoSettings& settings, const char* label,
                                    const std::string& question) {
  EngineTask task{.settings = settings, .label = label};
  task.prompt = with_question(settings.document, question);
  Answers answers;
  answers.resumed = QUIRE_TRY(run_prefill(task));
  task.label = "the same without Quire, to compare";
  answers.alone = QUIRE_TRY(run_alone(task));
  answers.equal = same_bits(answers.resumed.logits, answers.alone.logits);
  const uint32_t document = whole_units(static_cast<uint32_t>(settings.document.size()));
  answers.whole = answers.resumed.hit_tokens == std::min(document, last_unit(task));
  return answers;
}

const char* extent_of(const Answers& answers) {
  return answers.whole ? "all but the last unit" : "PARTIAL";
}

// Ends a step that has printed what it saw.
void conclude(DemoVerdict& verdict, bool equal, bool whole) {
  std::fflush(stdout);
  verdict.logits_equal = verdict.logits_equal && equal;
  verdict.whole_hit = verdict.whole_hit && whole;
}

}  // namespace

model::Result<double> show_cold(const DemoSettings& settings) {
  EngineTask task{.settings = settings, .label = "cold prefill"};
  task.prompt = with_question(settings.document, "\nQ: Where is a hit decided?\nA: ");
  task.shared_tokens = static_cast<uint32_t>(settings.document.size());
  const ChildReport report = QUIRE_TRY(run_prefill(task));
  std::printf(
      "cold            %u tokens, first token after %.2f s (%.0f tokens/s), %u spans committed\n",
      report.prompt_tokens, report.first_token_s, report.prompt_tokens / report.first_token_s,
      report.spans_committed);
  std::fflush(stdout);
  return report.first_token_s;
}

model::Result<void> show_warm(const DemoSettings& settings, double cold_s, DemoVerdict& verdict) {
  const Answers answers =
      QUIRE_TRY(answer_twice(settings, "warm", "\nQ: Which thread owns the pages?\nA: "));
  const ChildReport& warm = answers.resumed;
  std::printf("another question, another process\n");
  std::printf("                hit %u of %u tokens (%s), %u pages read in place\n", warm.hit_tokens,
              warm.prompt_tokens, extent_of(answers), warm.pages_read);
  std::printf("                first token after %.1f ms, %.0fx sooner than cold\n",
              warm.first_token_s * 1e3, cold_s / warm.first_token_s);
  std::printf("                logits equal: %s\n", yes_no(answers.equal));
  conclude(verdict, answers.equal, answers.whole);
  return {};
}

model::Result<void> show_handover(const DemoSettings& settings, DemoVerdict& verdict) {
  EngineTask task{.settings = settings, .label = "prefill, for a decode process"};
  task.settings.threads = 1;
  task.namespace_name = "hand-over";
  task.prompt = with_question(head_of(settings.document, kHandoverTokens), "\nHand over: ");
  const SharedSession shared = QUIRE_TRY(share_session(task));
  task.join = &shared.token;
  EngineTask decode = task;
  decode.label = "decode";
  ChildProcess decoder = QUIRE_TRY(ChildProcess::run([&] { return or_error(try_follow(decode)); }));
  ChildProcess prefill = QUIRE_TRY(ChildProcess::run([&] { return or_error(try_prefill(task)); }));
  const ChildReport prefilled = QUIRE_TRY(wait_for(prefill));
  const ChildReport followed = QUIRE_TRY(wait_for(decoder));
  const bool equal = same_bits(prefilled.logits, followed.logits);
  std::printf(
      "hand-over       %u of %u blocks were held by the decode process before the prefill had "
      "ended\n",
      followed.pages_early, followed.hit_tokens / shared.session->layout().block_tokens);
  std::printf(
      "                resumed at %u of %u tokens, first token %.1f ms after the last page\n",
      followed.hit_tokens, followed.prompt_tokens, followed.decode_wait_s * 1e3);
  std::printf("                logits equal: %s\n", yes_no(equal));
  conclude(verdict, equal, followed.hit_tokens == last_unit(task));
  return {};
}

namespace {

struct RankReports {
  ChildReport ranks[2];
};

// Two processes of one session at the same time.
model::Result<RankReports> run_ranks(EngineTask task) {
  task.shard_count = 2;
  task.settings.threads = 1;
  const SharedSession shared = QUIRE_TRY(share_session(task));
  task.join = &shared.token;
  EngineTask second = task;
  second.shard = 1;
  ChildProcess rank0 = QUIRE_TRY(ChildProcess::run([&] { return or_error(try_prefill(task)); }));
  ChildProcess rank1 = QUIRE_TRY(ChildProcess::run([&] { return or_error(try_prefill(second)); }));
  RankReports reports;
  reports.ranks[0] = QUIRE_TRY(wait_for(rank0));
  reports.ranks[1] = QUIRE_TRY(wait_for(rank1));
  return reports;
}

}  // namespace

model::Result<void> show_ranks(const DemoSettings& settings, DemoVerdict& verdict) {
  EngineTask task{.settings = settings, .label = "two ranks"};
  task.namespace_name = "two-ranks";
  task.prompt = with_question(head_of(settings.document, kRankTokens), "\nRanks: ");
  const RankReports cold = QUIRE_TRY(run_ranks(task));
  task.label = "two ranks again";
  const RankReports warm = QUIRE_TRY(run_ranks(task));
  bool equal = true;
  bool whole = true;
  for (int rank = 0; rank < 2; ++rank) {
    equal = equal && same_bits(cold.ranks[rank].logits, warm.ranks[rank].logits);
    whole = whole && warm.ranks[rank].hit_tokens == last_unit(task);
  }
  std::printf("two ranks       filled one session together: %u + %u parts of spans committed\n",
              cold.ranks[0].spans_committed, cold.ranks[1].spans_committed);
  std::printf("                resumed at %u and %u of %u tokens, logits equal: %s\n",
              warm.ranks[0].hit_tokens, warm.ranks[1].hit_tokens, warm.ranks[0].prompt_tokens,
              yes_no(equal));
  conclude(verdict, equal, whole);
  return {};
}

namespace {

// Starts a prefill and returns when a quarter of it has been committed.
model::Result<ChildProcess> begin_prefill(const EngineTask& task, const Session& session) {
  ChildProcess engine = QUIRE_TRY(ChildProcess::run([&] { return or_error(try_prefill(task)); }));
  const Clock::time_point start = Clock::now();
  while (session.progress().committed_tokens < task.prompt.size() / 4) {
    if (seconds_since(start) > kFollowTimeoutMs / 1e3) {
      return model::make_error(model::Errc::kDeadlineExceeded, "the prefill does not get on");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return engine;
}

}  // namespace

model::Result<void> show_crash(const DemoSettings& settings,
                               const std::function<model::Result<void>()>& restart,
                               DemoVerdict& verdict) {
  EngineTask under_way{.settings = settings, .label = "prefill, while the daemon is killed"};
  under_way.namespace_name = "crash";
  under_way.prompt = with_question(head_of(settings.document, kHandoverTokens), "\nCrash: ");
  const SharedSession shared = QUIRE_TRY(share_session(under_way));
  under_way.join = &shared.token;
  ChildProcess engine = QUIRE_TRY(begin_prefill(under_way, *shared.session));
  const Clock::time_point killed = Clock::now();
  QUIRE_TRY(restart());
  const double restart_s = seconds_since(killed);
  const ChildReport survivor = engine.wait_report();

  const Answers answers =
      QUIRE_TRY(answer_twice(settings, "from SSD", "\nQ: What does a restart keep?\nA: "));
  const ChildReport& resumed = answers.resumed;
  std::printf("kill -9         the daemon, in the middle of a prefill; its engine was told: %s\n",
              survivor.error.empty() ? "nothing, it had ended" : survivor.error.c_str());
  std::printf("                started again and serving after %.0f ms\n", restart_s * 1e3);
  std::printf("                hit %u of %u tokens (%s), %u of them from SSD\n", resumed.hit_tokens,
              resumed.prompt_tokens, extent_of(answers), resumed.ssd_tokens);
  std::printf("                first token after %.1f ms, computed anew %.2f s\n",
              resumed.first_token_s * 1e3, answers.alone.first_token_s);
  std::printf("                logits equal: %s\n", yes_no(answers.equal));
  conclude(verdict, answers.equal, answers.whole && resumed.ssd_tokens > 0);
  return {};
}

}  // namespace quire::client
