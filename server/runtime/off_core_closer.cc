#include "server/runtime/off_core_closer.h"

#include <sys/mman.h>
#include <unistd.h>

namespace quire::server {

model::Result<OffCoreCloser> OffCoreCloser::create() {
  return OffCoreCloser(QUIRE_TRY(Line::create("quire-close", close_all)));
}

// On the thread. Descriptors first: the last thing that holds a file is then its mapping.
Charge OffCoreCloser::close_all(const Task& task) {
  for (const int32_t fd : task.descriptors) {
    if (fd >= 0) ::close(fd);  // closed also when a signal ended its wait
  }
  for (const Span& span : task.mappings) {
    if (span.bytes > 0) ::munmap(reinterpret_cast<void*>(span.address), span.bytes);
  }
  return task.charge;
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
