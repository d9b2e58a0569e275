// Makes texts of what parts said, on a thread of its own: the core fills a tape and never formats.
//
//   core: give(document) --line--> thread: tape -> texts --line--> core: take()
//
// A document belongs to whoever has it: core, thread or line. Threads: core only. Bound: whoever
// gives counts them.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "model/result.h"
#include "model/wire.h"
#include "server/runtime/off_core_line.h"
#include "server/status/metric_tape.h"

namespace quire::server {

struct Document {
  MetricTape tape;
  std::array<bool, model::kStatusFormats> wanted{};        // by StatusFormat
  std::array<std::string, model::kStatusFormats> texts{};  // of those that are wanted
};

class StatusPrinter {
 public:
  // kIoError, kResourceExhausted.
  static model::Result<StatusPrinter> create();
  StatusPrinter(StatusPrinter&&) = default;  // before the first give()
  StatusPrinter& operator=(StatusPrinter&&) = delete;
  // Waits for what was given: milliseconds.
  ~StatusPrinter();

  void give(std::unique_ptr<Document> document);
  // The next one that is printed, in the order in which they were given; null while none is.
  std::unique_ptr<Document> take();
  size_t open_count() const { return line_.open_count(); }
  // Readable when there is something to take.
  int done_fd() const { return line_.done_fd(); }

 private:
  struct Loan {
    Document* document = nullptr;
  };
  using Line = OffCoreLine<Loan, Loan>;
  explicit StatusPrinter(Line line) : line_(std::move(line)) {}
  static Loan print(const Loan& loan);

  Line line_;
};

}  // namespace quire::server
