// Reads a trace's file into what is replayed.
#include <optional>
#include <random>

#include "bench/replay_trace.h"
#include "bench/trace_source.h"
#include "client/quirectl/trace/trace_file.h"

namespace quire::bench {

using model::Errc;
using model::make_error;

namespace {

std::string file_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

model::Error broken_chain(const std::string& path) {
  return make_error(Errc::kInvalidArgument, path + ": a hash id names two prefixes");
}

// Mooncake's, and what `quirectl trace record` writes; what a request wrote behind its prompt is
// left out, as public traces do not tell it.
model::Result<ReplayTrace> read_requests(const ReplayTraceOptions& options) {
  std::optional<ReplayTraceBuilder> builder;
  uint32_t block_tokens = 0;
  bool chained = true;
  bool one_size = true;
  QUIRE_TRY(client::for_each_trace_line(options.path, [&](const client::TraceLine& line) {
    if (!builder) {
      block_tokens = line.block_tokens;
      builder.emplace(file_name(options.path), block_tokens);
    }
    one_size = line.block_tokens == block_tokens;
    chained = builder->add(line.timestamp_ms * 1000, line.ids);
    return one_size && chained;
  }));
  if (!chained) return broken_chain(options.path);
  if (one_size) return builder->finish();
  return make_error(Errc::kInvalidArgument, options.path + ": blocks of different sizes");
}

model::Result<ReplayTrace> read_sessions(const ReplayTraceOptions& options) {
  ReplayTraceBuilder builder(file_name(options.path), kTraceBlockTokens);
  std::mt19937_64 random(options.seed);
  const double window_us = options.window_hours * 3.6e9;
  bool chained = true;
  QUIRE_TRY(for_each_session(options.path, 0, [&](const TraceSession& session) {
    builder.begin_scope();
    // 53 bits, the same on every machine; the library's distributions are its own.
    const double start = static_cast<double>(random() >> 11) * 0x1p-53 * window_us;
    for (const TraceStream& stream : session) {
      for (const TraceRequest& request : stream) {
        const int64_t time = static_cast<int64_t>(start) + request.time_us;
        chained = chained && builder.add(time, request.ids);
      }
    }
  }));
  if (!chained) return broken_chain(options.path);
  return builder.finish();
}

}  // namespace

model::Result<ReplayTrace> read_replay_trace(const ReplayTraceOptions& options) {
  const bool sessions = options.path.find(".tar") != std::string::npos;
  ReplayTrace trace = QUIRE_TRY(sessions ? read_sessions(options) : read_requests(options));
  trace.cut(options.requests);
  return trace;
}

}  // namespace quire::bench
