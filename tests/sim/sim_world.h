// What a simulated run is about: domains, tenants, layouts, roots, contexts, and the bytes that
// belong to each page. All of it follows from the seed.
//
// Every root uses the same chain hashes: a client names whatever hash it likes, and only the root
// keeps one tenant's objects from another's (law 13). A page carries its whole identity in its
// first bytes, and the rest follows from that: whoever reads a page can tell whose it is.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "model/hash256.h"
#include "model/layout.h"
#include "model/page_plan.h"
#include "model/ring_frames.h"

namespace quire::tests {

// The one source of chance of a run. Two runs of a seed draw the same numbers in the same order.
class SimRandom {
 public:
  explicit SimRandom(uint64_t seed) : engine_(seed) {}
  uint32_t below(uint32_t count) { return static_cast<uint32_t>(engine_() % count); }
  bool one_in(uint32_t count) { return count != 0 && below(count) == 0; }
  uint64_t number() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

inline constexpr uint32_t kSimMaxUnits = 16;  // of a context

using SimChain = std::vector<model::Hash256>;  // entry i: after i + 1 units
// Few distinct contexts that share prefixes: a path in a small tree of choices.
SimChain sim_chain(SimRandom& random, uint32_t units);

struct SimRoot {
  uint32_t domain = 0;
  std::string tenant;  // empty: a namespace that tenants share
  std::string namespace_name;
  uint32_t layout = 0;
};

struct SimWorld {
  // Pages `page_scale` times as large: three fill the memory of a run with some thirty objects a
  // segment, so that somebody is always short of it.
  explicit SimWorld(SimRandom& random, uint64_t page_scale = 1);
  const model::Layout& layout_of(uint32_t root) const { return layouts[roots[root].layout]; }

  std::vector<model::Layout> layouts;
  std::vector<std::string> domains;  // names; the uid is kFirstUid + index
  std::vector<SimRoot> roots;
};

// One span or checkpoint of one root.
struct SimKey {
  uint32_t root = 0;
  model::FillKind kind = model::FillKind::kSpan;
  model::Hash256 hash;
  friend bool operator==(const SimKey&, const SimKey&) = default;
};
struct HashOfSimKey {
  size_t operator()(const SimKey& key) const {
    return key.hash.word(0) ^ (uint64_t{key.root} << 1 | static_cast<uint64_t>(key.kind)) << 17;
  }
};
std::string text_of(const SimKey& key);

// First bytes of a page. `version` differs for each fill that ever wrote the object.
struct SimPageHead {
  model::Hash256 hash;
  uint32_t root = 0;
  uint16_t group = 0;
  uint8_t kind = 0;
  uint8_t tail = 0;  // a partly filled append page of a checkpoint
  uint32_t version = 0;
  uint32_t bytes = 0;
  friend bool operator==(const SimPageHead&, const SimPageHead&) = default;
};
static_assert(sizeof(SimPageHead) == 48);

void fill_sim_page(std::span<std::byte> page, const SimPageHead& head);
// Whether every byte is right for what the page says that it is.
bool is_whole_sim_page(std::span<const std::byte> page);
// The same of its two ends, for a page that was seen whole before.
bool has_sim_ends(std::span<const std::byte> page, const SimPageHead& head);
SimPageHead head_of(std::span<const std::byte> page);

}  // namespace quire::tests
