// A daemon on a thread of the bench, with a socket in a fresh directory.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "client/quire.h"
#include "server/daemon.h"

namespace quire::bench {

class BenchDaemon {
 public:
  explicit BenchDaemon(server::Options options, const server::DaemonSeams& seams = {});
  ~BenchDaemon();

  std::unique_ptr<client::Client> connect(uint32_t spin_us);
  const std::string& socket_path() const { return socket_path_; }
  // Runs on the core thread and waits for it.
  void on_core(const std::function<void(server::Daemon&)>& function);

 private:
  std::string directory_;
  std::string socket_path_;
  std::unique_ptr<server::Daemon> daemon_;
  std::thread thread_;
};

// The value, or the bench ends with the error's text.
template <typename T>
T or_exit(model::Result<T> result, const char* what) {
  if (result.ok()) {
    if constexpr (!std::is_void_v<T>) return std::move(result).value();
  } else {
    std::fprintf(stderr, "bench: %s: %s\n", what, result.error().text.c_str());
    std::exit(1);
  }
}

}  // namespace quire::bench
