#include "tiering/copy_engine.h"

#include <algorithm>

#include "tiering/crc_copy.h"

namespace quire::tiering {

void run_copy_task(CopyTask& task) {
  if (task.other_work != nullptr) return task.other_work(task);
  for (CopyPage& page : task.pages) {
    page.crc32c = page.target == nullptr ? crc32c(page.source, page.bytes)
                                         : crc_copy(page.target, page.source, page.bytes);
  }
}

InlineCopyEngine::InlineCopyEngine(size_t queue_entries) : queue_entries_(queue_entries) {
  finished_.reserve(queue_entries);
}

bool InlineCopyEngine::submit(CopyTask* task) {
  if (finished_.size() == queue_entries_) return false;
  run_copy_task(*task);
  finished_.push_back(task);
  return true;
}

size_t InlineCopyEngine::poll(std::span<CopyTask*> done) {
  const size_t count = std::min(done.size(), finished_.size());
  const auto end = finished_.begin() + static_cast<std::ptrdiff_t>(count);
  std::copy(finished_.begin(), end, done.begin());
  finished_.erase(finished_.begin(), end);
  return count;
}

}  // namespace quire::tiering
