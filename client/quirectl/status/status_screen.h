// A daemon on one screen, for people: what is wrong first, with what to do; then tiers, tenants and
// the hit rate. Text out of facts; asks nobody.
#pragma once

#include <optional>
#include <string>

#include "client/quirectl/palette.h"
#include "client/quirectl/status/status_facts.h"

namespace quire::client {

struct StatusFacts {
  DaemonFacts daemon;
  std::optional<WindowFacts> window;             // none: no ghosts, or not for this caller
  std::optional<Census<TenantFacts>> tenants;    // none: not for this caller
  std::optional<Census<SessionFacts>> sessions;  // of `top` alone
};

struct ScreenSize {
  size_t rows = 24;
  size_t columns = 80;
};

// At most kMostTenants tenants, those that hold most.
inline constexpr size_t kMostTenants = 10;
std::string status_screen(const StatusFacts& facts, const Palette& palette);

// Two looks at a daemon, so many seconds apart: what went on in between, a second.
struct Between {
  DaemonFacts before;
  double seconds = 0;  // 0: there was no look before
};
// As much as the screen has rows for: rates, tiers, then sessions, then tenants.
std::string top_screen(const StatusFacts& facts, const Between& between, const ScreenSize& size,
                       const Palette& palette);

// `quirectl sessions` and `quirectl tenants`: one table each.
std::string sessions_table(const Census<SessionFacts>& sessions);
std::string tenants_table(const Census<TenantFacts>& tenants);

}  // namespace quire::client
