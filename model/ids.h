// Strong ids: an index of one thing is never an index of another. Default value = "none".
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace quire::model {

template <typename Tag, typename Rep = uint32_t>
struct Id {
  static constexpr Rep kNone = static_cast<Rep>(-1);
  Rep value = kNone;

  constexpr bool valid() const { return value != kNone; }
  friend constexpr auto operator<=>(const Id&, const Id&) = default;
};

using DomainId = Id<struct DomainTag, uint16_t>;  // dense, by first connection of a uid
using LayoutId = Id<struct LayoutTag, uint32_t>;  // dense, by first registration
using RootId =
    Id<struct RootTag, uint32_t>;  // one (domain, tenant, namespace, epoch, layout, salt)
using NodeId = Id<struct NodeTag, uint32_t>;  // a span, a checkpoint or a root in the prefix tree
using SlotId = Id<struct SlotTag, uint32_t>;  // place of one page; index into the page table
using SegmentId =
    Id<struct SegmentTag, uint32_t>;  // one memfd; never reused within a daemon's life
using SessionId = Id<struct SessionTag, uint64_t>;
using LeaseId = Id<struct LeaseTag, uint64_t>;    // carries a generation: a released one stays dead
using FillId = Id<struct FillTag, uint64_t>;      // likewise
using TenantId = Id<struct TenantTag, uint32_t>;  // whose hits and bytes it is; interned
using GroupIndex = uint8_t;                       // position in Layout::groups; at most 64

// Where copies of an object may lie, fastest first. An index, never part of a name.
enum class TierId : uint8_t { kRam = 0, kSsd = 1, kCluster = 2 };
inline constexpr size_t kTierCount = 3;
inline constexpr std::array<std::string_view, kTierCount> kTierNames{"ram", "ssd", "cluster"};
constexpr size_t index_of(TierId tier) { return static_cast<size_t>(tier); }
constexpr std::string_view tier_name(TierId tier) { return kTierNames[index_of(tier)]; }
inline constexpr std::array<TierId, kTierCount> kTiers{TierId::kRam, TierId::kSsd,
                                                       TierId::kCluster};

// In the place of a tier: on whichever, once, however many copies there are.
inline constexpr size_t kAnyTier = kTierCount;

// Arrays by tier in results: the last entry is nobody's yet.
inline constexpr size_t kTierPlaces = 4;

}  // namespace quire::model
