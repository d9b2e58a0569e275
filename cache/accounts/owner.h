// Whose a part of a tier is: a tenant's that an operator named, or the rest of a domain, or the
// rest of the tier. The rest is what nobody more closely named has.
#pragma once

#include "model/ids.h"

namespace quire::cache {

struct Owner {
  model::DomainId domain;  // none: the rest of the tier
  model::TenantId tenant;  // none: the rest of the domain

  friend bool operator==(const Owner&, const Owner&) = default;
};

// As many as an operator may name on one tier, and its domains.
inline constexpr size_t kMaxOwners = 1024;

}  // namespace quire::cache
