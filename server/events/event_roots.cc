#include "server/events/event_roots.h"

#include <utility>

namespace quire::server {

uint32_t EventRoots::add(NamedRoot root) {
  const std::lock_guard lock(mutex_);
  if (roots_.size() >= kMostRoots) return 0;
  root.number = ++last_;
  roots_.emplace(last_, std::move(root));
  return last_;
}

void EventRoots::retire(uint32_t number, uint64_t position) {
  if (number == 0) return;
  const std::lock_guard lock(mutex_);
  retired_.push_back({number, position});
}

void EventRoots::forget_before(uint64_t oldest_position) {
  const std::lock_guard lock(mutex_);
  while (!retired_.empty() && retired_.front().position < oldest_position) {
    roots_.erase(retired_.front().number);
    retired_.pop_front();
  }
}

void EventRoots::clear() {
  const std::lock_guard lock(mutex_);
  roots_.clear();
  retired_.clear();
}

std::vector<NamedRoot> EventRoots::between(uint32_t after, uint32_t last) const {
  const std::lock_guard lock(mutex_);
  std::vector<NamedRoot> found;
  const auto end = roots_.upper_bound(last);
  for (auto at = roots_.upper_bound(after); at != end; ++at) found.push_back(at->second);
  return found;
}

size_t EventRoots::size() const {
  const std::lock_guard lock(mutex_);
  return roots_.size();
}

}  // namespace quire::server
