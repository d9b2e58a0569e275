#include "bench/engine_bench.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <thread>

#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "model/layout_toml.h"
#include "model/wire.h"

namespace quire::bench {

namespace {

constexpr int kEngineRounds = 20'000;
constexpr int kFirstRounds = 20;  // each on a client of its own

struct EngineFigures {
  double p50 = 0;
  double p99 = 0;
};

EngineFigures summarise(const std::vector<double>& samples) {
  return {percentile(samples, 0.50), percentile(samples, 0.99)};
}

std::string to_json(const EngineFigures& figures) {
  return JsonObject().add("p50", figures.p50).add("p99", figures.p99).str();
}

// Two threads and frames of the sizes of open_session and its reply: the least that a call by the
// socket can cost.
EngineFigures bare_socket() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::exit(1);
  std::array<char, sizeof(model::FrameHeader) + sizeof(model::OpenSessionRequest)> request{};
  std::array<char, sizeof(model::FrameHeader) + sizeof(model::OpenSessionReply)> reply{};
  std::thread echo([&, from = ends[1]] {
    while (::recv(from, request.data(), request.size(), MSG_WAITALL) > 0) {
      if (::send(from, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) return;
    }
  });
  std::vector<double> samples;
  std::array<char, request.size()> asked{};
  std::array<char, reply.size()> answered{};
  for (int i = 0; i < kEngineRounds; ++i) {
    const Stopwatch watch;
    if (::send(ends[0], asked.data(), asked.size(), 0) < 0) std::exit(1);
    if (::recv(ends[0], answered.data(), answered.size(), MSG_WAITALL) <= 0) std::exit(1);
    samples.push_back(watch.us());
  }
  ::close(ends[0]);
  echo.join();
  ::close(ends[1]);
  return summarise(samples);
}

struct Opens {
  EngineFigures again;
  EngineFigures first;
};

Opens time_opens() {
  server::Options options;
  options.ram_bytes = 256ull << 20;
  options.huge_pages = allocator::HugePages::kOff;
  BenchDaemon daemon(options);
  client::SessionOptions session;
  session.namespace_name = "engine";
  session.layout = or_exit(
      model::load_layout_file(QUIRE_SOURCE_DIR "/configs/models/deepseek-v4-flash-fp8.toml"),
      "read the layout");
  std::vector<double> first;
  for (int i = 0; i < kFirstRounds; ++i) {
    const auto client = daemon.connect(20);
    const Stopwatch watch;
    or_exit(client->open_session(session), "open a first session");
    first.push_back(watch.us());
  }
  const auto client = daemon.connect(20);
  std::vector<double> again;
  for (int i = -kEngineRounds / 10; i < kEngineRounds; ++i) {
    const Stopwatch watch;
    const auto opened = or_exit(client->open_session(session), "open a session");
    or_exit(opened->close(), "close it");
    if (i >= 0) again.push_back(watch.us());
  }
  return {summarise(again), summarise(first)};
}

}  // namespace

int run_engine_bench(bool as_json) {
  const Opens opens = time_opens();
  const EngineFigures socket = bare_socket();
  const double of_limit = opens.again.p50 / (2 * socket.p50);
  if (as_json) {
    std::puts(JsonObject()
                  .add("bench", std::string("engine"))
                  .add_raw("open_us", to_json(opens.again))
                  .add_raw("first_open_us", to_json(opens.first))
                  .add_raw("socket_trip_us", to_json(socket))
                  .add("open_of_two_trips", of_limit)
                  .str()
                  .c_str());
    return 0;
  }
  std::printf("open and close a session      p50 %8.1f us   p99 %8.1f us   (target p50 <= 60)\n",
              opens.again.p50, opens.again.p99);
  std::printf("the first one of a client     p50 %8.1f us   p99 %8.1f us\n", opens.first.p50,
              opens.first.p99);
  std::printf("a bare socket's round trip    p50 %8.1f us   p99 %8.1f us   two of them: %.2fx\n",
              socket.p50, socket.p99, of_limit);
  return 0;
}

}  // namespace quire::bench
