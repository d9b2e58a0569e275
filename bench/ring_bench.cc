#include "bench/ring_bench.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>

#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "model/layout_toml.h"

namespace quire::bench {

namespace {

constexpr int kPolledTrips = 300'000;
constexpr int kAsleepTrips = 10'000;
constexpr int kAsleepRounds = 7;

struct RingFigures {
  double p50 = 0;
  double p99 = 0;
};

struct AsleepRound {
  RingFigures asleep;
  RingFigures eventfd;
  double ratio() const { return asleep.p50 / eventfd.p50; }
};

RingFigures summarise(const std::vector<double>& samples) {
  return {percentile(samples, 0.50), percentile(samples, 0.99)};
}

std::string to_json(const RingFigures& figures) {
  return JsonObject().add("p50", figures.p50).add("p99", figures.p99).str();
}

RingFigures time_trips(int trips, const std::function<void()>& trip) {
  std::vector<double> samples;
  samples.reserve(static_cast<size_t>(trips));
  for (int i = 0; i < trips / 10; ++i) trip();  // warm
  for (int i = 0; i < trips; ++i) {
    const Stopwatch watch;
    trip();
    samples.push_back(watch.us());
  }
  return summarise(samples);
}

// Two threads that bounce one cache line: the least that a polled round trip can cost.
RingFigures bare_spin() {
  struct alignas(64) Line {
    std::atomic<uint32_t> value{0};
  };
  Line request;
  Line response;
  std::thread echo([&] {
    for (uint32_t next = 1; next != ~0u;) {
      const uint32_t seen = request.value.load(std::memory_order_acquire);
      if (seen == ~0u) return;
      if (seen != next) continue;
      response.value.store(next++, std::memory_order_release);
    }
  });
  uint32_t count = 0;
  const RingFigures figures = time_trips(kPolledTrips, [&] {
    request.value.store(++count, std::memory_order_release);
    while (response.value.load(std::memory_order_acquire) != count) {
    }
  });
  request.value.store(~0u);
  echo.join();
  return figures;
}

// Two threads that sleep in read() of an eventfd.
RingFigures bare_eventfd() {
  const int request = ::eventfd(0, EFD_CLOEXEC);
  const int response = ::eventfd(0, EFD_CLOEXEC);
  std::atomic<bool> stop{false};
  std::thread echo([&] {
    uint64_t value;
    while (::read(request, &value, 8) == 8 && !stop) {
      if (::write(response, &value, 8) != 8) return;
    }
  });
  const uint64_t one = 1;
  const RingFigures figures = time_trips(kAsleepTrips, [&] {
    uint64_t value = 0;
    if (::write(request, &one, 8) != 8 || ::read(response, &value, 8) != 8) std::exit(1);
  });
  stop = true;
  if (::write(request, &one, 8) != 8) std::exit(1);
  echo.join();
  ::close(request);
  ::close(response);
  return figures;
}

RingFigures through_ring(uint32_t spin_us, int trips) {
  server::Options options;
  options.ram_bytes = 64ull << 20;
  options.huge_pages = allocator::HugePages::kOff;
  options.spin_us = spin_us;
  BenchDaemon daemon(options);
  const auto client = daemon.connect(spin_us);
  client::SessionOptions session_options;
  session_options.namespace_name = "ring";
  session_options.layout = or_exit(
      model::load_layout_file(QUIRE_SOURCE_DIR "/configs/models/deepseek-v4-flash-fp8.toml"),
      "read the layout");
  const auto session = or_exit(client->open_session(session_options), "open a session");
  return time_trips(trips, [&] { or_exit(session->noop(), "noop"); });
}

}  // namespace

int run_ring_bench(bool json) {
  const RingFigures spin = bare_spin();
  const RingFigures polled = through_ring(1'000'000, kPolledTrips);
  // In turn, and the median round: what a wake-up costs drifts with the idle state of the machine.
  std::vector<AsleepRound> rounds;
  for (int i = 0; i < kAsleepRounds; ++i) {
    AsleepRound round{.asleep = through_ring(0, kAsleepTrips), .eventfd = bare_eventfd()};
    rounds.push_back(round);
  }
  std::sort(rounds.begin(), rounds.end(),
            [](const AsleepRound& a, const AsleepRound& b) { return a.ratio() < b.ratio(); });
  const auto& [asleep, eventfd] = rounds[kAsleepRounds / 2];
  const double ratio = rounds[kAsleepRounds / 2].ratio();
  if (json) {
    std::puts(JsonObject()
                  .add("bench", std::string("ring"))
                  .add_raw("polled_us", to_json(polled))
                  .add_raw("bare_spin_us", to_json(spin))
                  .add_raw("asleep_us", to_json(asleep))
                  .add_raw("bare_eventfd_us", to_json(eventfd))
                  .add("asleep_of_eventfd", ratio)
                  .str()
                  .c_str());
    return 0;
  }
  std::printf("request round trip, us            p50      p99\n");
  std::printf("  polled                     %8.3f %8.3f\n", polled.p50, polled.p99);
  std::printf("  limit: two spinning threads%8.3f %8.3f\n", spin.p50, spin.p99);
  std::printf("  asleep                     %8.3f %8.3f\n", asleep.p50, asleep.p99);
  std::printf("  limit: two eventfd threads %8.3f %8.3f\n", eventfd.p50, eventfd.p99);
  std::printf("  asleep / eventfd           %8.2f\n", ratio);
  return 0;
}

}  // namespace quire::bench
