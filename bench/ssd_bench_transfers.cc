#include "bench/ssd_bench_transfers.h"

#include <unistd.h>

#include <filesystem>

namespace quire::bench {

namespace {

struct DemoteRound {
  double seconds = 0;
  double cpu_seconds = 0;
  uint64_t written_bytes = 0;  // with the manifest's
  std::vector<RawOp> ops;
};

// Commits everything while the tier waits for company, then lets it go.
DemoteRound demote_once(const BenchModel& model, const std::string& ssd_path, uint32_t spans) {
  const uint64_t segment = 256ull << 20;
  const uint64_t bytes = spans * model.page_bytes;
  server::Options options = ssd_options(ssd_path, (bytes / segment + 2) * segment);
  options.ssd_write_delay_ms = 60'000;
  BenchDaemon daemon(options);
  const auto client = daemon.connect(50);
  const uint32_t tokens = spans * model.layout.block_tokens;
  const auto session = open_context(*client, model, 0, tokens);
  fill_pool(daemon);
  for (uint32_t i = 1; i <= spans; ++i) {
    commit_object(*session, model::FillKind::kSpan, i * model.layout.block_tokens);
  }
  const uint64_t manifest_before = tier_status(daemon).manifest_bytes_written;
  QUIRE_CHECK(tier_status(daemon).mover.written_bytes == 0);
  DemoteRound round;
  const DaemonCpu cpu;
  const Stopwatch watch;
  daemon.on_core([](server::Daemon& d) { d.tiers()->hurry(); });
  settle(daemon, 2000);
  round.seconds = watch.seconds();
  round.cpu_seconds = cpu.seconds();
  const tests::SsdStatus status = tier_status(daemon);
  round.written_bytes =
      status.mover.written_bytes + status.manifest_bytes_written - manifest_before;
  round.ops = extents_of(daemon, model, *session, tokens);
  return round;
}

// The extents of all data files, one after the other in one file.
double write_raw(RawDevice& raw, const std::string& path, std::vector<RawOp> ops) {
  const uint64_t file_bytes = 16 * server::Options{}.ssd_region_bytes;
  uint64_t end = 0;
  for (RawOp& op : ops) {
    op.offset += op.file * file_bytes;
    op.file = 0;
    end = std::max(end, op.offset + op.bytes);
  }
  raw.make_file(path, end);
  return raw.write(ops, {});
}

}  // namespace

double PromoteBench::load_once(client::Session& session, uint32_t tokens) {
  const auto match = or_exit(session.match(tokens + 1), "match");
  QUIRE_CHECK(match.span_tokens == tokens && match.tokens[model::TierId::kRam] == 0);
  const Stopwatch watch;
  const auto loaded = or_exit(
      session.load(match.lease, {.include_checkpoint = false, .deadline_ms = 120'000}), "load");
  const double seconds = watch.seconds();
  QUIRE_CHECK(loaded.limited_by == model::Errc::kOk);
  QUIRE_CHECK(loaded.block_count == tokens / session.layout().block_tokens);
  or_exit(session.release(match.lease), "release");
  return seconds;
}

PromoteFigures PromoteBench::run(const BenchModel& model, client::Session& session, uint32_t tokens,
                                 int rounds) {
  PromoteFigures figures{.model = model.label, .tokens = tokens};
  const std::vector<RawOp> ops = extents_of(*daemon_, model, session, tokens);
  raw_->open_files(data_files(ssd_path_));
  std::vector<double> raw_seconds;
  std::vector<double> seconds;
  double cpu_seconds = 0;
  double wall_seconds = 0;
  for (int round = 0; round < rounds; ++round) {
    raw_seconds.push_back(raw_->read(ops, {}));
    empty_ram(*daemon_);
    const DaemonCpu cpu;
    seconds.push_back(load_once(session, tokens));
    cpu_seconds += cpu.seconds();
    wall_seconds += seconds.back();
  }
  const double gib =
      static_cast<double>(tokens / model.layout.block_tokens * model.page_bytes) / kGiB;
  figures.gib_s = gib / percentile(seconds, 0.5);
  figures.raw_gib_s = gib / percentile(raw_seconds, 0.5);
  figures.cpu_cores = cpu_seconds / wall_seconds;
  figures.cpu_seconds_per_gib = cpu_seconds / (gib * rounds);
  return figures;
}

DemoteFigures measure_demote(const BenchModel& model, RawDevice& raw, const std::string& directory,
                             uint32_t spans, int rounds) {
  const double gib = static_cast<double>(spans * model.page_bytes) / kGiB;
  DemoteFigures figures{.model = model.label, .gib = gib};
  std::vector<double> raw_seconds;
  std::vector<double> seconds;
  double cpu_seconds = 0;
  double wall_seconds = 0;
  double written = 0;
  for (int i = 0; i < rounds; ++i) {
    const std::string path = directory + "/demote-" + std::to_string(i);
    const DemoteRound round = demote_once(model, path, spans);
    raw_seconds.push_back(write_raw(raw, path + ".raw", round.ops));
    seconds.push_back(round.seconds);
    cpu_seconds += round.cpu_seconds;
    wall_seconds += round.seconds;
    written += static_cast<double>(round.written_bytes);
  }
  for (int i = 0; i < rounds; ++i) {
    const std::string path = directory + "/demote-" + std::to_string(i);
    std::filesystem::remove_all(path);
    std::filesystem::remove(path + ".raw");
  }
  ::sync();  // what was removed is discarded now, not while the next part is measured
  figures.gib_s = gib / percentile(seconds, 0.5);
  figures.raw_gib_s = gib / percentile(raw_seconds, 0.5);
  figures.cpu_cores = cpu_seconds / wall_seconds;
  figures.cpu_seconds_per_gib = cpu_seconds / (gib * rounds);
  figures.write_amplification = written / (gib * kGiB * rounds);
  return figures;
}

}  // namespace quire::bench
