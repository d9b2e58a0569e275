#include "server/runtime/policy_disposer.h"

#include <utility>

#include "model/give_way.h"

namespace quire::server {

model::Result<std::unique_ptr<PolicyDisposer>> PolicyDisposer::create() {
  std::unique_ptr<PolicyDisposer> disposer(new PolicyDisposer());
  const auto step = [raw = disposer.get()](const std::stop_token&) {
    Policies freed_last;  // after the lock, which the core may want
    const std::lock_guard lock(raw->mutex_);
    freed_last.swap(raw->waiting_);
    return model::HelperThread::kUntilWoken;
  };
  QUIRE_TRY(
      disposer->helper_.start({.name = "quire-disposer", .niceness = model::kBesideTheCore}, step));
  return disposer;
}

void PolicyDisposer::give(Policies policies) {
  if (policies.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    for (auto& policy : policies) waiting_.push_back(std::move(policy));
  }
  helper_.wake();
}

}  // namespace quire::server
