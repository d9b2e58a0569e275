#include "bench/trace_replay.h"
#include "tests/support/meddler.h"

#include <algorithm>
#include <cstring>

namespace quire::bench {

namespace {

// DeepSeek V4's positions, a page for a thousandth of its bytes.
model::Layout replay_layout() {
  model::Layout layout;
  layout.name = "trace";
  layout.unit_tokens = 128;
  layout.block_tokens = 256;
  const auto add = [&](const char* name, model::GroupKind kind, uint64_t bytes) {
    model::Group group;
    group.name = name;
    group.kind = kind;
    group.page_bytes = bytes;
    if (kind == model::GroupKind::kWindow) group.window_tokens = 128;
    group.layers = {{.layer = 0, .offset = 0, .bytes = bytes}};
    layout.groups.push_back(group);
  };
  add("append", model::GroupKind::kAppend, 2560);
  add("window", model::GroupKind::kWindow, 4096);
  return layout;
}

server::Options replay_options() {
  server::Options options;
  options.ram_bytes = 2ull << 30;
  options.segment_bytes = 64ull << 20;
  options.huge_pages = allocator::HugePages::kOff;
  options.spin_us = 50;
  return options;
}

// An id names its prefix: the last one of a unit names the unit.
std::vector<model::Hash256> unit_hashes(const TraceRequest& request, uint32_t unit_tokens) {
  const uint32_t per_unit = unit_tokens / kTraceBlockTokens;
  std::vector<model::Hash256> hashes(request.ids.size() / per_unit);
  for (size_t i = 0; i < hashes.size(); ++i) {
    const uint32_t id = request.ids[(i + 1) * per_unit - 1];
    std::memcpy(hashes[i].bytes.data(), &id, sizeof(id));
  }
  return hashes;
}

void commit(client::Session& session, model::FillKind kind, uint32_t end_tokens,
            model::CheckpointReason reason = model::CheckpointReason::kTurnEnd) {
  const client::Fill fill =
      or_exit(session.begin_fill(kind, end_tokens, {.reason = reason}), "begin a fill");
  if (!fill.duplicate) or_exit(session.commit(fill), "commit");
}

}  // namespace

TraceReplay::TraceReplay(uint32_t tail_tokens)
    : tail_tokens_(tail_tokens), daemon_(replay_options()), client_(daemon_.connect(50)) {}

void TraceReplay::take_turn(const TraceRequest& request, uint64_t conversation) {
  client::SessionOptions options;
  options.layout = replay_layout();
  options.namespace_name = "trace";
  options.salt = std::to_string(sessions_);
  options.conversation = conversation;
  options.tail_tokens = tail_tokens_;
  options.max_tokens = request.prompt_tokens + options.layout.unit_tokens;
  options.max_load_pages = 1;
  options.staging_bytes = 64 << 10;
  const auto session = or_exit(client_->open_session(options), "open a session");
  const auto hashes = unit_hashes(request, options.layout.unit_tokens);
  or_exit(session->append_unit_hashes(hashes), "append hashes");
  const auto known = static_cast<uint32_t>(hashes.size()) * options.layout.unit_tokens;
  // The trace may name fewer blocks than its prompt is long.
  const uint32_t prompt = std::min(request.prompt_tokens, known + options.layout.unit_tokens - 1);
  const model::MatchResult hit = or_exit(session->match(prompt), "match");
  const uint32_t last = model::last_resume_point(options.layout, prompt);
  ++figures_.requests;
  figures_.prompt_tokens += request.prompt_tokens;
  figures_.exact_tokens += hit.exact_tokens;
  figures_.span_tokens += std::max(hit.exact_tokens, std::min(hit.span_tokens, last));
  if (hit.limit == static_cast<uint8_t>(model::MatchLimit::kNoCheckpoint)) {
    ++figures_.limited_by_checkpoint;
    figures_.lost_tokens += hit.limit_tokens - hit.exact_tokens;
  }
  const uint32_t block = options.layout.block_tokens;
  for (uint32_t end = hit.span_tokens + block; end <= known; end += block) {
    commit(*session, model::FillKind::kSpan, end);
  }
  for (const auto& wanted :
       session->wanted_checkpoints(hit.exact_tokens, prompt, hit.branch_tokens)) {
    commit(*session, model::FillKind::kCheckpoint, wanted.tokens, wanted.reason);
  }
}

void TraceReplay::replay(const TraceSession& session) {
  ++sessions_;
  uint64_t conversation = sessions_ << 16;
  for (const TraceStream& stream : session) {
    ++conversation;
    for (const TraceRequest& request : stream) take_turn(request, conversation);
  }
  daemon_.on_core([](server::Daemon& daemon) { tests::Meddler(daemon.cache()).evict(); });
}

ReplayFigures TraceReplay::figures() {
  daemon_.on_core([&](server::Daemon& daemon) {
    const cache::LinkerCounters& counters = daemon.cache().writer().link_counters();
    figures_.spans = counters.committed_spans;
    figures_.checkpoints = counters.committed_checkpoints;
    figures_.committed_bytes = counters.committed_bytes;
  });
  return figures_;
}

}  // namespace quire::bench
