#include "tiering/io/copy_engine.h"

#include <algorithm>

#include "tiering/io/crc_copy.h"

namespace quire::tiering {

bool run_copy_piece(CopyTask& task, uint64_t max_bytes) {
  if (task.other_work != nullptr) {
    task.other_work(task);
    return true;
  }
  for (uint64_t left = max_bytes; task.page < task.pages.size() && left > 0;) {
    CopyPage& page = task.pages[task.page];
    const uint64_t at = task.page_offset;
    const uint64_t bytes = std::min(left, page.bytes - at);
    const uint32_t before = at == 0 ? 0 : page.crc32c;
    page.crc32c = page.target == nullptr
                      ? crc32c(page.source + at, bytes, before)
                      : crc_copy(page.target + at, page.source + at, bytes, before);
    left -= bytes;
    task.page_offset += bytes;
    if (task.page_offset < page.bytes) continue;
    task.page_offset = 0;
    ++task.page;
  }
  if (task.page < task.pages.size()) return false;
  task.page = 0;
  return true;
}

void run_copy_task(CopyTask& task) {
  while (!run_copy_piece(task, UINT64_MAX)) continue;
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
