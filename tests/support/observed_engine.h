// An IoEngine that tells of each operation as it is submitted, and as it comes back, before the
// submitter learns of it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "tiering/io/io_engine.h"

namespace quire::tests {

class ObservedEngine final : public tiering::IoEngine {
 public:
  struct Observer {
    std::function<void(const tiering::IoOp&)> on_submit;
    std::function<void(const tiering::IoOp&)> on_done;
    std::function<void(int fd, tiering::FileIndex)> on_file;
  };
  ObservedEngine(std::unique_ptr<tiering::IoEngine> inner, Observer observer)
      : observer_(std::move(observer)), inner_(std::move(inner)) {}

  std::string_view name() const override { return inner_->name(); }
  model::Result<tiering::FileIndex> add_file(int fd) override {
    auto added = inner_->add_file(fd);
    if (added.ok() && observer_.on_file) observer_.on_file(fd, *added);
    return added;
  }
  void remove_file(tiering::FileIndex file) override { inner_->remove_file(file); }
  model::Result<void> add_buffer(std::span<std::byte> memory) override {
    return inner_->add_buffer(memory);
  }
  void remove_buffer(const std::byte* start) override { inner_->remove_buffer(start); }
  uint64_t registered_bytes() const override { return inner_->registered_bytes(); }
  bool submit(tiering::IoOp* op) override {
    if (!inner_->submit(op)) return false;
    if (observer_.on_submit) observer_.on_submit(*op);
    return true;
  }
  void flush() override { inner_->flush(); }
  size_t poll(std::span<tiering::IoOp*> done) override {
    const size_t count = inner_->poll(done);
    for (size_t i = 0; i < count && observer_.on_done; ++i) observer_.on_done(*done[i]);
    return count;
  }
  size_t in_flight() const override { return inner_->in_flight(); }
  uint32_t queue_depth() const override { return inner_->queue_depth(); }
  uint64_t stale_completions() const override { return inner_->stale_completions(); }
  int wake_fd() const override { return inner_->wake_fd(); }

 private:
  const Observer observer_;
  const std::unique_ptr<tiering::IoEngine> inner_;
};

}  // namespace quire::tests
