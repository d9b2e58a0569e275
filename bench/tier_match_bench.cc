#include "bench/tier_match_bench.h"

#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "bench/measure.h"
#include "cache/cache.h"
#include "model/check.h"
#include "tests/support/meddler.h"
#include "tests/support/object_maker.h"

namespace quire::bench {

namespace {

constexpr uint32_t kTierMatchContextSpans = 4096;
constexpr uint32_t kContexts = 2441;  // 10^7 spans
constexpr uint32_t kNewSpans = 16;    // of the next turn's prompt: in no cache
constexpr int kMatches = 2000;
constexpr double kMostOfRam = 2.0;
constexpr size_t kSweptBytes = 8 << 20;  // more than the second-level cache of one core

// SplitMix64: a stand-in for SHA-256, so that setting up takes seconds.
uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15ull;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

model::Hash256 key_of(uint32_t context, uint32_t span) {
  model::Hash256 key;
  uint64_t word = mix(uint64_t{context} << 32 | span);
  for (size_t i = 0; i < 4; ++i) {
    word = mix(word);
    std::memcpy(key.bytes.data() + 8 * i, &word, sizeof word);
  }
  return key;
}

model::Layout one_group_layout() {
  model::Layout layout;
  layout.name = "tier-match";
  layout.unit_tokens = layout.block_tokens = 256;
  layout.groups.push_back({.name = "kv", .page_bytes = 4096});
  return layout;
}

// Median of `samples`, the nearest caches emptied before each, as by other work of the core.
struct MatchCost {
  double whole_us = 0;     // a prompt that is all there
  double new_turn_us = 0;  // one with some spans more
};

class Subject {
 public:
  Subject()
      : supply_({.budget_bytes = 64ull << 30,  // address space: pages are never touched
                 .segment_bytes = 1ull << 30,
                 .population = allocator::Population::kLazy}),
        pool_(allocator::Pool::create(&supply_, 16'000'000).value()),
        cache_(tests::make_cache(*pool_, {.max_nodes = 11'000'000, .ssd = true})) {
    cache::RootKey key;
    key.domain = *cache_->add_domain("uid:1");
    key.namespace_name = "tier-match";
    key.layout = *cache_->layouts().add(one_group_layout());
    QUIRE_CHECK(cache_->open_session(key, 1, session_).ok());
    for (uint32_t context = 0; context < kContexts; ++context) add_context(context);
  }
  ~Subject() { cache_->close_session(session_); }

  // The deep half of each context leaves RAM, its end first.
  void demote_half() {
    tests::Meddler meddler(*cache_);
    uint32_t slot = 0;
    for (const std::vector<model::NodeId>& context : contexts_) {
      for (uint32_t span = kTierMatchContextSpans; span > kTierMatchContextSpans / 2; --span) {
        meddler.put_on_ssd(context[span - 1], slot++);
        QUIRE_CHECK(meddler.leave_ram(context[span - 1]));
      }
    }
    meddler.make_readable(model::TierId{1});
  }

  MatchCost measure(uint32_t expected_below) {
    return {.whole_us = median_us(0, expected_below),
            .new_turn_us = median_us(kNewSpans, expected_below)};
  }

 private:
  void add_context(uint32_t context) {
    tests::ObjectMaker maker(*cache_);
    tests::NewObject span{.root = session_.root};
    span.parent = cache_->names().root(session_.root).node;
    std::vector<model::NodeId> nodes;
    std::vector<model::SlotId> slots;
    for (span.units = 1; span.units <= kTierMatchContextSpans; ++span.units) {
      span.hash = key_of(context, span.units);
      while (maker.make(span, span.parent, slots) != tests::Room::kHave) {
      }
      nodes.push_back(span.parent);
    }
    contexts_.push_back(std::move(nodes));
  }

  double median_us(uint32_t new_spans, uint32_t expected_below) {
    std::mt19937 random(7);
    std::vector<uint64_t> swept(kSweptBytes / sizeof(uint64_t));
    std::vector<model::Hash256> prompt(kTierMatchContextSpans + new_spans);
    const auto count = static_cast<uint32_t>(prompt.size());
    std::vector<double> samples;
    cache::LeaseHolder holder;
    for (int i = 0; i < kMatches; ++i) {
      const uint32_t context = random() % kContexts;
      for (uint32_t span = 1; span <= count; ++span) prompt[span - 1] = key_of(context, span);
      for (uint64_t& word : swept) ++word;
      const Stopwatch watch;
      const auto match =
          cache_->reader().match(session_, holder, {prompt.data(), count}, count * 256 + 1);
      samples.push_back(watch.us());
      QUIRE_CHECK(match.ok() && match->exact_tokens == kTierMatchContextSpans * 256);
      QUIRE_CHECK(match->tokens[model::TierId{1}] == expected_below);
      QUIRE_CHECK(cache_->loader().release(holder, model::LeaseId{match->lease}).ok());
    }
    return percentile(samples, 0.5);
  }

  allocator::SegmentSupply supply_;
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<cache::Cache> cache_;
  cache::CacheSession session_;
  std::vector<std::vector<model::NodeId>> contexts_;
};

}  // namespace

int run_tier_match_bench(bool json) {
  Subject subject;
  const MatchCost in_ram = subject.measure(0);
  subject.demote_half();
  const MatchCost half = subject.measure(kTierMatchContextSpans / 2 * 256);
  const double whole = half.whole_us / in_ram.whole_us;
  const double new_turn = half.new_turn_us / in_ram.new_turn_us;
  if (json) {
    std::puts(JsonObject()
                  .add("bench", std::string("attach_ssd"))
                  .add("spans_indexed", double{kContexts} * kTierMatchContextSpans)
                  .add("match_us", half.new_turn_us)
                  .add("match_us_all_in_ram", in_ram.new_turn_us)
                  .add("of_all_in_ram", new_turn)
                  .add("whole_match_us", half.whole_us)
                  .add("whole_match_us_all_in_ram", in_ram.whole_us)
                  .add("whole_of_all_in_ram", whole)
                  .str()
                  .c_str());
  } else {
    std::printf("match a 1M-token context of %.1e spans, half of them below RAM only\n",
                double{kContexts} * kTierMatchContextSpans);
    std::printf("  with a new turn behind it     %6.2f us, all in RAM %6.2f us: %.2f\n",
                half.new_turn_us, in_ram.new_turn_us, new_turn);
    std::printf("  nothing behind it             %6.2f us, all in RAM %6.2f us: %.2f\n",
                half.whole_us, in_ram.whole_us, whole);
  }
  return new_turn <= kMostOfRam ? 0 : 1;
}

}  // namespace quire::bench
