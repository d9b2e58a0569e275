#include "bench/filler.h"

#include <string>
#include <vector>

#include "bench/bench_daemon.h"
#include "bench/measure.h"
#include "tests/support/inspector.h"
#include "tests/support/object_maker.h"

namespace quire::bench {

namespace {

constexpr uint32_t kRunSpans = 64;

// SplitMix64 stream.
struct Keys {
  uint64_t state;
  uint64_t next() {
    uint64_t value = (state += 0x9e3779b97f4a7c15ull);
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
  }
  model::Hash256 next_hash() {
    model::Hash256 hash;
    for (size_t i = 0; i < 4; ++i) {
      const uint64_t word = next();
      std::memcpy(hash.bytes.data() + 8 * i, &word, 8);
    }
    return hash;
  }
};

model::Layout filler_layout(uint32_t groups) {
  model::Layout layout;
  layout.name = "filler-" + std::to_string(groups);
  layout.unit_tokens = layout.block_tokens = 128;
  for (uint32_t g = 0; g < groups; ++g) {
    model::Group group;
    group.name = "kv" + std::to_string(g);
    group.page_bytes = 4096 - 64 * g;
    layout.groups.push_back(group);
  }
  return layout;
}

}  // namespace

FillerCost add_filler(cache::Cache& cache, uint64_t spans, uint32_t groups) {
  cache::RootKey key;
  key.domain = model::DomainId{0};
  key.namespace_name = "filler";
  key.layout = or_exit(cache.layouts().add(filler_layout(groups)), "filler layout");
  cache::CacheSession session;
  or_exit(cache.open_session(key, 1, session), "open a session");
  tests::NewObject span{.root = session.root};
  tests::ObjectMaker maker(cache);
  const uint64_t before = tests::Inspector(cache).table_bytes();
  const Stopwatch watch;
  Keys keys{groups * 1000003ull};
  std::vector<model::SlotId> slots;
  for (uint64_t done = 0; done < spans; done += kRunSpans) {
    span.parent = cache.names().root(session.root).node;
    slots.clear();
    for (span.units = 1; span.units <= kRunSpans; ++span.units) {
      span.hash = keys.next_hash();
      model::NodeId node;
      while (maker.make(span, node, slots) != tests::Room::kHave) {
      }
      span.parent = node;
    }
  }
  FillerCost cost;
  cost.seconds = watch.seconds();
  cost.bytes_per_span = static_cast<double>(tests::Inspector(cache).table_bytes() - before) /
                        static_cast<double>(spans);
  cache.close_session(session);
  return cost;
}

}  // namespace quire::bench
