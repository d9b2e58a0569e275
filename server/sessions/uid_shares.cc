#include "server/sessions/uid_shares.h"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <string>

#include "cache/serve/lease_table.h"

namespace quire::server {

using model::Errc;
using model::make_error;

namespace {

constexpr uint32_t kReservedPart = 16;  // one in so many is kept for administrators

struct Name {
  const char* noun;
  const char* bound;
  const char* key;  // of the figure, and of what it may be at most
  const char* max_key;
};
constexpr std::array<Name, kSharedCount> kNames{
    {{"connections", "--max_connections", "connections", "connections_max"},
     {"sessions", "--max_sessions", "sessions", "sessions_max"},
     {"session memory", "--session_memory_bytes", "session_bytes", "session_bytes_max"},
     {"descriptors", "the limit of open files", "descriptors", "descriptors_max"},
     {"layouts", "the table of layouts", "layouts", "layouts_max"}}};
constexpr const char* kHeldHelp = "What the uid holds of it";
constexpr const char* kMostHelp = "What the uid may hold of it at most";

size_t index(Shared what) { return static_cast<size_t>(what); }

uint64_t for_others(uint64_t total) {
  return total - std::min(total, std::max<uint64_t>(1, total / kReservedPart));
}

// Without overflow: totals are byte counts too.
uint64_t part_of(uint64_t total, uint32_t percent) {
  return std::max<uint64_t>(1, total / 100 * percent + total % 100 * percent / 100);
}

}  // namespace

bool UidShares::Use::empty() const {
  return holders.leases == 0 &&
         std::all_of(amounts.begin(), amounts.end(), [](uint64_t amount) { return amount == 0; });
}

UidShares::UidShares(const Amounts& totals, uint32_t percent)
    : totals_(totals), percent_(percent), own_uid_(::geteuid()) {}

void UidShares::set_bounds(uint64_t connections, uint32_t percent) {
  totals_[index(Shared::kConnections)] = connections;
  percent_ = percent;
}

bool UidShares::is_administrator(uint32_t uid) { return uid == 0 || uid == ::geteuid(); }

// All that is there for anyone of this kind of user. Administrators may have the daemon's own
// descriptors, too: the kernel's limit is theirs.
uint64_t UidShares::open_to(uint32_t uid, Shared what) const {
  const uint64_t total = totals_[index(what)];
  if (!may_have_all(uid)) return for_others(total);
  return what == Shared::kDescriptors ? std::numeric_limits<uint64_t>::max() : total;
}

uint64_t UidShares::largest(uint32_t uid, Shared what) const {
  const uint64_t open = open_to(uid, what);
  return may_have_all(uid) ? open : std::min(part_of(totals_[index(what)], percent_), open);
}

model::Result<void> UidShares::check(uint32_t uid, Shared what, uint64_t amount) const {
  const Name& name = kNames[index(what)];
  const Use* use = find(uid);
  const uint64_t own = use == nullptr ? 0 : use->amounts[index(what)];
  const uint64_t most = largest(uid, what);
  // Compared so that no sum of byte counts can wrap.
  if (amount > most || own > most - amount) {
    return make_error(Errc::kBusy, "uid " + std::to_string(uid) + " has its share of " + name.noun +
                                       " (" + name.bound + ", --uid_share_percent); close some");
  }
  // The share may be free and the whole not: other uids have theirs.
  const uint64_t open = open_to(uid, what);
  const uint64_t all = used_[index(what)];
  if (amount > open || all > open - amount) {
    return make_error(Errc::kBusy, std::string("the daemon has all the ") + name.noun + " that " +
                                       name.bound + " allows; try again later");
  }
  return {};
}

UidShares::Use& UidShares::use_of(uint32_t uid) {
  const auto [found, added] = uses_.try_emplace(uid);
  if (added) {
    const bool administrator = may_have_all(uid);
    const uint64_t share =
        std::min(part_of(cache::kMaxLeases, percent_), for_others(cache::kMaxLeases));
    found->second.holders = {
        .max_leases = administrator ? cache::kMaxLeases : static_cast<uint32_t>(share),
        .kept_part = administrator ? 0 : kReservedPart};
  }
  return found->second;
}

void UidShares::take(uint32_t uid, Shared what, uint64_t amount) {
  use_of(uid).amounts[index(what)] += amount;
  used_[index(what)] += amount;
}

void UidShares::give_back(uint32_t uid, Shared what, uint64_t amount) {
  Use& use = use_of(uid);
  QUIRE_CHECK(use.amounts[index(what)] >= amount);
  use.amounts[index(what)] -= amount;
  used_[index(what)] -= amount;
  // Uids come and go without end; the map holds those that have something.
  if (use.empty()) uses_.erase(uid);
}

cache::HolderShare* UidShares::holders(uint32_t uid) { return &use_of(uid).holders; }

const UidShares::Use* UidShares::find(uint32_t uid) const {
  const auto found = uses_.find(uid);
  return found == uses_.end() ? nullptr : &found->second;
}

void UidShares::describe(model::MetricSink& sink, uint32_t uid) const {
  const auto row = sink.row({.name = "uid", .number = uid});
  const Use* use = find(uid);
  if (use == nullptr) return;
  for (size_t i = 0; i < kSharedCount; ++i) {
    sink.gauge(kNames[i].key, use->amounts[i], kHeldHelp);
    sink.gauge(kNames[i].max_key, largest(uid, static_cast<Shared>(i)), kMostHelp);
  }
  sink.gauge("leases", use->holders.leases, kHeldHelp);
  sink.gauge("leases_max", use->holders.max_leases, kMostHelp);
}

}  // namespace quire::server
