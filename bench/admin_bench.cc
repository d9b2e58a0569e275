#include "bench/admin_bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "server/http/http_server.h"

namespace quire::bench {

namespace {

constexpr uint32_t kAdminTenants = 1000;
constexpr uint32_t kAdminBlockTokens = 256;
constexpr uint32_t kAdminContextTokens = 1 << 16;
constexpr int kScrapes = 100;
constexpr int kStatuses = 40;
constexpr int kAdminRounds = 30;
constexpr std::chrono::milliseconds kRound{500};
constexpr std::chrono::milliseconds kScrapeEvery{100};
// Longer than the daemon lets pass between two statuses (StatusDesk::kIntervalNs): who asks sooner
// waits for that time, and not for a status.
constexpr std::chrono::milliseconds kBetweenScrapes{20};

struct AdminFigures {
  double metrics_ms = 0;  // half of the scrapes took less
  double metrics_p99_ms = 0;
  double metrics_kib = 0;
  double loopback_ms = 0;  // the limit of that: a request that asks the core for nothing
  double attach_scraped_p99_us = 0;
  double attach_p99_us = 0;
  double attach_scraped_p50_us = 0;
  double attach_p50_us = 0;
  double scrapes = 0;
  // Of a prompt that is a hit up to its middle. A tenth took less, which is what the machine's
  // other work leaves alone, and half.
  double match_p10_us = 0;
  double match_no_why_p10_us = 0;
  double match_p50_us = 0;
  double match_no_why_p50_us = 0;
  double status_ms = 0;
  double true_ms = 0;  // the limit of that: a process that does nothing
};

// A peer that keeps its connection, as a Prometheus does.
class Scraper {
 public:
  explicit Scraper(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    QUIRE_CHECK(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  }
  // Bytes of the answer's body.
  size_t get(std::string_view path) {
    const std::string request = "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    QUIRE_CHECK(::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(request.size()));
    std::string answer;
    size_t head = std::string::npos;
    while ((head = answer.find("\r\n\r\n")) == std::string::npos) read_some(answer);
    QUIRE_CHECK(answer.starts_with("HTTP/1.1 200"));
    const size_t length = std::stoul(answer.substr(answer.find("Content-Length: ") + 16));
    while (answer.size() < head + 4 + length) read_some(answer);
    return length;
  }

 private:
  void read_some(std::string& answer) {
    const size_t before = answer.size();
    answer.resize(before + (64 << 10));
    const ssize_t got = ::recv(fd_.get(), answer.data() + before, 64 << 10, 0);
    QUIRE_CHECK(got > 0);
    answer.resize(before + static_cast<size_t>(got));
  }
  model::FdGuard fd_;
};

model::Layout admin_layout() {
  model::Layout layout{
      .name = "admin", .unit_tokens = kAdminBlockTokens, .block_tokens = kAdminBlockTokens};
  layout.groups = {{.name = "kv",
                    .kind = model::GroupKind::kAppend,
                    .page_bytes = 4096,
                    .layers = {{.layer = 0, .offset = 0, .bytes = 4096}}}};
  return layout;
}

// A daemon that serves a context, and so many tenants who wrote one span each.
class Watched {
 public:
  explicit Watched(uint32_t tenants, uint64_t why_bytes = server::Options().why_bytes)
      : daemon_(options(why_bytes), seams()) {
    client_ = daemon_.connect(50);
    session_ = open("tenant", kAdminContextTokens);
    write(*session_, kAdminContextTokens);
    for (uint32_t i = 0; i < tenants; ++i) {
      const auto session = open("tenant-" + std::to_string(i), kAdminBlockTokens);
      or_exit(session->match(kAdminBlockTokens + 1, 0, {}, ++request_), "match");
      write(*session, kAdminBlockTokens);
    }
    longer_ = open("tenant", 2 * kAdminContextTokens);
    daemon_.on_core([this](server::Daemon& daemon) { port_ = daemon.http_port(); });
  }
  uint16_t port() const { return port_; }
  const std::string& socket_path() const { return daemon_.socket_path(); }
  void attach(std::vector<double>& samples) {
    const Stopwatch watch;
    const auto match =
        or_exit(session_->match(kAdminContextTokens + 1, 0, {}, ++request_), "match");
    QUIRE_CHECK(match.exact_tokens == kAdminContextTokens);
    or_exit(session_->load(match.lease), "load");
    or_exit(session_->release(match.lease), "release");
    samples.push_back(watch.us());
  }
  // Of a prompt whose second half is not there: a turn each, of which is kept why.
  void match(std::vector<double>& samples) {
    const Stopwatch watch;
    const auto match = or_exit(longer_->match(2 * kAdminContextTokens, 0, {}, ++request_), "match");
    samples.push_back(watch.us());
    QUIRE_CHECK(match.exact_tokens == kAdminContextTokens);
    or_exit(longer_->release(match.lease), "release");
  }

 private:
  static server::Options options(uint64_t why_bytes) {
    server::Options options;
    options.why_bytes = why_bytes;
    options.ram_bytes = 512ull << 20;
    options.spin_us = 2000;
    options.http_address = "127.0.0.1:0";
    return options;
  }
  // Each scrape is of a status of its own.
  static server::DaemonSeams seams() {
    server::DaemonSeams seams;
    seams.adjust_http = [](server::HttpLimits& limits) { limits.fresh_ms = 0; };
    return seams;
  }
  std::unique_ptr<client::Session> open(const std::string& tenant, uint32_t token_count) {
    client::SessionOptions options;
    options.layout = admin_layout();
    options.tenant = tenant;
    options.namespace_name = "model";
    options.max_tokens = token_count + kAdminBlockTokens;
    options.staging_bytes = 1 << 20;
    auto session = or_exit(client_->open_session(options), "open a session");
    std::vector<uint32_t> tokens(token_count + 1);
    for (uint32_t i = 0; i < tokens.size(); ++i) tokens[i] = i * 2654435761u >> 12;
    or_exit(session->append_tokens(tokens), "hash the context");
    return session;
  }
  static void write(client::Session& session, uint32_t token_count) {
    for (uint32_t end = kAdminBlockTokens; end <= token_count; end += kAdminBlockTokens) {
      const auto fill = or_exit(session.begin_fill(model::FillKind::kSpan, end), "begin_fill");
      std::memset(fill.staging, 1, 4096);
      or_exit(session.commit(fill), "commit");
    }
  }

  BenchDaemon daemon_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<client::Session> session_;
  std::unique_ptr<client::Session> longer_;
  uint64_t request_ = 0;
  uint16_t port_ = 0;
};

void measure_metrics(const Watched& watched, AdminFigures& figures) {
  Scraper scraper(watched.port());
  std::vector<double> scrapes;
  for (int i = 0; i < kScrapes; ++i) {
    const Stopwatch watch;
    figures.metrics_kib = static_cast<double>(scraper.get("/metrics?tenants=1")) / 1024;
    scrapes.push_back(watch.us() / 1000);
    std::this_thread::sleep_for(kBetweenScrapes);
  }
  figures.metrics_ms = percentile(scrapes, 0.5);
  figures.metrics_p99_ms = percentile(scrapes, 0.99);
  std::vector<double> trips;
  for (int i = 0; i < kScrapes; ++i) {
    const Stopwatch watch;
    scraper.get("/healthz");
    trips.push_back(watch.us() / 1000);
  }
  figures.loopback_ms = percentile(trips, 0.5);
}

// In turns: half a second of attaches with a scraper beside them, half a second without.
void measure_attach(Watched& watched, AdminFigures& figures) {
  std::atomic<bool> scraping{false};
  std::atomic<bool> ended{false};
  std::atomic<uint64_t> scrapes{0};
  std::thread scraper([&] {
    Scraper peer(watched.port());
    while (!ended) {
      if (scraping) {
        peer.get("/metrics");
        ++scrapes;
      }
      std::this_thread::sleep_for(kScrapeEvery);
    }
  });
  std::vector<double> with;
  std::vector<double> without;
  for (int round = 0; round < 2 * kAdminRounds; ++round) {
    scraping = round % 2 == 0;
    const Stopwatch watch;
    while (watch.seconds() * 1000 < static_cast<double>(kRound.count())) {
      watched.attach(round % 2 == 0 ? with : without);
    }
  }
  ended = true;
  scraper.join();
  figures.attach_scraped_p50_us = percentile(with, 0.5);
  figures.attach_scraped_p99_us = percentile(with, 0.99);
  figures.attach_p50_us = percentile(without, 0.5);
  figures.attach_p99_us = percentile(without, 0.99);
  figures.scrapes = static_cast<double>(scrapes);
}

// In turns: matches of a daemon that remembers why they went no further, and of one that does not.
void measure_why(Watched& with, Watched& without, AdminFigures& figures) {
  std::vector<double> remembered;
  std::vector<double> forgotten;
  for (int round = 0; round < kAdminRounds; ++round) {
    for (const bool remembers : {true, false}) {
      Watched& watched = remembers ? with : without;
      std::vector<double>& samples = remembers ? remembered : forgotten;
      const Stopwatch watch;
      while (watch.seconds() * 5000 < static_cast<double>(kRound.count())) watched.match(samples);
    }
  }
  figures.match_p50_us = percentile(remembered, 0.5);
  figures.match_p10_us = percentile(remembered, 0.1);
  figures.match_no_why_p50_us = percentile(forgotten, 0.5);
  figures.match_no_why_p10_us = percentile(forgotten, 0.1);
}

double process_ms(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  const Stopwatch watch;
  pid_t child = 0;
  QUIRE_CHECK(::posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ) == 0);
  int status = 0;
  QUIRE_CHECK(::waitpid(child, &status, 0) == child && status == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  return watch.us() / 1000;
}

void measure_status(const Watched& watched, AdminFigures& figures) {
  const std::string quirectl =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "quirectl";
  std::vector<double> statuses;
  std::vector<double> nothings;
  for (int i = 0; i < kStatuses; ++i) {
    statuses.push_back(process_ms({quirectl, "--socket", watched.socket_path(), "status"}));
    nothings.push_back(process_ms({"/bin/true"}));
  }
  figures.status_ms = percentile(statuses, 0.5);
  figures.true_ms = percentile(nothings, 0.5);
}

void print(const AdminFigures& f) {
  std::printf("/metrics, %u tenants      %8.2f ms, p99 %.2f, %.0f KiB   /healthz %.3f ms\n",
              kAdminTenants, f.metrics_ms, f.metrics_p99_ms, f.metrics_kib, f.loopback_ms);
  std::printf("attach, scraped at 10 Hz  %8.1f us p99, p50 %.1f   not scraped %.1f, %.1f: %.3f\n",
              f.attach_scraped_p99_us, f.attach_scraped_p50_us, f.attach_p99_us, f.attach_p50_us,
              f.attach_scraped_p99_us / f.attach_p99_us);
  std::printf("match, with why           %8.2f us p10, p50 %.2f   --why_memory=0 %.2f, %.2f\n",
              f.match_p10_us, f.match_p50_us, f.match_no_why_p10_us, f.match_no_why_p50_us);
  std::printf("quirectl status           %8.1f ms   a process that does nothing %.1f ms\n",
              f.status_ms, f.true_ms);
}

}  // namespace

int run_admin_bench(bool json) {
  Watched watched(kAdminTenants);
  AdminFigures f;
  measure_metrics(watched, f);
  measure_attach(watched, f);
  {
    Watched forgetful(0, 0);
    measure_why(watched, forgetful, f);
  }
  measure_status(watched, f);
  if (!json) {
    print(f);
    return 0;
  }
  std::puts(JsonObject()
                .add("metrics_ms", f.metrics_ms)
                .add("metrics_p99_ms", f.metrics_p99_ms)
                .add("metrics_kib", f.metrics_kib)
                .add("healthz_ms", f.loopback_ms)
                .add("attach_p99_ratio", f.attach_scraped_p99_us / f.attach_p99_us)
                .add("attach_scraped_p99_us", f.attach_scraped_p99_us)
                .add("attach_p99_us", f.attach_p99_us)
                .add("attach_scraped_p50_us", f.attach_scraped_p50_us)
                .add("attach_p50_us", f.attach_p50_us)
                .add("scrapes", f.scrapes)
                .add("match_p10_us", f.match_p10_us)
                .add("match_no_why_p10_us", f.match_no_why_p10_us)
                .add("match_p50_us", f.match_p50_us)
                .add("match_no_why_p50_us", f.match_no_why_p50_us)
                .add("status_ms", f.status_ms)
                .add("true_ms", f.true_ms)
                .str()
                .c_str());
  return 0;
}

}  // namespace quire::bench
