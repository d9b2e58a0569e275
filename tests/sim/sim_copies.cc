#include "tests/sim/sim_copies.h"

namespace quire::tests {

bool SimCopies::submit(tiering::CopyTask* task) {
  if (waiting_.size() == queue_entries_) return false;
  waiting_.push_back(task);
  return true;
}

// Any of them, but the first of its client.
size_t SimCopies::next() {
  if (hurry_) return 0;
  const size_t any = random_->below(static_cast<uint32_t>(waiting_.size()));
  for (size_t i = 0; i < any; ++i) {
    if (waiting_[i]->client == waiting_[any]->client) return i;
  }
  return any;
}

size_t SimCopies::poll(std::span<tiering::CopyTask*> done) {
  size_t count = 0;
  while (count < done.size() && !waiting_.empty()) {
    if (!hurry_ && random_->one_in(4)) break;  // the others take longer
    const size_t place = next();
    tiering::CopyTask* task = waiting_[place];
    waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(place));
    tiering::run_copy_task(*task);
    done[count++] = task;
  }
  return count;
}

}  // namespace quire::tests
