#include "cache/accounts/namespace_pins.h"

#include <algorithm>

#include "model/check.h"

namespace quire::cache {

using model::Errc;
using model::make_error;
using model::Result;

namespace {

std::string text_of(const PinName& name) {
  return "namespace \"" + name.namespace_name + "\" of " + name.domain +
         (name.tenant ? " tenant \"" + *name.tenant + "\"" : std::string());
}

}  // namespace

uint64_t NamespacePins::most_bytes() const {
  if (ram_bytes_ == 0) return std::numeric_limits<uint64_t>::max();
  return ram_bytes_ * kMostPercent / 100;
}

// Of all live pins but this one; null: of all.
uint64_t NamespacePins::budgets_but(const PinName* name) const {
  uint64_t sum = 0;
  for_each([&](const NamespacePin& pin) {
    if (name == nullptr || pin.name != *name) sum += pin.budget_bytes;
  });
  return sum;
}

uint64_t NamespacePins::free_bytes() const {
  return most_bytes() - std::min(most_bytes(), budgets_but(nullptr));
}

std::optional<NamespacePin>* NamespacePins::find_live(const PinName& name) {
  const auto found = std::find_if(pins_.begin(), pins_.end(), [&](const auto& pin) {
    return pin && !pin->ending && pin->name == name;
  });
  return found == pins_.end() ? nullptr : &*found;
}

Result<void> NamespacePins::set(const NamespacePin& pin) {
  if (pin.name.domain.empty()) {
    return make_error(Errc::kInvalidArgument, "a pin belongs to a user: name its domain, uid:N");
  }
  if (pin.budget_bytes == 0) {
    return make_error(Errc::kInvalidArgument, "a pin needs a budget above 0; unpin ends one");
  }
  const uint64_t most = most_bytes();
  const uint64_t left = most - std::min(most, budgets_but(&pin.name));
  if (pin.budget_bytes > left) {
    return make_error(Errc::kResourceExhausted,
                      "pins may keep " + std::to_string(most) +
                          " bytes together, half of RAM; for this one are left " +
                          std::to_string(left));
  }
  if (std::optional<NamespacePin>* known = find_live(pin.name); known != nullptr) {
    (*known)->budget_bytes = pin.budget_bytes;
    (*known)->until_ns = pin.until_ns;
    return {};
  }
  const auto place =
      std::find_if(pins_.begin(), pins_.end(), [](const auto& one) { return !one.has_value(); });
  if (place == pins_.end()) {
    return make_error(Errc::kResourceExhausted,
                      std::to_string(kMaxPins) + " namespaces are pinned, or end just now");
  }
  *place =
      NamespacePin{.name = pin.name, .budget_bytes = pin.budget_bytes, .until_ns = pin.until_ns};
  ++version_;
  return {};
}

// Its objects give as others do, from now on in proportion to all that it holds.
void NamespacePins::end(NamespacePin& pin) {
  pin.ending = true;
  pin.budget_bytes = 0;
  ++version_;
}

Result<void> NamespacePins::clear(const PinName& name) {
  std::optional<NamespacePin>* pin = find_live(name);
  if (pin == nullptr) return make_error(Errc::kNotFound, text_of(name) + " is not pinned");
  end(**pin);
  return {};
}

void NamespacePins::clear_all() {
  for (std::optional<NamespacePin>& pin : pins_) {
    if (pin && !pin->ending) end(*pin);
  }
}

void NamespacePins::expire(int64_t now_ns) {
  for (std::optional<NamespacePin>& pin : pins_) {
    if (pin && !pin->ending && pin->until_ns <= now_ns) end(*pin);
  }
}

bool NamespacePins::any_live() const {
  return std::any_of(pins_.begin(), pins_.end(),
                     [](const auto& pin) { return pin && !pin->ending; });
}

// One that names the tenant goes before one of all tenants.
PinIndex NamespacePins::find(std::string_view domain, std::string_view tenant,
                             std::string_view namespace_name) const {
  PinIndex found = kNoPin;
  for (size_t i = 0; i < pins_.size(); ++i) {
    const std::optional<NamespacePin>& pin = pins_[i];
    if (!pin || pin->ending || pin->name.namespace_name != namespace_name) continue;
    if (pin->name.domain != domain) continue;
    if (pin->name.tenant && *pin->name.tenant != tenant) continue;
    found = static_cast<PinIndex>(i);
    if (pin->name.tenant) break;
  }
  return found;
}

void NamespacePins::drop_ended() {
  for (std::optional<NamespacePin>& pin : pins_) {
    if (!pin || !pin->ending) continue;
    QUIRE_CHECK(pin->held_bytes == 0);
    pin.reset();
  }
}

void NamespacePins::check_held(const std::array<uint64_t, kMaxPins>& bytes) const {
  for (size_t i = 0; i < kMaxPins; ++i) {
    QUIRE_CHECK((pins_[i] ? pins_[i]->held_bytes : 0) == bytes[i]);
  }
}

}  // namespace quire::cache
