#include "client/python/py_gate.h"

#include <pthread.h>

#include <atomic>

namespace quire::client {

namespace {
std::atomic<unsigned> forks{0};
thread_local unsigned observers = 0;  // one may be called in the other's destructor
}  // namespace

void watch_forks() {
  ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
}

unsigned forks_so_far() { return forks.load(std::memory_order_relaxed); }

ObserverScope::ObserverScope() { ++observers; }
ObserverScope::~ObserverScope() { --observers; }
bool in_observer() { return observers > 0; }

void CallGate::require_usable() const {
  if (forked()) raise_error(QUIRE_FORKED, "this process is a fork of the one that connected");
  if (in_observer()) {
    raise_error(QUIRE_BUSY,
                "a segment observer must not call Quire: note what it needs and return");
  }
}

}  // namespace quire::client
