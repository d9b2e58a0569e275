#include "bench/index_bench.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "allocator/flat_array.h"
#include "cache/eviction/policy.h"
#include "cache/tree/prefix_tree.h"
#include "model/check.h"

namespace quire::bench {
namespace {

using cache::NodeKind;
using cache::PrefixTree;
using model::Hash256;
using model::NodeId;
using model::RootId;

constexpr std::array<uint64_t, 4> kSizes = {10'000, 100'000, 1'000'000, 10'000'000};
constexpr uint32_t kPromptSpans = 4096;
constexpr uint32_t kShortestRun = 64;
constexpr uint32_t kMatches = 2'000;
constexpr size_t kSweptBytes = 8 << 20;  // more than the second-level cache of one core
constexpr uint32_t kBlockUnits = 2;
constexpr double kMaxMatchGrowth = 4.0;
constexpr double kMaxInsertP9999Ns = 1e6;
constexpr float kSlowNs = 20e3;  // from here on it is worth a system call to ask why
constexpr RootId kRoot{0};

struct Measured {
  uint64_t spans = 0;
  double match_us = 0;       // median, second-level cache emptied before each match
  double match_warm_us = 0;  // median, one match after the other: small sizes stay in the cache
  double insert_ns_p50 = 0;
  double insert_ns_p99 = 0;
  double insert_ns_p9999 = 0;
  double insert_ns_max = 0;
  double insert_wall_ns_p9999 = 0;  // with the inserts in which the kernel ran another thread
  uint64_t preempted_inserts = 0;   // these; left out of the other insert figures
  double bytes_per_span = 0;
  double index_bytes_per_span = 0;  // of these, the hash table
  double dram_ns = 0;               // the machine: one dependent random read of as much memory
};

// SplitMix64: a stand-in for SHA-256, so that setting up takes seconds.
uint64_t mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t below(uint64_t bound) { return mix(++state_) % bound; }

 private:
  uint64_t state_;
};

Hash256 key_of(uint64_t session, uint64_t position) {
  Hash256 key;
  uint64_t word = mix(session << 32 | position);
  for (size_t i = 0; i < 4; ++i) {
    word = mix(word);
    std::memcpy(key.bytes.data() + 8 * i, &word, sizeof(word));
  }
  return key;
}

double elapsed_ns(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - since).count();
}

// Times that the kernel took the processor away from this thread.
int64_t preemption_count() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

// Sorts `samples`.
template <typename T>
double quantile(std::vector<T>& samples, double q) {
  std::sort(samples.begin(), samples.end());
  const double last = static_cast<double>(samples.size() - 1);
  return static_cast<double>(samples[static_cast<size_t>(q * last)]);
}

// The order of eviction, as RAM has it.
struct Order {
  cache::EntryTable entries;
  cache::UseClock clock;
  std::unique_ptr<cache::EvictionPolicy> policy;

  static model::Result<std::unique_ptr<Order>> create(uint64_t max_nodes) {
    auto order =
        std::make_unique<Order>(Order{.entries = QUIRE_TRY(cache::EntryTable::create(max_nodes))});
    order->policy = QUIRE_TRY(cache::find_policy("lru")->make(
        {.entries = &order->entries, .clock = &order->clock, .max_entries = max_nodes}));
    return order;
  }
  void use(NodeId node) { entries.set_last_use(cache::EntryId{node.value}, clock.next_use()); }
  void offer(NodeId node) { policy->offered(cache::EntryId{node.value}); }
  uint64_t held_bytes() const { return entries.held_bytes() + policy->held_bytes(); }
};

// The index of one size, with as many sessions as it takes.
class Subject {
 public:
  Subject(std::unique_ptr<PrefixTree> tree, std::unique_ptr<Order> order, uint64_t spans)
      : tree_(std::move(tree)), order_(std::move(order)), spans_(spans), random_(spans) {}

  void fill(Measured& measured);
  double median_match_us(bool warm);
  double bytes_per_span() const { return per_span(tree_->resident_bytes() + order_->held_bytes()); }
  double index_bytes_per_span() const { return per_span(tree_->index().resident_bytes()); }

 private:
  void add_session(NodeId root, uint32_t length, std::vector<float>& samples);
  bool was_preempted();
  uint32_t find_end(const std::vector<Hash256>& prompt) const;
  double per_span(uint64_t bytes) const {
    return static_cast<double>(bytes) / static_cast<double>(spans_);
  }

  std::unique_ptr<PrefixTree> tree_;
  std::unique_ptr<Order> order_;
  uint64_t spans_;
  Random random_;
  std::vector<uint32_t> lengths_;  // by session
  int64_t preemptions_ = 0;
  std::vector<float> preempted_;  // times of inserts that were interrupted, ns
};

void Subject::fill(Measured& measured) {
  const NodeId root = tree_->add_root(kRoot).value();
  std::vector<float> samples;
  samples.reserve(spans_);
  preemptions_ = preemption_count();
  for (uint64_t left = spans_; left > 0; left = spans_ - samples.size() - preempted_.size()) {
    const uint64_t drawn = kShortestRun + random_.below(kPromptSpans - kShortestRun + 1);
    add_session(root, static_cast<uint32_t>(std::min(drawn, left)), samples);
  }
  measured.insert_ns_p50 = quantile(samples, 0.5);
  measured.insert_ns_p99 = quantile(samples, 0.99);
  measured.insert_ns_p9999 = quantile(samples, 0.9999);
  measured.insert_ns_max = quantile(samples, 1.0);
  measured.preempted_inserts = preempted_.size();
  samples.insert(samples.end(), preempted_.begin(), preempted_.end());
  measured.insert_wall_ns_p9999 = quantile(samples, 0.9999);
}

void Subject::add_session(NodeId root, uint32_t length, std::vector<float>& samples) {
  NodeId tip = root;
  for (uint32_t i = 0; i < length; ++i) {
    const Hash256 key = key_of(lengths_.size(), i);
    const auto start = std::chrono::steady_clock::now();
    tip = tree_->add(tip, NodeKind::kSpan, key, (i + 1) * kBlockUnits).value();
    order_->use(tip);
    const float spent = static_cast<float>(elapsed_ns(start));
    (spent > kSlowNs && was_preempted() ? preempted_ : samples).push_back(spent);
  }
  order_->offer(tip);
  lengths_.push_back(length);
}

bool Subject::was_preempted() {
  const int64_t before = std::exchange(preemptions_, preemption_count());
  return before != preemptions_;
}

// Spans of the prompt that are present, from the start on.
uint32_t Subject::find_end(const std::vector<Hash256>& prompt) const {
  uint32_t present = 0;
  uint32_t end = static_cast<uint32_t>(prompt.size());
  while (present < end) {
    const uint32_t middle = present + (end - present) / 2;
    if (tree_->find(kRoot, NodeKind::kSpan, prompt[middle])) {
      present = middle + 1;
    } else {
      end = middle;
    }
  }
  return present;
}

double Subject::median_match_us(bool warm) {
  std::vector<double> samples;
  samples.reserve(kMatches);
  std::vector<Hash256> prompt(kPromptSpans);
  std::vector<uint64_t> swept(warm ? 0 : kSweptBytes / sizeof(uint64_t));
  for (uint32_t i = 0; i < kMatches; ++i) {
    for (uint64_t& word : swept) word += i;
    const uint64_t session = random_.below(lengths_.size());
    // What lies behind the session's run was never added.
    for (uint32_t span = 0; span < kPromptSpans; ++span) prompt[span] = key_of(session, span);
    const auto start = std::chrono::steady_clock::now();
    const uint32_t end = find_end(prompt);
    samples.push_back(elapsed_ns(start));
    QUIRE_CHECK(end == lengths_[session]);
  }
  return quantile(samples, 0.5) / 1e3;
}

// Dependent reads along one random cycle (Sattolo 1986) through all cache lines of `bytes`.
model::Result<double> measure_dram_ns(uint64_t bytes) {
  struct Line {
    uint32_t next;
    std::array<uint32_t, 15> rest;
  };
  const uint32_t count = static_cast<uint32_t>(bytes / sizeof(Line));
  auto lines = QUIRE_TRY(allocator::FlatArray<Line>::reserve(count));
  for (uint32_t i = 0; i < count; ++i) lines[i].next = i;
  Random random(bytes);
  for (uint32_t i = count - 1; i > 0; --i) std::swap(lines[i].next, lines[random.below(i)].next);
  constexpr uint32_t kReads = 2'000'000;
  uint32_t at = 0;
  const auto start = std::chrono::steady_clock::now();
  for (uint32_t i = 0; i < kReads; ++i) at = lines[at].next;
  const double spent = elapsed_ns(start);
  asm volatile("" : : "r"(at));
  return spent / kReads;
}

model::Result<Measured> measure(uint64_t spans) {
  Measured measured;
  measured.spans = spans;
  auto tree = QUIRE_TRY(PrefixTree::create(spans + 1, 1));
  auto order = QUIRE_TRY(Order::create(spans + 17));
  Subject subject(std::move(tree), std::move(order), spans);
  subject.fill(measured);
  measured.match_warm_us = subject.median_match_us(true);
  measured.match_us = subject.median_match_us(false);
  measured.bytes_per_span = subject.bytes_per_span();
  measured.index_bytes_per_span = subject.index_bytes_per_span();
  const double bytes = measured.bytes_per_span * static_cast<double>(spans);
  measured.dram_ns = QUIRE_TRY(measure_dram_ns(static_cast<uint64_t>(bytes)));
  return measured;
}

// Includes the step from cache to memory, which no index can avoid.
double warm_growth(const std::vector<Measured>& all) {
  return all.back().match_warm_us / all[1].match_warm_us;
}

void print_table(const std::vector<Measured>& all, double growth) {
  std::printf("%10s %10s %10s %10s %10s %12s %12s %10s %10s %10s\n", "spans", "match us", "warm us",
              "insert ns", "p99 ns", "p99.99 ns", "max ns", "B/span", "index B", "dram ns");
  for (const Measured& m : all) {
    std::printf("%10lu %10.2f %10.2f %10.0f %10.0f %12.0f %12.0f %10.1f %10.1f %10.1f\n", m.spans,
                m.match_us, m.match_warm_us, m.insert_ns_p50, m.insert_ns_p99, m.insert_ns_p9999,
                m.insert_ns_max, m.bytes_per_span, m.index_bytes_per_span, m.dram_ns);
    std::printf("%10s %lu inserts preempted; with them p99.99 %.0f ns\n", "", m.preempted_inserts,
                m.insert_wall_ns_p9999);
  }
  std::printf("match grows %.2fx from 1e5 to 1e7 spans (target: at most %.0fx), warm %.2fx\n",
              growth, kMaxMatchGrowth, warm_growth(all));
}

void print_json(const std::vector<Measured>& all, double growth) {
  std::printf("{\"bench\":\"index\",\"sizes\":[");
  for (size_t i = 0; i < all.size(); ++i) {
    const Measured& m = all[i];
    std::printf(
        "%s{\"spans\":%lu,\"match_us\":%.3f,\"match_warm_us\":%.3f,\"insert_ns_p50\":%.0f,"
        "\"insert_ns_p99\":%.0f,\"insert_ns_p9999\":%.0f,\"insert_ns_max\":%.0f,"
        "\"preempted_inserts\":%lu,\"insert_wall_ns_p9999\":%.0f,"
        "\"bytes_per_span\":%.1f,\"index_bytes_per_span\":%.1f,\"dram_random_read_ns\":%.1f}",
        i == 0 ? "" : ",", m.spans, m.match_us, m.match_warm_us, m.insert_ns_p50, m.insert_ns_p99,
        m.insert_ns_p9999, m.insert_ns_max, m.preempted_inserts, m.insert_wall_ns_p9999,
        m.bytes_per_span, m.index_bytes_per_span, m.dram_ns);
  }
  std::printf("],\"machine\":{\"cores\":%u,\"dram_random_read_ns\":%.1f},",
              std::thread::hardware_concurrency(), all.back().dram_ns);
  std::printf("\"match_growth_1e5_to_1e7\":%.3f,\"match_warm_growth_1e5_to_1e7\":%.3f}\n", growth,
              warm_growth(all));
}

}  // namespace

int run_index_bench(bool json) {
  std::vector<Measured> all;
  for (const uint64_t spans : kSizes) {
    const model::Result<Measured> measured = measure(spans);
    if (!measured.ok()) {
      std::fprintf(stderr, "index bench: %s\n", measured.error().text.c_str());
      return 2;
    }
    all.push_back(*measured);
  }
  const double growth = all.back().match_us / all[1].match_us;
  json ? print_json(all, growth) : print_table(all, growth);
  const bool inserts_hold = std::all_of(all.begin(), all.end(), [](const Measured& m) {
    return m.insert_ns_p9999 <= kMaxInsertP9999Ns;
  });
  return growth <= kMaxMatchGrowth && inserts_hold ? 0 : 1;
}

}  // namespace quire::bench
