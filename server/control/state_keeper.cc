#include "server/control/state_keeper.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <span>
#include <utility>

#include "model/fd_guard.h"
#include "model/give_way.h"
#include "server/runtime/log.h"
#include "tiering/io/durable_file.h"

namespace quire::server {

using model::HelperThread;

model::Result<std::unique_ptr<StateKeeper>> StateKeeper::create(const std::string& path) {
  std::unique_ptr<StateKeeper> keeper(new StateKeeper(path));
  if (path.empty()) return keeper;
  QUIRE_TRY(
      keeper->thread_.start({.name = "quire-state", .niceness = model::kBesideTheCore},
                            [raw = keeper.get()](const std::stop_token&) { return raw->step(); }));
  return keeper;
}

void StateKeeper::keep(std::string text) {
  if (path_.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    next_.emplace(++asked_, std::move(text));
  }
  thread_.wake();
}

std::string StateKeeper::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

std::chrono::milliseconds StateKeeper::step() {
  std::optional<std::pair<uint64_t, std::string>> text;
  {
    const std::lock_guard lock(mutex_);
    text = std::exchange(next_, std::nullopt);
  }
  if (!text) return HelperThread::kUntilWoken;
  const auto written = write(text->second);
  if (!written.ok()) {
    log(LogLevel::kError, "a change is in force, but a restart will not know it: " +
                              written.error().text + "; mend it and repeat the command");
  }
  {
    const std::lock_guard lock(mutex_);
    error_ = written.ok() ? std::string() : written.error().text;
  }
  done_.store(text->first, std::memory_order_release);
  return HelperThread::kAtOnce;
}

model::Result<void> StateKeeper::write(const std::string& text) const {
  const std::filesystem::path file(path_);
  const std::string directory = file.has_parent_path() ? file.parent_path().string() : ".";
  const model::FdGuard opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0) return tiering::file_error("--state_file: " + directory);
  auto replaced =
      tiering::replace_file(opened.get(), file.filename().string(), std::as_bytes(std::span(text)));
  if (replaced.ok()) return replaced;
  return model::make_error(replaced.code(), "--state_file: " + replaced.error().text);
}

}  // namespace quire::server
