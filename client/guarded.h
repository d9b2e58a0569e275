// A value that can be reached only under its lock. In this folder threads share what an attachment
// has: its socket, its segment table, its memory, its staging areas' runs. Who takes two takes the
// socket first, and of the others none within another.
#pragma once

#include <mutex>
#include <optional>
#include <utility>

namespace quire::client {

template <typename T>
class Guarded {
 public:
  // Access for as long as it lives.
  class Locked {
   public:
    T* operator->() const { return value_; }
    T& operator*() const { return *value_; }

   private:
    friend class Guarded;
    Locked(std::unique_lock<std::mutex> lock, T* value) : lock_(std::move(lock)), value_(value) {}

    std::unique_lock<std::mutex> lock_;
    T* value_;
  };

  template <typename... Args>
  // Makes the value in its place; it never moves.
  explicit Guarded(Args&&... args) : value_(std::forward<Args>(args)...) {}
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  // Waits for another thread that holds it.
  Locked lock() { return Locked(std::unique_lock(mutex_), &value_); }
  // Nothing when another thread holds it.
  std::optional<Locked> try_lock() {
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return std::nullopt;
    return Locked(std::move(lock), &value_);
  }

 private:
  std::mutex mutex_;
  T value_;
};

}  // namespace quire::client
