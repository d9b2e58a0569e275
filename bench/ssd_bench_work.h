// What every part of the bench of the SSD tier needs: contexts to commit, where they lie on the
// device, and the processor time of a daemon that lives in the bench's own process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "bench/ssd_bench_raw.h"
#include "model/layout.h"
#include "tests/support/ssd_status.h"

namespace quire::bench {

inline constexpr double kGiB = 1ull << 30;

struct BenchModel {
  std::string name;  // of its file in configs/models
  std::string label;
  model::Layout layout;
  uint64_t page_bytes = 0;  // of a span
};
BenchModel load_bench_model(const std::string& name, const std::string& label);
// One append group of 4,096-byte pages, blocks of 16 tokens.
BenchModel small_page_model();

// Processor time of the process less that of the calling thread. While no other thread of the bench
// runs, that is the daemon's: core, workers, RocksDB, and the kernel's workers of its ring.
class DaemonCpu {
 public:
  DaemonCpu() : start_(now()) {}
  double seconds() const { return now() - start_; }

 private:
  static double now();
  double start_;
};

// Of a fresh directory; `ram_bytes` in segments of 256 MiB.
server::Options ssd_options(const std::string& ssd_path, uint64_t ram_bytes);

// A session that holds the tokens of one context; contexts differ from the first token on.
std::unique_ptr<client::Session> open_context(client::Client& client, const BenchModel& model,
                                              uint64_t number, uint32_t tokens,
                                              bool batch_class = false);
// Commits one object with bytes that neither repeat nor compress. Returns how long the call to
// commit took, in seconds; 0 for what was there.
double commit_object(client::Session& session, model::FillKind kind, uint32_t end_tokens);
// The first domain takes all of the pool, as after hours of work: no part of it is made while
// something is measured. Precondition: a client was connected.
void fill_pool(BenchDaemon& daemon);
// All spans up to `tokens` and, where the layout wants one, the checkpoint there.
void commit_context(client::Session& session, uint32_t tokens);

tests::SsdStatus tier_status(BenchDaemon& daemon);
// Until everything present has a durable copy and the tier is idle; looks each `poll_us`.
void settle(BenchDaemon& daemon, uint32_t poll_us = 5000);
// Everything that has a copy and no pin leaves RAM.
void empty_ram(BenchDaemon& daemon);

// What reading spans [0, tokens / block) of the context takes, in the daemon's order and sizes:
// headers of up to 16 adjacent objects at once, pages merged up to 1 MiB. Files are those of
// data_files(); precondition: all of it is on the device.
std::vector<RawOp> extents_of(BenchDaemon& daemon, const BenchModel& model,
                              const client::Session& session, uint32_t tokens);
std::vector<std::string> data_files(const std::string& ssd_path);
uint64_t bytes_of(const std::vector<RawOp>& ops);

}  // namespace quire::bench
