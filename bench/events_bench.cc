#include "bench/events_bench.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "allocator/pool.h"
#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "client/event_stream.h"
#include "model/clock.h"
#include "server/events/event_sender.h"
#include "tests/support/meddler.h"
#include "tests/support/object_maker.h"

namespace quire::bench {

namespace {

constexpr uint32_t kNodes = 4096;
constexpr uint64_t kEvents = 4'000'000;      // end to end
constexpr int kEventsRounds = 40;            // of what the core pays
constexpr uint64_t kEventMemory = 16 << 20;  // as --event_memory has it
constexpr int kPipeBytes = 1 << 20;

struct EventsFigures {
  double events_per_second = 0;
  double raw_per_second = 0;  // the machine's: as many bytes through such a pipe to a thread
  double gaps = 0;
  double change_none_ns = 0;  // what a change of presence costs, with all that is counted by it
  double change_reading_ns = 0;
  double change_stuck_ns = 0;
  double snapshot_step_us = 0;  // 256 nodes
};

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::perror("pipe2");
    read_end = model::FdGuard(ends[0]);
    write_end = model::FdGuard(ends[1]);
    (void)::fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);
  }
  model::FdGuard read_end;
  model::FdGuard write_end;
};

// A cache whose objects come to the SSD and leave it, as its core would have it, and its events.
class EventWorld {
 public:
  EventWorld()
      : supply_({.budget_bytes = 64 << 20,
                 .segment_bytes = 64 << 20,
                 .huge_pages = allocator::HugePages::kOff,
                 .population = allocator::Population::kLazy}),
        pool_(or_exit(allocator::Pool::create(&supply_, 1 << 16), "a pool")),
        cache_(tests::make_cache(*pool_, {.max_nodes = 1 << 16, .ssd = true})) {
    cache::RootKey key;
    key.domain = or_exit(cache_->add_domain("uid:1"), "a domain");
    key.namespace_name = "model";
    model::Layout layout{.name = "events", .unit_tokens = 256, .block_tokens = 256};
    layout.groups.push_back(
        {.name = "global", .kind = model::GroupKind::kAppend, .page_bytes = 4096});
    key.layout = or_exit(cache_->layouts().add(layout), "a layout");
    or_exit(cache_->open_session(key, 1, session_), "a session");
    fill();
    feed_ = or_exit(server::EventFeed::create({.cache = cache_.get(),
                                               .clock = &clock_,
                                               .daemon_epoch = 1,
                                               .memory_bytes = kEventMemory}),
                    "a feed");
    sender_ = std::make_unique<server::EventSender>(feed_.get(), &clock_, /*with_thread=*/true);
  }
  ~EventWorld() {
    sender_.reset();
    feed_.reset();
    cache_->close_session(session_);
  }

  // As many changes as there are nodes: each comes to the SSD, or each leaves it.
  void change_all() {
    tests::Meddler meddler(*cache_);
    on_ssd_ = !on_ssd_;
    for (uint32_t i = 0; i < kNodes; ++i) {
      on_ssd_ ? meddler.put_on_ssd(nodes_[i], i) : meddler.take_off_ssd(nodes_[i]);
    }
  }
  std::unique_ptr<client::EventStream> subscribe() {
    Pipe pipe;
    ::fcntl(pipe.write_end.get(), F_SETFL, O_NONBLOCK);
    or_exit(sender_->subscribe({.owner = this, .write_end = std::move(pipe.write_end)}),
            "subscribe");
    return std::make_unique<client::EventStream>(std::move(pipe.read_end));
  }
  server::EventFeed& feed() { return *feed_; }

 private:
  void fill() {
    tests::ObjectMaker maker(*cache_);
    model::NodeId parent = cache_->names().root(session_.root).node;
    for (uint32_t i = 0; i < kNodes; ++i) {
      model::Hash256 hash;
      std::memcpy(hash.bytes.data(), &i, sizeof(i));
      parent =
          maker.make_now({.root = session_.root, .parent = parent, .hash = hash, .units = i + 1});
      nodes_.push_back(parent);
    }
  }

  model::SystemClock clock_;
  allocator::SegmentSupply supply_;
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<cache::Cache> cache_;
  cache::CacheSession session_;
  std::vector<model::NodeId> nodes_;
  bool on_ssd_ = false;
  std::unique_ptr<server::EventFeed> feed_;
  std::unique_ptr<server::EventSender> sender_;
};

// Reads until it has heard of so many events, or of their loss.
class Subscriber {
 public:
  explicit Subscriber(std::unique_ptr<client::EventStream> stream)
      : stream_(std::move(stream)), thread_([this] { read(); }) {}
  ~Subscriber() {
    stop_ = true;
    thread_.join();
  }
  uint64_t heard() const { return heard_.load(std::memory_order_relaxed); }
  uint64_t gaps() const { return gaps_.load(std::memory_order_relaxed); }

 private:
  void read() {
    while (!stop_) {
      const auto events = or_exit(stream_->poll(50), "read events");
      uint64_t stored = 0;
      for (const client::Event& event : events) {
        stored +=
            event.kind == model::EventKind::kStored || event.kind == model::EventKind::kRemoved ? 1
                                                                                                : 0;
        if (event.kind == model::EventKind::kGap) gaps_ += 1;
      }
      heard_ += stored;
    }
  }

  std::unique_ptr<client::EventStream> stream_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> heard_{0};
  std::atomic<uint64_t> gaps_{0};
  std::thread thread_;  // last: it uses the rest
};

double median_change_ns(EventWorld& world) {
  std::vector<double> rounds;
  for (int i = 0; i < kEventsRounds; ++i) {
    const ThreadStopwatch watch;
    world.change_all();
    rounds.push_back(watch.us() * 1000 / kNodes);
  }
  return percentile(rounds, 0.5);
}

void measure_core(EventsFigures& figures) {
  EventWorld world;
  figures.change_none_ns = median_change_ns(world);
  {
    const Subscriber subscriber(world.subscribe());
    figures.change_reading_ns = median_change_ns(world);
  }
  const auto stuck = world.subscribe();  // never read
  figures.change_stuck_ns = median_change_ns(world);
  server::EventSeat* seat = world.feed().sit(std::nullopt);
  std::vector<double> steps;
  for (uint32_t walk = 1; walk <= 20; ++walk) {
    seat->position.store(world.feed().ring().head());
    seat->wanted_walk.store(walk);
    const ThreadStopwatch watch;
    world.feed().step(0);
    steps.push_back(watch.us());
  }
  figures.snapshot_step_us = percentile(steps, 0.5);
  world.feed().leave(*seat);
}

// The core is slowed to what the reader takes: no event may be lost here.
void measure_rate(EventsFigures& figures) {
  EventWorld world;
  const Subscriber subscriber(world.subscribe());
  world.change_all();  // the first lap of the ring takes its memory
  while (subscriber.heard() < kNodes) std::this_thread::yield();
  const Stopwatch watch;
  uint64_t made = kNodes;
  while (made < kEvents) {
    world.change_all();
    made += kNodes;
    while (made - subscriber.heard() > world.feed().ring().capacity() / 2) {
      std::this_thread::yield();
    }
  }
  while (subscriber.heard() < made) std::this_thread::yield();
  figures.events_per_second = static_cast<double>(made - kNodes) / watch.seconds();
  figures.gaps = static_cast<double>(subscriber.gaps());
}

void measure_pipe(EventsFigures& figures) {
  Pipe pipe;
  constexpr size_t kBlock = 256 * sizeof(model::EventRecord);
  constexpr uint64_t kBlocks = kEvents / 256;
  std::thread reader([&] {
    std::vector<char> buffer(1 << 18);
    while (::read(pipe.read_end.get(), buffer.data(), buffer.size()) > 0) {
    }
  });
  const std::vector<char> block(kBlock);
  const Stopwatch watch;
  for (uint64_t i = 0; i < kBlocks; ++i) {
    for (size_t done = 0; done < kBlock;) {
      const ssize_t wrote = ::write(pipe.write_end.get(), block.data() + done, kBlock - done);
      if (wrote > 0) done += static_cast<size_t>(wrote);
    }
  }
  figures.raw_per_second = static_cast<double>(kEvents) / watch.seconds();
  pipe.write_end.reset();
  reader.join();
}

}  // namespace

int run_events_bench(bool json) {
  EventsFigures figures;
  measure_core(figures);
  measure_rate(figures);
  measure_pipe(figures);
  const double core_ns = figures.change_reading_ns - figures.change_none_ns;
  const double stuck_ns = figures.change_stuck_ns - figures.change_none_ns;
  if (json) {
    JsonObject object;
    object.add("events_per_second", figures.events_per_second)
        .add("raw_records_per_second", figures.raw_per_second)
        .add("gaps", figures.gaps)
        .add("core_ns_per_event", core_ns)
        .add("core_ns_per_event_stuck", stuck_ns)
        .add("change_ns_none", figures.change_none_ns)
        .add("change_ns_reading", figures.change_reading_ns)
        .add("change_ns_stuck", figures.change_stuck_ns)
        .add("snapshot_step_us", figures.snapshot_step_us);
    std::puts(object.str().c_str());
    return 0;
  }
  std::printf("events to a reading subscriber   %.0f a second, %.0f gaps; raw pipe %.0f\n",
              figures.events_per_second, figures.gaps, figures.raw_per_second);
  std::printf("a change of presence             %.0f ns; with a reader %.0f, a stuck one %.0f\n",
              figures.change_none_ns, figures.change_reading_ns, figures.change_stuck_ns);
  std::printf("an event costs the core          %.0f ns; with a stuck reader %.0f\n", core_ns,
              stuck_ns);
  std::printf("a step of a snapshot             %.1f us (256 objects)\n", figures.snapshot_step_us);
  return 0;
}

}  // namespace quire::bench
