#include "tests/sim/sim_world.h"

#include <algorithm>
#include <cstring>

namespace quire::tests {

using model::GroupKind;

namespace {

constexpr size_t kLargestPage = 128 << 10;
constexpr size_t kShifts = 4096;  // bodies start at one of so many places in the noise
constexpr size_t kEnd = 64;       // bytes looked at of each end

// SplitMix64 (Steele, Lea, Flood 2014).
uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15ull;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

// Random lower bytes under upper bytes that change seldom, as bf16 has them: codecs find work in
// it.
std::vector<std::byte> make_noise() {
  std::vector<std::byte> noise(kLargestPage + kShifts);
  for (size_t i = 0; i < noise.size(); ++i) {
    noise[i] = static_cast<std::byte>(i % 2 == 1 ? mix(i / 512) : mix(i));
  }
  return noise;
}

const std::byte* body_of(const SimPageHead& head) {
  static const std::vector<std::byte> noise = make_noise();
  const uint64_t seed = mix(head.hash.word(0) ^ mix(uint64_t{head.version} << 32 | head.group));
  return noise.data() + (seed % kShifts & ~size_t{1});
}

model::Group group(const std::string& name, GroupKind kind, uint64_t page_bytes) {
  model::Group made;
  made.name = name;
  made.kind = kind;
  made.page_bytes = page_bytes;
  if (kind == GroupKind::kWindow) made.window_tokens = 4;
  made.layers = {{.layer = 0, .offset = 0, .bytes = page_bytes}};
  return made;
}

model::Layout layout(const std::string& name, uint32_t unit, uint32_t block,
                     std::vector<model::Group> groups) {
  model::Layout made;
  made.name = name;
  made.unit_tokens = unit;
  made.block_tokens = block;
  made.groups = std::move(groups);
  return made;
}

// Some hundred objects fill the memory of a run. Sizes are no multiples of a slot on purpose.
std::vector<model::Layout> sim_layouts(uint64_t scale) {
  model::Layout hybrid = layout("sim-hybrid", 4, 8,
                                {group("global", GroupKind::kAppend, 30'002 * scale),
                                 group("swa", GroupKind::kWindow, 9'000 * scale),
                                 group("state", GroupKind::kState, 1'234 * scale)});
  hybrid.groups[0].element_format = model::ElementFormat::kBf16;
  model::Layout sharded = layout("sim-sharded", 4, 4,
                                 {group("kv.0", GroupKind::kAppend, 12'288 * scale),
                                  group("kv.1", GroupKind::kAppend, 12'288 * scale)});
  for (uint32_t shard = 0; shard < 2; ++shard) {
    sharded.groups[shard].shard = shard;
    sharded.groups[shard].shard_count = 2;
  }
  return {layout("sim-append", 4, 4, {group("kv", GroupKind::kAppend, 24'576 * scale)}), hybrid,
          sharded};
}

}  // namespace

SimChain sim_chain(SimRandom& random, uint32_t units) {
  SimChain chain;
  uint64_t path = 0x5155495245ull;
  for (uint32_t u = 0; u < units; ++u) {
    // Mostly the trunk: so contexts meet again, and part again.
    const uint32_t choice = random.one_in(6) ? 1 + random.below(2) : 0;
    path = mix(path ^ mix(u * 4 + choice));
    model::Hash256 hash;
    for (size_t w = 0; w < 4; ++w) {
      const uint64_t word = mix(path + w);
      std::memcpy(hash.bytes.data() + 8 * w, &word, 8);
    }
    chain.push_back(hash);
  }
  return chain;
}

SimWorld::SimWorld(SimRandom& random, uint64_t page_scale) : layouts(sim_layouts(page_scale)) {
  const uint32_t domain_count = 2 + random.below(2);
  for (uint32_t d = 0; d < domain_count; ++d) {
    domains.push_back("uid:" + std::to_string(1001 + d));
    const uint32_t layout = random.below(static_cast<uint32_t>(layouts.size()));
    roots.push_back({d, "a", "model", layout});
    roots.push_back({d, "b", "model", layout});
    roots.push_back({d, "", "shared", random.below(static_cast<uint32_t>(layouts.size()))});
  }
}

std::string text_of(const SimKey& key) {
  return std::string(key.kind == model::FillKind::kSpan ? "span" : "checkpoint") + " " +
         std::to_string(key.hash.word(0)) + " of root " + std::to_string(key.root);
}

void fill_sim_page(std::span<std::byte> page, const SimPageHead& head) {
  const std::byte* body = body_of(head);
  std::memcpy(page.data(), &head, sizeof(head));
  std::memcpy(page.data() + sizeof(head), body, page.size() - sizeof(head));
}

SimPageHead head_of(std::span<const std::byte> page) {
  SimPageHead head;
  std::memcpy(&head, page.data(), sizeof(head));
  return head;
}

bool is_whole_sim_page(std::span<const std::byte> page) {
  const SimPageHead head = head_of(page);
  return head.bytes == page.size() &&
         std::memcmp(page.data() + sizeof(head), body_of(head), page.size() - sizeof(head)) == 0;
}

bool has_sim_ends(std::span<const std::byte> page, const SimPageHead& head) {
  const size_t body_bytes = page.size() - sizeof(head);
  const size_t last = std::min(kEnd, body_bytes);
  return head_of(page) == head && std::memcmp(page.data() + page.size() - last,
                                              body_of(head) + body_bytes - last, last) == 0;
}

}  // namespace quire::tests
