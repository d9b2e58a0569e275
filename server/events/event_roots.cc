#include "server/events/event_roots.h"

#include <utility>

namespace quire::server {

uint32_t EventRoots::add(NamedRoot root) {
  const std::lock_guard lock(mutex_);
  size_t& of_user = by_uid_[root.uid];
  if (roots_.size() >= kMostRoots || of_user >= kMostOfOneUser) return 0;
  ++of_user;
  root.number = ++last_;
  roots_.emplace(last_, std::move(root));
  return last_;
}

void EventRoots::retire(uint32_t number, uint64_t position) {
  if (number == 0) return;
  const std::lock_guard lock(mutex_);
  retired_.push_back({number, position});
}

void EventRoots::forget_front() {
  const auto found = roots_.find(retired_.front().number);
  retired_.pop_front();
  if (found == roots_.end()) return;
  const auto of_user = by_uid_.find(found->second.uid);
  if (--of_user->second == 0) by_uid_.erase(of_user);
  roots_.erase(found);
}

void EventRoots::free_some() {
  for (size_t i = 0; i < kFreedAStep && !leaving_.empty(); ++i) {
    if (leaving_.back().empty()) {
      leaving_.pop_back();
    } else {
      leaving_.back().erase(leaving_.back().begin());
    }
  }
}

// A reader that has the lock is not waited for: the next step does it.
void EventRoots::forget_before(uint64_t oldest_position) {
  free_some();
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;
  for (size_t i = 0; i < kFreedAStep; ++i) {
    if (retired_.empty() || retired_.front().position >= oldest_position) return;
    forget_front();
  }
}

void EventRoots::clear() {
  const std::lock_guard lock(mutex_);
  if (!roots_.empty()) leaving_.push_back(std::exchange(roots_, {}));
  by_uid_.clear();
  retired_.clear();
}

std::vector<NamedRoot> EventRoots::between(uint32_t after, uint32_t last,
                                           std::optional<uint32_t> uid) const {
  std::vector<NamedRoot> found;
  while (after < last) {
    const std::lock_guard lock(mutex_);
    auto at = roots_.upper_bound(after);
    for (size_t looks = 0; looks < kLooksALock && at != roots_.end() && at->first <= last;
         ++looks, ++at) {
      after = at->first;
      if (!uid || *uid == at->second.uid) found.push_back(at->second);
    }
    if (at == roots_.end() || at->first > last) return found;
  }
  return found;
}

size_t EventRoots::size() const {
  const std::lock_guard lock(mutex_);
  return roots_.size();
}

}  // namespace quire::server
