// The real Loads over a real cache, with a tier that costs nothing, step by step on one thread:
// 10,000 sessions of 8 users and 128 tenants ask for what they have below RAM, at random times,
// two in ten as batch. RAM holds half of it, so that loads evict and wait for each other, and the
// table of loads is always full: who is served next is chosen among thousands.
//
// A decision is a load that gets its memory and starts; a step that starts none counts as one. Its
// cost is what the step took, without the tier's own time, by load that it started: so memory for
// its pages, with the evictions for it, is in the figure. All times are the thread's own.
#include "bench/sched_bench.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "bench/sched_tier.h"
#include "tests/support/inspector.h"
#include "tests/support/manual_clock.h"
#include "tests/support/meddler.h"
#include "tests/support/object_maker.h"
#include "tiering/loads.h"

namespace quire::bench {

namespace {

using model::NodeId;

constexpr uint32_t kSessions = 10'000;
constexpr uint16_t kDomains = 8;
constexpr uint32_t kTenantsOfDomain = 16;
constexpr uint32_t kMostSpans = 8;  // of a session
constexpr uint64_t kSegmentBytes = 4ull << 20;
constexpr uint64_t kSchedRamBytes = 96ull << 20;  // half of what all sessions have
constexpr uint32_t kSteps = 40'000;
constexpr uint32_t kWarmSteps = 2'000;  // until the table of loads is full
constexpr uint32_t kBatchPercent = 20;
constexpr uint32_t kArrivals = 256;  // tried for each step: more than can start

struct Tenant {
  cache::CacheSession session;
  uint64_t interactive_started = 0;
  uint32_t batch_waiting = 0;
};

struct BenchSession {
  Tenant* tenant = nullptr;
  std::vector<NodeId> nodes;
  bool loading = false;
  bool waiting = false;
  bool batch = false;
  uint64_t started_before = 0;  // interactive loads of its tenant, when it came
  uint64_t bound = 0;
};

struct SchedFigures {
  std::vector<double> decide_us;
  std::vector<double> step_us;
  std::vector<double> walk_us;  // the machine's limit: one look at each of 10,000 records
  uint64_t decisions = 0;
  uint64_t batch_loads = 0;
  uint64_t most_waiting = 0;
  uint64_t most_overtakes = 0;  // while a batch load waited
  uint64_t bound_of_most = 0;   // of that load
  uint64_t beyond_bound = 0;    // batch loads
};

class Bench {
 public:
  Bench();
  ~Bench();
  SchedFigures run();

 private:
  void add_session(uint32_t number, Tenant& tenant);
  void add_spans(uint32_t number, BenchSession& session, uint32_t count);
  void arrive();
  void note_started(NodeId node);
  double timed_step();
  void end_loads();

  std::mt19937_64 random_{20'260'101};
  tests::ManualClock clock_;
  allocator::SegmentSupply supply_{{.budget_bytes = kSchedRamBytes,
                                    .segment_bytes = kSegmentBytes,
                                    .huge_pages = allocator::HugePages::kOff,
                                    .population = allocator::Population::kLazy}};
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<cache::Cache> cache_;
  std::vector<std::unique_ptr<Tenant>> tenants_;
  std::vector<BenchSession> sessions_;
  std::vector<uint32_t> session_of_;  // by node
  uint32_t next_slot_ = 0;
  SchedTier tier_{[this](NodeId node) { note_started(node); }};
  std::unique_ptr<tiering::Loads> loads_;
  uint64_t started_ = 0;  // in this step
  SchedFigures figures_;
};

Bench::Bench()
    : pool_(or_exit(allocator::Pool::create(&supply_, 1 << 20), "make a pool")),
      cache_(tests::make_cache(*pool_, {.max_nodes = 1 << 18, .ssd = true})),
      sessions_(kSessions) {
  model::Layout layout{.name = "sched", .unit_tokens = 4, .block_tokens = 4};
  layout.groups.push_back(
      {.name = "global", .kind = model::GroupKind::kAppend, .page_bytes = 4096});
  const model::LayoutId id = or_exit(cache_->layouts().add(layout), "add a layout");
  for (uint16_t d = 0; d < kDomains; ++d) {
    cache::RootKey key{.domain = or_exit(cache_->add_domain("uid:" + std::to_string(d)), "domain"),
                       .namespace_name = "model",
                       .layout = id};
    for (uint32_t t = 0; t < kTenantsOfDomain; ++t) {
      key.tenant = "tenant-" + std::to_string(t);
      tenants_.push_back(std::make_unique<Tenant>());
      or_exit(cache_->open_session(key, 1, tenants_.back()->session), "open a session");
    }
  }
  loads_ = std::make_unique<tiering::Loads>(cache_.get(), &clock_);
  loads_->add_tier(&tier_);
  tests::Meddler(*cache_).make_readable(model::TierId::kSsd);
  for (uint32_t s = 0; s < kSessions; ++s) add_session(s, *tenants_[s % tenants_.size()]);
}

Bench::~Bench() {
  loads_.reset();
  for (const auto& tenant : tenants_) cache_->close_session(tenant->session);
}

// Its pages are below RAM only.
void Bench::add_session(uint32_t number, Tenant& tenant) {
  BenchSession& session = sessions_[number];
  session.tenant = &tenant;
  session.batch = random_() % 100 < kBatchPercent;
  add_spans(number, session, 1 + static_cast<uint32_t>(random_() % kMostSpans));
  for (auto at = session.nodes.rbegin(); at != session.nodes.rend(); ++at) {
    tests::Meddler(*cache_).leave_ram(*at);
  }
}

void Bench::add_spans(uint32_t number, BenchSession& session, uint32_t count) {
  tests::ObjectMaker maker(*cache_);
  tests::NewObject span{.root = session.tenant->session.root};
  span.parent = cache_->names().root(span.root).node;
  for (span.units = 1; span.units <= count; ++span.units) {
    for (size_t byte = 0; byte < 4; ++byte) {
      span.hash.bytes[byte] = static_cast<uint8_t>(number >> 8 * byte);
    }
    span.hash.bytes[4] = static_cast<uint8_t>(span.units);
    const NodeId node = maker.make_now(span);
    tests::Meddler(*cache_).put_on_ssd(node, next_slot_++);
    session.nodes.push_back(span.parent = node);
    if (session_of_.size() <= node.value) session_of_.resize(node.value + size_t{1});
    session_of_[node.value] = number;
  }
}

// A session asks for what it has below RAM.
void Bench::arrive() {
  const auto number = static_cast<uint32_t>(random_() % kSessions);
  BenchSession& session = sessions_[number];
  if (session.loading) return;
  const tests::Inspector inspect(*cache_);
  std::vector<NodeId> missing;
  for (const NodeId node : session.nodes) {
    if (!inspect.in_ram(node)) missing.push_back(node);
  }
  if (missing.empty()) return;
  const auto load_class = session.batch ? model::LoadClass::kBatch : model::LoadClass::kInteractive;
  const auto taken = loads_->start(
      {.tag = number, .load_class = load_class, .deadline_ns = INT64_MAX, .nodes = missing});
  if (!taken.ok()) return;  // a bound of the table: it comes again
  session.loading = session.waiting = true;
  session.started_before = session.tenant->interactive_started;
  // And one that was being served when it came.
  session.bound = (session.tenant->batch_waiting + uint64_t{1}) * tiering::kMaxOvertakes + 1;
  if (session.batch) ++session.tenant->batch_waiting;
}

// It has its memory: the tier takes whatever it is asked for, in the same turn.
void Bench::note_started(NodeId node) {
  BenchSession& session = sessions_[session_of_[node.value]];
  if (!session.waiting) return;
  session.waiting = false;
  ++started_;
  Tenant& tenant = *session.tenant;
  if (!session.batch) {
    ++tenant.interactive_started;
    return;
  }
  --tenant.batch_waiting;
  ++figures_.batch_loads;
  const uint64_t overtakes = tenant.interactive_started - session.started_before;
  if (overtakes > session.bound) ++figures_.beyond_bound;
  if (overtakes >= figures_.most_overtakes) {
    figures_.most_overtakes = overtakes;
    figures_.bound_of_most = session.bound;
  }
}

double Bench::timed_step() {
  clock_.advance(std::chrono::microseconds(20));
  (void)tier_.step({});
  std::vector<tiering::TierEvent> events;
  events.swap(tier_.events());
  for (const tiering::TierEvent& event : events) loads_->take(tier_, event);
  started_ = 0;
  tier_.take_own_us();
  const ThreadStopwatch watch;
  (void)loads_->step(clock_.now_ns());
  return watch.us() - tier_.take_own_us();
}

void Bench::end_loads() {
  for (const tiering::FinishedLoad& load : loads_->finished()) {
    BenchSession& session = sessions_[load.tag];
    QUIRE_CHECK(load.code == model::Errc::kOk && !session.waiting);
    session.loading = false;
  }
  loads_->finished().clear();
  loads_->advanced().clear();
}

SchedFigures Bench::run() {
  for (uint32_t step = 0; step < kSteps + kWarmSteps; ++step) {
    for (uint64_t i = random_() % (2 * kArrivals); i > 0; --i) arrive();
    const double us = timed_step();
    end_loads();
    // Segments are made by another thread.
    if (step < kWarmSteps) std::this_thread::yield();
    if (step < kWarmSteps) continue;
    figures_.step_us.push_back(us);
    figures_.decide_us.push_back(us / static_cast<double>(std::max<uint64_t>(1, started_)));
    figures_.decisions += started_;
    figures_.most_waiting = std::max<uint64_t>(figures_.most_waiting, loads_->count());
  }
  loads_->check_invariants();
  struct Record {
    uint64_t words[8];
  };
  std::vector<Record> table(kSessions);
  uint64_t sum = 0;
  for (int i = 0; i < 1000; ++i) {
    const ThreadStopwatch watch;
    for (Record& record : table) sum += ++record.words[sum & 7];
    figures_.walk_us.push_back(watch.us());
  }
  return figures_;
}

}  // namespace

int run_sched_bench(bool json) {
  const SchedFigures figures = Bench().run();
  const int code = figures.beyond_bound == 0 ? 0 : 1;
  if (json) {
    std::puts(
        JsonObject()
            .add("bench", std::string("sched"))
            .add("sessions", kSessions)
            .add("most_loads", static_cast<double>(figures.most_waiting))
            .add("decisions", static_cast<double>(figures.decisions))
            .add_raw("decide_us", percentiles_json(figures.decide_us))
            .add_raw("step_us", percentiles_json(figures.step_us))
            .add_raw("table_walk_us", percentiles_json(figures.walk_us))
            .add("decide_of_walk",
                 percentile(figures.decide_us, 0.5) / percentile(figures.walk_us, 0.5))
            .add_raw("batch_wait", JsonObject()
                                       .add("loads", static_cast<double>(figures.batch_loads))
                                       .add("max", static_cast<double>(figures.most_overtakes))
                                       .add("bound", static_cast<double>(figures.bound_of_most))
                                       .add("per_place", tiering::kMaxOvertakes)
                                       .add("beyond", static_cast<double>(figures.beyond_bound))
                                       .str())
            .str()
            .c_str());
    return code;
  }
  std::printf("%u sessions of %u users and %zu tenants, up to %lu loads under way\n", kSessions,
              kDomains, size_t{kDomains} * kTenantsOfDomain, figures.most_waiting);
  print_percentiles("a decision, with the memory for its load", figures.decide_us);
  print_percentiles("a step of the scheduler", figures.step_us);
  print_percentiles("limit: one look at each of 10,000 records", figures.walk_us);
  std::printf(
      "  %lu loads started, %lu of them batch; while one of these waited at most %lu\n"
      "  interactive loads of its tenant started (its bound: %lu); beyond: %lu\n",
      figures.decisions, figures.batch_loads, figures.most_overtakes, figures.bound_of_most,
      figures.beyond_bound);
  return code;
}

}  // namespace quire::bench
