#include "bench/trace_bench.h"

#include <cstdio>

#include "bench/measure.h"
#include "bench/trace_replay.h"

namespace quire::bench {

namespace {

std::string to_json(const ReplayFigures& figures) {
  const auto number = [](uint64_t value) { return std::to_string(value); };
  return JsonObject()
      .add_raw("requests", number(figures.requests))
      .add_raw("prompt_tokens", number(figures.prompt_tokens))
      .add_raw("span_tokens", number(figures.span_tokens))
      .add_raw("exact_tokens", number(figures.exact_tokens))
      .add("exact_of_span", figures.exact_of_span())
      .add_raw("limited_by_checkpoint", number(figures.limited_by_checkpoint))
      .add_raw("lost_tokens", number(figures.lost_tokens))
      .add_raw("spans", number(figures.spans))
      .add_raw("checkpoints", number(figures.checkpoints))
      .add_raw("committed_bytes", number(figures.committed_bytes))
      .str();
}

void print(const char* name, const ReplayFigures& figures) {
  std::printf("%-18s %8llu %9.3f %% %9llu %12llu %12llu %8.3f GiB\n", name,
              static_cast<unsigned long long>(figures.requests), 100 * figures.exact_of_span(),
              static_cast<unsigned long long>(figures.limited_by_checkpoint),
              static_cast<unsigned long long>(figures.lost_tokens),
              static_cast<unsigned long long>(figures.checkpoints),
              static_cast<double>(figures.committed_bytes) / (1ull << 30));
}

}  // namespace

int run_trace_bench(bool json, const TraceBenchOptions& options) {
  TraceReplay without(0);
  TraceReplay with(model::kTailTokens);
  TraceReplay learnt(model::kLearntTail);
  const auto replay = [&](const TraceSession& session) {
    without.replay(session);
    with.replay(session);
    learnt.replay(session);
  };
  if (options.path.empty()) {
    for (const TraceSession& session : synthetic_trace()) replay(session);
  } else {
    or_exit(for_each_session(options.path, options.sessions, replay), "read the trace");
  }
  const ReplayFigures before = without.figures();
  const ReplayFigures after = with.figures();
  const ReplayFigures by_itself = learnt.figures();
  if (json) {
    std::puts(JsonObject()
                  .add("bench", std::string("trace"))
                  .add("trace", options.path.empty() ? std::string("built in") : options.path)
                  .add_raw("turn_end_alone", to_json(before))
                  .add_raw("with_tail", to_json(after))
                  .add_raw("with_learnt_tail", to_json(by_itself))
                  .str()
                  .c_str());
    return 0;
  }
  std::printf(
      "                   requests  exact/span   limited  tokens lost  checkpoints  written\n");
  print("turn end alone", before);
  print("one before tail", after);
  print("as far as learnt", by_itself);
  return 0;
}

}  // namespace quire::bench
