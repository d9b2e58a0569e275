// What an operator wants kept in RAM: namespaces, each up to a budget and until a time (`quirectl
// pin`). Soft: the board orders what is pinned apart and the evictor asks it last, but it goes all
// the same once nobody else has anything to give. Not a cache::Pin, which is a promise to a client.
//
//   set --> live --cleared, or its time is over--> ending (budget 0) --its objects are the others'
//   again--> gone
//
// 1. Budgets of live pins are at most half of RAM together; at most kMaxPins, ending ones included.
// 2. A root has the pin that names it most closely. It looks that up anew when version() moved.
// 3. Users and tenants are names here, so a pin may wait for them, and outlives their roots.
// Threads: core only. Allocates where pins change.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::cache {

struct PinName {
  std::string domain;                 // "uid:N"
  std::optional<std::string> tenant;  // whose hits it serves; none: all of the user's
  std::string namespace_name;

  friend auto operator<=>(const PinName&, const PinName&) = default;
};

using PinIndex = uint8_t;
inline constexpr PinIndex kNoPin = 255;
inline constexpr size_t kMaxPins = 64;

struct NamespacePin {
  static constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

  PinName name;
  uint64_t budget_bytes = 0;
  int64_t until_ns = kForever;  // monotonic
  uint64_t held_bytes = 0;      // of its objects in RAM; the board's to change
  bool ending = false;
};

class NamespacePins {
 public:
  // Of RAM at most so many parts of 100 are pinned: the rest serves everybody.
  static constexpr uint64_t kMostPercent = 50;

  // 0: not known, and budgets have no bound.
  void set_capacity(uint64_t ram_bytes) { ram_bytes_ = ram_bytes; }
  uint64_t most_bytes() const;
  // What further budgets may come to.
  uint64_t free_bytes() const;

  // A name that is pinned already gets the new budget and time. kInvalidArgument: no user named, no
  // budget. kResourceExhausted: above the bound, or too many.
  model::Result<void> set(const NamespacePin& pin);
  // kNotFound: it is not pinned.
  model::Result<void> clear(const PinName& name);
  void clear_all();
  // Those whose time is over end.
  void expire(int64_t now_ns);

  bool any_live() const;
  // visit(const NamespacePin&) for each that is live.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const std::optional<NamespacePin>& pin : pins_) {
      if (pin && !pin->ending) visit(*pin);
    }
  }

  // Moves on whenever a root may have another pin than before. 0: there never was one.
  uint32_t version() const { return version_; }
  // The live pin that names this most closely; kNoPin: none does.
  PinIndex find(std::string_view domain, std::string_view tenant,
                std::string_view namespace_name) const;
  // Precondition of the next three: live or ending.
  const NamespacePin& at(PinIndex pin) const { return *pins_[pin]; }
  void charge(PinIndex pin, uint64_t bytes) { pins_[pin]->held_bytes += bytes; }
  void refund(PinIndex pin, uint64_t bytes) { pins_[pin]->held_bytes -= bytes; }
  // Precondition: no object is an ending pin's any more.
  void drop_ended();
  // So much is held by each, as its place says.
  void check_held(const std::array<uint64_t, kMaxPins>& bytes) const;

 private:
  std::optional<NamespacePin>* find_live(const PinName& name);
  uint64_t budgets_but(const PinName* name) const;
  void end(NamespacePin& pin);

  std::array<std::optional<NamespacePin>, kMaxPins> pins_;  // none: the place is free
  uint64_t ram_bytes_ = 0;
  uint32_t version_ = 0;
};

}  // namespace quire::cache
