#include "bench/ssd_bench_latency.h"

#include <unistd.h>

#include <algorithm>

#include "bench/repeated.h"

namespace quire::bench {

namespace {

constexpr uint32_t kRamHitTokens = 32768;

void load_all(client::Session& session, uint32_t tokens) {
  const auto match = or_exit(session.match(tokens + 1), "match");
  const auto loaded =
      or_exit(session.load(match.lease, {.include_checkpoint = false, .deadline_ms = 120'000}),
              "load in the background");
  QUIRE_CHECK(loaded.block_count > 0);
  or_exit(session.release(match.lease), "release");
}

double time_first_block(client::Client& client, const BenchModel& model, uint64_t context) {
  const uint32_t tokens = model.layout.block_tokens;
  const auto session = open_context(client, model, context, tokens);
  const auto match = or_exit(session->match(tokens + 1), "match");
  QUIRE_CHECK(match.span_tokens == tokens);
  const Stopwatch watch;
  const auto loaded =
      or_exit(session->load(match.lease, {.block_count = 1, .include_checkpoint = false}),
              "load of one block");
  const double us = watch.us();
  QUIRE_CHECK(loaded.block_count == 1);
  or_exit(session->release(match.lease), "release");
  return us;
}

double p50_first_block(client::Client& client, const BenchModel& model, uint32_t contexts,
                       uint32_t pause_us) {
  std::vector<double> samples;
  for (uint32_t i = 0; i < contexts; ++i) {
    samples.push_back(time_first_block(client, model, kFirstSpanContexts + i));
    ::usleep(pause_us);
  }
  return percentile(samples, 0.5);
}

}  // namespace

FirstSpanFigures measure_first_span(BenchDaemon& daemon, RawDevice& raw,
                                    const std::string& ssd_path, const BenchModel& model,
                                    uint32_t contexts, const BackgroundLoad& background) {
  const uint32_t tokens = model.layout.block_tokens;
  const auto client = daemon.connect(50);
  for (uint32_t i = 0; i < contexts; ++i) {
    commit_context(*open_context(*client, model, kFirstSpanContexts + i, tokens), tokens);
  }
  settle(daemon);
  std::vector<std::vector<RawOp>> extents;
  for (uint32_t i = 0; i < contexts; ++i) {
    const auto session = open_context(*client, model, kFirstSpanContexts + i, tokens);
    extents.push_back(extents_of(daemon, model, *session, tokens));
  }
  raw.open_files(data_files(ssd_path));
  FirstSpanFigures figures{.samples = contexts};
  std::vector<double> raw_us;
  for (const std::vector<RawOp>& ops : extents) {
    raw_us.push_back(raw.read(ops, {}) * 1e6);
    ::usleep(2000);
  }
  figures.raw_us = percentile(raw_us, 0.5);
  empty_ram(daemon);
  figures.idle_us = p50_first_block(*client, model, contexts, 2000);

  empty_ram(daemon);
  const auto batch_client = daemon.connect(50);
  const auto batch =
      open_context(*batch_client, *background.model, background.context, background.tokens, true);
  const Repeated loads([&] {
    load_all(*batch, background.tokens);
    empty_ram(daemon);
  });
  ::usleep(200'000);
  figures.loaded_us = p50_first_block(*client, model, contexts, 20'000);
  return figures;
}

namespace {

std::vector<double> time_ram_hits(client::Session& session, uint64_t samples) {
  std::vector<double> times;
  for (uint64_t i = 0; i < samples; ++i) {
    const Stopwatch watch;
    const auto match = or_exit(session.match(kRamHitTokens + 1), "match");
    const auto loaded = or_exit(session.load(match.lease), "load");
    times.push_back(watch.us());
    QUIRE_CHECK(match.exact_tokens == kRamHitTokens && match.tokens[model::TierId::kSsd] == 0);
    QUIRE_CHECK(loaded.limited_by == model::Errc::kOk);
    or_exit(session.release(match.lease), "release");
    if (i % 8 == 7) ::usleep(1000);  // over some seconds, not in one burst
  }
  return times;
}

// New contexts without end, at full speed; write-through brings them to the device.
class Writer {
 public:
  Writer(client::Client& client, const BenchModel& model) : client_(&client), model_(&model) {}
  void step() {
    const uint32_t block = model_->layout.block_tokens;
    if (session_ == nullptr || next_block_ > kBlocks) {
      session_.reset();
      session_ = open_context(*client_, *model_, kSaturatingContexts + context_++, kBlocks * block);
      next_block_ = 1;
    }
    commit_object(*session_, model::FillKind::kSpan, next_block_++ * block);
  }

 private:
  static constexpr uint32_t kBlocks = 256;
  client::Client* client_;
  const BenchModel* model_;
  std::unique_ptr<client::Session> session_;
  uint64_t context_ = 0;
  uint32_t next_block_ = 0;
};

}  // namespace

RamHitFigures measure_ram_hits(BenchDaemon& daemon, const BenchModel& model, uint64_t samples,
                               const std::vector<BackgroundLoad>& loads) {
  const auto client = daemon.connect(50);
  commit_context(*open_context(*client, model, kRamHitContext, kRamHitTokens), kRamHitTokens);
  settle(daemon);
  const auto session = open_context(*client, model, kRamHitContext, kRamHitTokens);
  const auto holder = open_context(*client, model, kRamHitContext, kRamHitTokens);
  const auto held = or_exit(holder->match(kRamHitTokens + 1), "match");
  or_exit(holder->load(held.lease), "load");  // what is loaded stays in RAM
  RamHitFigures figures{.samples = samples};
  const std::vector<double> idle = time_ram_hits(*session, samples);
  figures.idle_p50_us = percentile(idle, 0.5);
  figures.idle_p99_us = percentile(idle, 0.99);

  const auto load_client = daemon.connect(50);
  const auto write_client = daemon.connect(50);
  std::vector<std::unique_ptr<client::Session>> readers;
  for (const BackgroundLoad& load : loads) {
    readers.push_back(open_context(*load_client, *load.model, load.context, load.tokens));
  }
  Writer writer(*write_client, model);
  {
    size_t turn = 0;
    const Repeated reading([&] {
      const size_t at = turn++ % loads.size();
      load_all(*readers[at], loads[at].tokens);
    });
    const Repeated writing([&] { writer.step(); });
    ::usleep(500'000);
    const tiering::MoverCounters before = tier_status(daemon).mover;
    const Stopwatch watch;
    const std::vector<double> saturated = time_ram_hits(*session, samples);
    const double seconds = watch.seconds();
    const tiering::MoverCounters after = tier_status(daemon).mover;
    figures.saturated_p50_us = percentile(saturated, 0.5);
    figures.saturated_p99_us = percentile(saturated, 0.99);
    const double read = static_cast<double>(after.read_bytes - before.read_bytes);
    const double written = static_cast<double>(after.written_bytes - before.written_bytes);
    figures.promote_gib_s = read / kGiB / seconds;
    figures.demote_gib_s = written / kGiB / seconds;
  }
  or_exit(holder->release(held.lease), "release");
  return figures;
}

LagFigures measure_lag(BenchDaemon& daemon, const BenchModel& model, uint64_t context,
                       uint32_t tokens, double gib_s) {
  const auto client = daemon.connect(50);
  const auto session = open_context(*client, model, context, tokens);
  const double seconds_per_span = static_cast<double>(model.page_bytes) / kGiB / gib_s;
  const uint32_t block = model.layout.block_tokens;
  const uint32_t spans = tokens / block;
  double longest = 0;
  const Stopwatch watch;
  for (uint32_t i = 1; i <= spans; ++i) {
    const double early = (i - 1) * seconds_per_span - watch.seconds();
    if (early > 0) ::usleep(static_cast<useconds_t>(early * 1e6));
    longest = std::max(longest, commit_object(*session, model::FillKind::kSpan, i * block));
  }
  LagFigures figures{.asked_gib_s = gib_s};
  figures.committed_gib_s = static_cast<double>(spans * model.page_bytes) / kGiB / watch.seconds();
  figures.max_commit_stall_ms = longest * 1e3;
  if (model::needs_checkpoint(model.layout)) {
    commit_object(*session, model::FillKind::kCheckpoint, tokens);
  }
  settle(daemon);
  const tests::SsdStatus status = tier_status(daemon);
  figures.durable_lag_ms_p50 = status.durable_lag_ms_p50;
  figures.durable_lag_ms_p99 = status.durable_lag_ms_p99;
  return figures;
}

}  // namespace quire::bench
