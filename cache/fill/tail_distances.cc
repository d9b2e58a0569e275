#include "cache/fill/tail_distances.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>

namespace quire::cache {

namespace {

constexpr uint32_t kFadeAt = 256;  // prompts counted; then each counts half
// What counts for the distance that was asked for before anything was known, so that one prompt
// out of the ordinary changes nothing.
constexpr uint32_t kPriorPrompts = 4;

constexpr size_t place_of(uint32_t distance) {
  return static_cast<size_t>(
      std::find(TailDistances::kDistances.begin(), TailDistances::kDistances.end(), distance) -
      TailDistances::kDistances.begin());
}
constexpr size_t kPriorPlace = place_of(model::kTailTokens);
static_assert(kPriorPlace < TailDistances::kDistances.size());

// Keys are hashes: any bits of them choose a window. The place of the key, else a free one, else
// the next victim.
template <typename Place, size_t kWindow>
Place& find_place(std::vector<Place>& places, uint64_t key, size_t& next_victim) {
  Place* const window = &places[key % (places.size() / kWindow) * kWindow];
  Place* const end = window + kWindow;
  Place* found = std::find_if(window, end, [&](const Place& one) { return one.key == key; });
  if (found == end) {
    found = std::find_if(window, end, [](const Place& one) { return one.key == 0; });
  }
  if (found == end) found = window + next_victim++ % kWindow;
  if (found->key != key) *found = Place{.key = key};
  return *found;
}

uint32_t part_of(const model::Hash256& hash) { return static_cast<uint32_t>(hash.word(1)); }

}  // namespace

uint64_t TailDistances::namespace_key(std::string_view domain, std::string_view tenant,
                                      std::string_view namespace_name) {
  std::string name(domain);
  name.append(1, '\0').append(tenant).append(1, '\0').append(namespace_name);
  const uint64_t key = std::hash<std::string>{}(name);
  return key == 0 ? 1 : key;
}

bool TailDistances::agrees(const Prompt& prompt, uint32_t units, uint32_t part) {
  return units > 0 && units <= prompt.chain.count() && part_of(prompt.chain.after(units)) == part;
}

void TailDistances::remember(const Prompt& prompt, Conversation& place) {
  const model::Layout& layout = *prompt.layout;
  const auto note = [&](uint32_t tokens, uint32_t& units, uint32_t& part) {
    units = std::min(tokens / layout.unit_tokens, prompt.chain.count());
    part = units == 0 ? 0 : part_of(prompt.chain.after(units));
  };
  note(model::last_resume_point(layout, prompt.tokens), place.turn_end_units, place.turn_end);
  for (size_t i = 0; i < kDistances.size(); ++i) {
    note(model::tail_point(layout, prompt.tokens, kDistances[i]), place.units[i], place.parts[i]);
  }
}

void TailDistances::asked(const Prompt& prompt) {
  Conversation& last =
      find_place<Conversation, kWindow>(conversations_, prompt.conversation, next_victim_);
  if (last.turn_end_units > 0 && !agrees(prompt, last.turn_end_units, last.turn_end)) {
    // One that left further behind than any of them went back to an earlier turn: no tail.
    for (size_t i = 0; i < kDistances.size(); ++i) {
      if (!agrees(prompt, last.units[i], last.parts[i])) continue;
      count(prompt.namespace_key, i);
      break;
    }
  }
  remember(prompt, last);
}

void TailDistances::count(uint64_t namespace_key, size_t distance) {
  Namespace& one = find_place<Namespace, kWindow>(namespaces_, namespace_key, next_victim_);
  ++one.left[distance];
  if (std::accumulate(one.left.begin(), one.left.end(), 0u) < kFadeAt) return;
  for (uint16_t& left : one.left) left /= 2;
}

uint32_t TailDistances::learnt(uint64_t namespace_key) const {
  const Namespace* const window =
      &namespaces_[namespace_key % (namespaces_.size() / kWindow) * kWindow];
  const Namespace* const known = std::find_if(
      window, window + kWindow, [&](const Namespace& one) { return one.key == namespace_key; });
  if (known == window + kWindow) return model::kTailTokens;
  std::array<uint64_t, kDistances.size()> cost{};
  for (size_t asked = 0; asked < kDistances.size(); ++asked) {
    for (size_t left = 0; left < kDistances.size(); ++left) {
      const uint64_t prompts = known->left[left] + (left == kPriorPlace ? kPriorPrompts : 0);
      const uint32_t lost = left <= asked ? kDistances[asked] - kDistances[left] : kMissedTokens;
      cost[asked] += prompts * lost;
    }
  }
  return kDistances[static_cast<size_t>(std::min_element(cost.begin(), cost.end()) - cost.begin())];
}

}  // namespace quire::cache
