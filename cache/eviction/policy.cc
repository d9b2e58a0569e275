#include "cache/eviction/policy.h"

namespace quire::cache {

const NamedPolicy* find_policy(std::string_view name) {
  for (const NamedPolicy& policy : all_policies()) {
    if (policy.name == name) return &policy;
  }
  return nullptr;
}

std::string policy_names() {
  std::string names;
  for (const NamedPolicy& policy : all_policies()) {
    names += (names.empty() ? "" : ", ") + std::string(policy.name);
  }
  return names;
}

}  // namespace quire::cache
