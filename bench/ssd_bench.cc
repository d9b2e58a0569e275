// The bench runs in a child process; the parent only waits and then removes what it wrote, however
// it ended, and gives the huge pages back.
#include "bench/ssd_bench.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "bench/ssd_bench_report.h"
#include "server/runtime/log.h"
#include "tests/support/inspector.h"

namespace quire::bench {

namespace {

constexpr uint64_t kRawBufferBytes = 1ull << 30;

struct Sizes {
  uint64_t ram_bytes = 7ull << 30;
  std::vector<uint32_t> tokens = {131072, 1048576};
  uint32_t long_tokens = 1048576;
  uint32_t demote_pro_spans = 2048;
  uint32_t demote_flash_spans = 2816;
  int rounds = 3;
  uint32_t first_span_contexts = 64;
  uint64_t ram_hits = 3000;
  uint64_t small_spans = 1'000'000;
};

Sizes quick_sizes() {
  return {.ram_bytes = 2ull << 30,
          .tokens = {131072},
          .long_tokens = 262144,
          .demote_pro_spans = 512,
          .demote_flash_spans = 512,
          .rounds = 1,
          .first_span_contexts = 16,
          .ram_hits = 500,
          .small_spans = 65536};
}

// Contexts of the long-lived daemon.
constexpr uint64_t kLongContext = 1;
constexpr uint64_t kShortContext = 2;

std::string file_system_of(const std::string& path) {
  struct statfs info = {};
  if (::statfs(path.c_str(), &info) != 0) return "unknown";
  switch (info.f_type) {
    case 0xEF53:
      return "ext4";
    case 0x58465342:
      return "xfs";
    case 0x01021994:
      return "tmpfs";
    default: {
      char text[32];
      std::snprintf(text, sizeof(text), "0x%lx", static_cast<unsigned long>(info.f_type));
      return text;
    }
  }
}

class SsdBench {
 public:
  SsdBench(const std::string& directory, const Sizes& sizes)
      : directory_(directory),
        sizes_(sizes),
        pro_(load_bench_model("deepseek-v4-pro-fp4", "pro")),
        flash_(load_bench_model("deepseek-v4-flash-fp4", "flash")) {}

  SsdFigures run() {
    figures_.file_system = file_system_of(directory_);
    {
      RawDevice raw(kRawBufferBytes);
      figures_.raw_huge_pages = raw.huge_pages();
      say("demote");
      figures_.demote.push_back(
          measure_demote(pro_, raw, directory_, sizes_.demote_pro_spans, sizes_.rounds));
      figures_.demote.push_back(
          measure_demote(flash_, raw, directory_, sizes_.demote_flash_spans, sizes_.rounds));
      measure_with_one_daemon(raw);
    }
    say("codec");
    figures_.codec = measure_codec();
    say("restart");
    figures_.restart = measure_restart(directory_, sizes_.small_spans);
    return figures_;
  }

 private:
  void say(const char* part) const { std::fprintf(stderr, "ssd bench: %s\n", part); }

  void measure_with_one_daemon(RawDevice& raw) {
    const std::string path = directory_ + "/ssd";
    BenchDaemon daemon(ssd_options(path, sizes_.ram_bytes));
    const auto client = daemon.connect(50);
    open_context(*client, pro_, kShortContext, 256);
    fill_pool(daemon);
    note_machine(daemon);
    say("durable lag");
    figures_.lag = measure_lag(daemon, pro_, kLongContext, sizes_.long_tokens,
                               figures_.demote.front().raw_gib_s / 2);
    say("promote");
    for (const BenchModel* model : {&pro_, &flash_}) promote(daemon, *client, raw, path, *model);
    const std::vector<BackgroundLoad> loads = {{&pro_, kLongContext, sizes_.long_tokens},
                                               {&flash_, kLongContext, sizes_.long_tokens}};
    say("first span");
    figures_.first_span =
        measure_first_span(daemon, raw, path, pro_, sizes_.first_span_contexts, loads.front());
    say("RAM hits");
    figures_.ram_hit = measure_ram_hits(daemon, flash_, sizes_.ram_hits, loads);
  }

  void note_machine(BenchDaemon& daemon) {
    const tests::SsdStatus status = tier_status(daemon);
    figures_.engine = status.engine;
    figures_.direct_io = status.direct_io;
    daemon.on_core([&](server::Daemon& d) {
      figures_.pool_bytes = tests::Inspector(d.cache()).usage().segment_bytes;
      figures_.pool_huge_bytes = d.supply().status().huge_bytes;
    });
  }

  void promote(BenchDaemon& daemon, client::Client& client, RawDevice& raw, const std::string& path,
               const BenchModel& model) {
    PromoteBench bench(daemon, raw, path);
    const auto add = [&](uint64_t context, uint32_t tokens, int rounds) {
      const uint64_t bytes = tokens / model.layout.block_tokens * model.page_bytes;
      if (bytes * 10 / 9 > sizes_.ram_bytes) {
        figures_.promote.push_back({.model = model.label,
                                    .tokens = tokens,
                                    .skipped = "more than the RAM of the bench's daemon"});
        return;
      }
      commit_context(*open_context(client, model, context, tokens), tokens);
      settle(daemon);
      const auto reader = open_context(client, model, context, tokens);
      figures_.promote.push_back(bench.run(model, *reader, tokens, rounds));
    };
    add(kShortContext, 131072, sizes_.rounds + 2);
    add(kLongContext, sizes_.long_tokens, sizes_.rounds);
  }

  std::string directory_;
  Sizes sizes_;
  BenchModel pro_;
  BenchModel flash_;
  SsdFigures figures_;
};

volatile pid_t running_child = 0;
void end_child(int) {
  if (running_child > 0) ::kill(running_child, SIGTERM);
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int run_ssd_bench(bool json, bool quick) {
  const Sizes sizes = quick ? quick_sizes() : Sizes{};
  std::error_code ignored;
  std::filesystem::create_directories("build", ignored);
  std::string pattern = std::filesystem::absolute("build/ssd-bench-XXXXXX");
  if (::mkdtemp(pattern.data()) == nullptr) {
    std::perror("bench: make a directory below build/");
    return 1;
  }
  const HugePageReserve reserve(sizes.ram_bytes + kRawBufferBytes + (64ull << 20));
  // The child ends; the parent stays to clean up. A terminal sends SIGINT to both.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, end_child);
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::signal(SIGINT, SIG_DFL);
    ::signal(SIGTERM, SIG_DFL);
    server::start_log("warning");
    SsdFigures figures = SsdBench(pattern, sizes).run();
    figures.quick = quick;
    json ? print_json(figures) : print_table(figures);
    std::fflush(nullptr);
    std::_Exit(0);
  }
  running_child = child;
  const int status = child < 0 ? 1 : wait_for(child);
  std::filesystem::remove_all(pattern, ignored);
  return status;
}

}  // namespace quire::bench
