#include "server/status/status_printer.h"

#include <poll.h>

#include "server/status/prometheus_text.h"
#include "server/status/status_json.h"

namespace quire::server {

using model::StatusFormat;

namespace {

std::string text_of(const MetricTape& tape, StatusFormat format) {
  return format == StatusFormat::kJson ? json_of(tape) : prometheus_of(tape);
}

}  // namespace

model::Result<StatusPrinter> StatusPrinter::create() {
  return StatusPrinter(QUIRE_TRY(Line::create("quired-status", Line::one_by_one<print>)));
}

// On the thread.
StatusPrinter::Loan StatusPrinter::print(const Loan& loan) {
  Document& document = *loan.document;
  for (size_t format = 0; format < model::kStatusFormats; ++format) {
    if (!document.wanted[format]) continue;
    document.texts[format] = text_of(document.tape, static_cast<StatusFormat>(format));
  }
  return loan;
}

void StatusPrinter::give(std::unique_ptr<Document> document) { line_.give({document.release()}); }

std::unique_ptr<Document> StatusPrinter::take() {
  const auto printed = line_.take();
  return std::unique_ptr<Document>(printed ? printed->document : nullptr);
}

// What is on its way is nobody else's to delete.
StatusPrinter::~StatusPrinter() {
  // The thread needs nothing of the core to finish, so this ends.
  while (line_.open_count() > 0) {
    if (take() != nullptr) continue;
    pollfd done{.fd = line_.done_fd(), .events = POLLIN, .revents = 0};
    ::poll(&done, 1, -1);
  }
}

}  // namespace quire::server
