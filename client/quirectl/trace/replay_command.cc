#include "client/quirectl/trace/replay_command.h"

#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string_view>
#include <thread>
#include <vector>

#include "client/quirectl/answer_output.h"
#include "client/quirectl/daemon_command.h"
#include "client/quirectl/status_output.h"
#include "client/quirectl/trace/replay_driver.h"
#include "client/quirectl/trace/trace_file.h"
#include "model/layout_toml.h"

namespace quire::client {

namespace {

using model::Errc;
using model::Result;
using SteadyClock = std::chrono::steady_clock;

constexpr double kLongestUs = 3.2e13;  // a year: what a slow replay would wait for at most

struct ReplayFigures {
  uint64_t requests = 0;
  uint64_t prompt_tokens = 0;
  uint64_t hit_tokens = 0;
  uint64_t loaded_blocks = 0;
  uint64_t committed_spans = 0;
  uint64_t wrong_pages = 0;
  std::map<Errc, uint64_t> errors;
  std::optional<model::Error> first_error;
  std::vector<int64_t> match_ns;
  std::vector<int64_t> load_ns;
  int64_t latest_ms = 0;  // behind the trace's pace

  void add(const ReplayedResult& one) {
    ++requests;
    prompt_tokens += one.prompt_tokens;
    hit_tokens += one.hit_tokens;
    loaded_blocks += one.loaded_blocks;
    committed_spans += one.committed_spans;
    wrong_pages += one.wrong_pages;
    match_ns.push_back(one.match_ns);
    if (one.load_ns >= 0) load_ns.push_back(one.load_ns);
  }
  void add_error(const model::Error& error) {
    if (!first_error) first_error = error;
    ++errors[error.code];
  }
  void add(const ReplayFigures& other) {
    requests += other.requests;
    prompt_tokens += other.prompt_tokens;
    hit_tokens += other.hit_tokens;
    loaded_blocks += other.loaded_blocks;
    committed_spans += other.committed_spans;
    wrong_pages += other.wrong_pages;
    for (const auto& [code, count] : other.errors) errors[code] += count;
    if (!first_error) first_error = other.first_error;
    match_ns.insert(match_ns.end(), other.match_ns.begin(), other.match_ns.end());
    load_ns.insert(load_ns.end(), other.load_ns.begin(), other.load_ns.end());
    latest_ms = std::max(latest_ms, other.latest_ms);
  }
};

// What is served next is whatever nobody has taken yet, in the order of time.
class TraceReplayer {
 public:
  TraceReplayer(const TraceReplayOptions& options, std::vector<TraceLine> lines,
                std::optional<model::Layout> layout, std::string salt)
      : options_(options),
        lines_(std::move(lines)),
        layout_(std::move(layout)),
        salt_(std::move(salt)) {}

  // On as many threads as there are clients.
  ReplayFigures run(const std::vector<std::unique_ptr<Client>>& clients) {
    start_ = SteadyClock::now();
    std::vector<ReplayFigures> figures(clients.size());
    {
      std::vector<std::jthread> threads;
      for (size_t i = 1; i < clients.size(); ++i) {
        threads.emplace_back([&, i] { serve(*clients[i], figures[i]); });
      }
      serve(*clients[0], figures[0]);
    }
    for (size_t i = 1; i < figures.size(); ++i) figures[0].add(figures[i]);
    return std::move(figures[0]);
  }

 private:
  void serve(Client& client, ReplayFigures& figures) {
    // Of each size of block, as a rule one.
    std::map<uint32_t, ReplayDriver> drivers;
    for (size_t i; (i = next_.fetch_add(1)) < lines_.size();) {
      const TraceLine& line = lines_[i];
      figures.latest_ms = std::max(figures.latest_ms, wait_for(line));
      auto driver = drivers.find(line.block_tokens);
      if (driver == drivers.end()) {
        driver = drivers.emplace(line.block_tokens, ReplayDriver(&client, options_for(line))).first;
      }
      const auto served = driver->second.serve({.block_tokens = line.block_tokens,
                                                .ids = line.ids,
                                                .output_ids = line.output_ids,
                                                .output_tokens = line.output_tokens,
                                                .conversation = line.conversation});
      if (served.ok()) {
        figures.add(*served);
      } else {
        figures.add_error(served.error());
        // Whatever comes would fail alike.
        if (is_final(served.code())) next_.store(lines_.size());
      }
    }
  }
  static bool is_final(Errc code) {
    return code == Errc::kUnavailable || code == Errc::kInvalidLayout ||
           code == Errc::kPermissionDenied;
  }
  ReplayDriverOptions options_for(const TraceLine& line) const {
    return {.layout = layout_ ? *layout_ : small_replay_layout(line.block_tokens),
            .namespace_name = "trace-replay",
            .salt = salt_};
  }
  // Until its time. Returns by how much that is over already.
  int64_t wait_for(const TraceLine& line) const {
    if (options_.asap) return 0;
    const auto ms = static_cast<double>(line.timestamp_ms - lines_.front().timestamp_ms);
    const double us = std::min(ms * 1000 / options_.speed, kLongestUs);
    const auto due = start_ + std::chrono::microseconds(static_cast<int64_t>(us));
    const SteadyClock::time_point now = SteadyClock::now();
    if (now >= due) return (now - due) / std::chrono::milliseconds(1);
    std::this_thread::sleep_until(due);
    return 0;
  }

  const TraceReplayOptions& options_;
  const std::vector<TraceLine> lines_;
  const std::optional<model::Layout> layout_;
  const std::string salt_;
  SteadyClock::time_point start_;
  std::atomic<size_t> next_{0};
};

// A part of the whole in percent, with two digits: no floating point where tokens are concerned.
std::string percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "0.00";
  const uint64_t hundredths =
      static_cast<uint64_t>(static_cast<unsigned __int128>(part) * 10'000 / whole);
  const std::string digits = std::to_string(hundredths % 100);
  return std::to_string(hundredths / 100) + (digits.size() == 1 ? ".0" : ".") + digits;
}

// An object's fields, in their order; values are JSON already.
class JsonFields {
 public:
  JsonFields& add(std::string_view name, const std::string& value) {
    text_ += (text_.empty() ? "\"" : ",\"") + std::string(name) + "\":" + value;
    return *this;
  }
  JsonFields& add(std::string_view name, uint64_t value) {
    return add(name, std::to_string(value));
  }
  std::string str() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

std::string latencies(std::vector<int64_t>& ns) {
  std::sort(ns.begin(), ns.end());
  const auto us_at = [&](size_t of_100) {
    const size_t at = std::min(ns.size() * of_100 / 100, ns.size() - 1);
    return static_cast<uint64_t>(ns.empty() ? 0 : ns[at] / 1000);
  };
  return JsonFields().add("p50", us_at(50)).add("p99", us_at(99)).str();
}

std::string json_of(ReplayFigures& figures, SteadyClock::duration took) {
  JsonFields json;
  json.add("requests", figures.requests)
      .add("prompt_tokens", figures.prompt_tokens)
      .add("hit_tokens", figures.hit_tokens)
      .add("hit_token_percent", percent(figures.hit_tokens, figures.prompt_tokens))
      .add("loaded_blocks", figures.loaded_blocks)
      .add("wrong_pages", figures.wrong_pages)
      .add("committed_spans", figures.committed_spans)
      .add("match_us", latencies(figures.match_ns))
      .add("load_us", latencies(figures.load_ns))
      .add("took_ms", static_cast<uint64_t>(took / std::chrono::milliseconds(1)))
      .add("latest_ms", static_cast<uint64_t>(figures.latest_ms));
  if (figures.errors.empty()) return json.str();
  JsonFields errors;
  for (const auto& [code, count] : figures.errors) errors.add(model::errc_name(code), count);
  return json.add("errors", errors.str()).str();
}

Result<std::vector<TraceLine>> read_lines(const TraceReplayOptions& options) {
  std::vector<TraceLine> lines;
  QUIRE_TRY(for_each_trace_line(options.path, [&](TraceLine line) {
    lines.push_back(std::move(line));
    return lines.size() != options.limit;
  }));
  std::stable_sort(lines.begin(), lines.end(), [](const TraceLine& a, const TraceLine& b) {
    return a.timestamp_ms < b.timestamp_ms;
  });
  return lines;
}

// A replay begins with nothing of the one before.
Result<std::string> fresh_salt() {
  uint64_t number = 0;
  if (::getrandom(&number, sizeof(number), 0) != sizeof(number)) {
    return model::errno_error("getrandom");
  }
  return std::to_string(number);
}

}  // namespace

Result<int> run_trace_replay(const ClientOptions& daemon, const TraceReplayOptions& options,
                             bool as_json, std::ostream& out, std::ostream& err) {
  std::vector<TraceLine> lines = QUIRE_TRY(read_lines(options));
  std::optional<model::Layout> layout;
  if (!options.layout_path.empty()) {
    layout = QUIRE_TRY(model::load_layout_file(options.layout_path));
  }
  std::vector<std::unique_ptr<Client>> clients;
  for (uint32_t i = 0; i < std::clamp<uint32_t>(options.sessions, 1, kMostReplaySessions); ++i) {
    clients.push_back(QUIRE_TRY(Client::connect(daemon)));
  }
  TraceReplayer replayer(options, std::move(lines), std::move(layout), QUIRE_TRY(fresh_salt()));
  const SteadyClock::time_point start = SteadyClock::now();
  ReplayFigures figures = replayer.run(clients);
  // Nothing was served, so this is all that there is to say.
  if (figures.requests == 0) {
    return *std::move(figures.first_error);
  }
  const std::string json = json_of(figures, SteadyClock::now() - start);
  out << (as_json ? with_schema(json, "trace_replay") + "\n" : QUIRE_TRY(status_table(json)));
  if (figures.first_error) {
    err << "the first request that failed: " << model::errc_name(figures.first_error->code) << ": "
        << figures.first_error->text << '\n';
  }
  if (figures.wrong_pages > 0) return kExitDegraded;
  return figures.errors.empty() ? kExitOk : kExitFailed;
}

}  // namespace quire::client
