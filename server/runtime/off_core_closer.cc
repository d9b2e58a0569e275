#include "server/runtime/off_core_closer.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace quire::server {

namespace {

// All of [first, last] are ours, so none of these numbers is given to anybody before it is closed.
void close_run(int32_t first, int32_t last) {
  // Also closed when a signal ended its wait.
  if (first == last || ::syscall(SYS_close_range, first, last, 0) != 0) {
    for (int32_t fd = first; fd <= last; ++fd) ::close(fd);
  }
}

void close_runs(std::span<int32_t> descriptors) {
  std::sort(descriptors.begin(), descriptors.end());
  for (size_t at = 0; at < descriptors.size();) {
    size_t end = at + 1;
    while (end < descriptors.size() && descriptors[end] == descriptors[end - 1] + 1) ++end;
    close_run(descriptors[at], descriptors[end - 1]);
    at = end;
  }
}

}  // namespace

model::Result<OffCoreCloser> OffCoreCloser::create(size_t at_once) {
  return OffCoreCloser(QUIRE_TRY(Line::create("quire-close", close_all, at_once)));
}

void OffCoreCloser::unmap_runs(std::span<Span> spans) {
  std::sort(spans.begin(), spans.end(),
            [](const Span& a, const Span& b) { return a.address < b.address; });
  for (size_t at = 0; at < spans.size();) {
    Span run = spans[at];
    for (++at; at < spans.size() && spans[at].address == run.address + run.bytes; ++at) {
      run.bytes += spans[at].bytes;
    }
    ::munmap(reinterpret_cast<void*>(run.address), run.bytes);
  }
}

// On the thread. Descriptors first: the last thing that holds a file is then its mapping.
void OffCoreCloser::close_all(std::span<const Task> tasks, std::span<Charge> charges) {
  std::array<int32_t, kMostTasksAtOnce * std::tuple_size_v<decltype(Task::descriptors)>> fds;
  std::array<Span, kMostTasksAtOnce * std::tuple_size_v<decltype(Task::mappings)>> spans;
  size_t fd_count = 0;
  size_t span_count = 0;
  for (size_t i = 0; i < tasks.size(); ++i) {
    for (const int32_t fd : tasks[i].descriptors) {
      if (fd >= 0) fds[fd_count++] = fd;
    }
    for (const Span& span : tasks[i].mappings) {
      if (span.bytes > 0) spans[span_count++] = span;
    }
    charges[i] = tasks[i].charge;
  }
  close_runs(std::span(fds).first(fd_count));
  unmap_runs(std::span(spans).first(span_count));
}

void OffCoreCloser::close(model::FdGuard fd, const Charge& charge) {
  Remains remains;
  remains.descriptors[0] = std::move(fd);
  close(std::move(remains), charge);
}

void OffCoreCloser::close(Remains remains, const Charge& charge) {
  Task task{.charge = charge};
  for (size_t i = 0; i < task.descriptors.size(); ++i) {
    // A task crosses to the thread as plain numbers: it owns them from here on.
    task.descriptors[i] = remains.descriptors[i].release();
  }
  for (size_t i = 0; i < task.mappings.size(); ++i) {
    const size_t bytes = remains.mappings[i].bytes();
    task.mappings[i] = {reinterpret_cast<uint64_t>(remains.mappings[i].release()), bytes};
  }
  line_.give(task);
}

void OffCoreCloser::collect(const std::function<void(const Charge& charge)>& visit) {
  while (const auto charge = line_.take()) visit(*charge);
}

}  // namespace quire::server
