#include "cache/eviction/pinned_scopes.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace quire::cache {

using model::NodeId;

namespace {

// By the last use alone, so that the parts of several pins can be compared.
constexpr std::string_view kPinnedPolicy = "lru";

// The count-th of numbers below `end` that are spread evenly over them (a Weyl sequence).
uint64_t spread(uint64_t count, uint64_t end) {
  return ((count * 0x9e3779b97f4a7c15ull >> 32) * end) >> 32;
}

}  // namespace

PinIndex PinnedScopes::pin_of(Root& root) {
  if (root.pins_version != parts_.pins->version()) {
    root.pins_version = parts_.pins->version();
    root.pin = parts_.pins->find(parts_.names->domain_name(root.key.domain), root.key.tenant,
                                 root.key.namespace_name);
  }
  return root.pin;
}

// Most daemons never have a pin, and pay a comparison.
ScopeId PinnedScopes::home_of(NodeId node) {
  Root& root = parts_.names->root(parts_.facts->tree().node(node).root());
  const ScopeId whole = parts_.scopes->of(root);
  if (parts_.pins == nullptr || parts_.pins->version() == 0) return whole;
  const PinIndex pin = pin_of(root);
  if (pin == kNoPin) return whole;
  const ScopeId part = parts_.scopes->find_pinned(whole, pin);
  return part == ScopeTable::kNone ? open(whole, pin) : part;
}

ScopeId PinnedScopes::open(ScopeId whole, PinIndex pin) {
  if (parts_.scopes->pinned_count() >= ScopeTable::kMaxPinned) return whole;
  const NamedPolicy* found = find_policy(kPinnedPolicy);
  if (found == nullptr) return whole;
  auto policy = found->make(parts_.policy);
  if (!policy.ok()) return whole;  // no address space for its candidates
  return parts_.scopes->add_pinned(whole, pin, found->name, std::move(policy).value());
}

void PinnedScopes::charge(const Scope& scope, EntryId entry) {
  if (scope.pin != kNoPin) parts_.pins->charge(scope.pin, parts_.facts->bytes(entry));
}

void PinnedScopes::refund(const Scope& scope, EntryId entry) {
  if (scope.pin != kNoPin) parts_.pins->refund(scope.pin, parts_.facts->bytes(entry));
}

bool PinnedScopes::is_moving() const {
  return moving_ || (parts_.pins != nullptr && parts_.pins->version() != version_);
}

bool PinnedScopes::notes_change() {
  if (parts_.pins == nullptr || parts_.pins->version() == version_) return false;
  version_ = parts_.pins->version();
  moving_ = true;
  return true;
}

// Places of pins that ended may be others' from now on: no entry is known by them any more.
void PinnedScopes::note_moved() {
  if (!std::exchange(moving_, false)) return;
  parts_.scopes->drop_empty_pinned();
  parts_.pins->drop_ended();
}

// An ending pin has no budget: all that it holds is above it.
uint64_t PinnedScopes::entries_above_budget(const Scope& part) const {
  const NamespacePin& pin = parts_.pins->at(part.pin);
  if (part.entries == 0 || pin.held_bytes <= pin.budget_bytes) return 0;
  const auto above = static_cast<double>(pin.held_bytes - pin.budget_bytes);
  const double entries = part.entries * (above / static_cast<double>(pin.held_bytes));
  return std::max<uint64_t>(1, static_cast<uint64_t>(entries));
}

std::span<const PinnedScopes::Excess> PinnedScopes::above_budget(Owner owner) {
  excess_.clear();
  others_ = 0;
  if (parts_.scopes->pinned_count() == 0) return {};
  parts_.scopes->find_of(owner, [&](const Scope& scope) {
    others_ += scope.entries;
    for (const ScopeId part : scope.pinned) {
      const uint64_t entries = entries_above_budget(parts_.scopes->at(part));
      if (entries > 0) excess_.push_back({part, entries});
    }
    return false;
  });
  return excess_;
}

// Each has as many of the numbers below `all` as it has entries to give, the others the rest.
ScopeId PinnedScopes::turn(Owner owner, uint64_t given) {
  if (above_budget(owner).empty()) return ScopeTable::kNone;
  uint64_t all = others_;
  for (const Excess& excess : excess_) all += excess.entries;
  uint64_t draw = spread(given, all);
  for (const Excess& excess : excess_) {
    if (draw < excess.entries) return excess.part;
    draw -= excess.entries;
  }
  return ScopeTable::kNone;
}

}  // namespace quire::cache
