#include "client/python/py_gate.h"

#include <pthread.h>

namespace quire::client {

namespace {
std::atomic<unsigned> forks{0};
}

void watch_forks() {
  ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
}

unsigned forks_so_far() { return forks.load(std::memory_order_relaxed); }

void CallGate::require_usable() const {
  if (forked()) raise_error(QUIRE_FORKED, "this process is a fork of the one that connected");
  if (holder_.load(std::memory_order_relaxed) == std::this_thread::get_id()) {
    raise_error(QUIRE_BUSY,
                "a segment observer must not call Quire: note what it needs and return");
  }
}

}  // namespace quire::client
