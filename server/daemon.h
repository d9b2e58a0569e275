// Wires the whole daemon; the only place that names a concrete policy or engine.
// Threads: create and run on one thread; stop from any, also from a signal handler's thread.
#pragma once

#include <memory>

#include "model/result.h"
#include "server/core.h"
#include "server/options.h"

namespace quire::server {

class Daemon {
 public:
  // Errors of its parts; nothing is left behind then.
  static model::Result<std::unique_ptr<Daemon>> create(const Options& options);
  ~Daemon();

  void run();  // until stop()
  void stop();

  Core& core();
  cache::Cache& cache();
  const allocator::SegmentSupply& supply() const;

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace quire::server
