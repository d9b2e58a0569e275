#include "server/status/status_desk.h"

#include <algorithm>
#include <utility>

namespace quire::server {

using model::Errc;
using model::StatusFormat;

model::Result<std::unique_ptr<StatusDesk>> StatusDesk::create(StatusSources sources) {
  StatusPrinter printer = QUIRE_TRY(StatusPrinter::create());
  return std::unique_ptr<StatusDesk>(new StatusDesk(std::move(sources), std::move(printer)));
}

void StatusDesk::ask(Connection& connection, uint32_t sequence, StatusFormat format,
                     bool everything) {
  waiting_.push_back({.reader = {&connection, sequence, model::FrameType::kStatus, format},
                      .scope = everything ? kEverything : connection.domain});
  // Its further frames wait for the answer: one question a connection, so the list is bounded.
  connection.suspend();
}

bool StatusDesk::step(int64_t now_ns) {
  const bool delivered = deliver_printed();
  // What was begun is finished first, so that its steps are of turns close to each other.
  if (!whole_) return begin_fed(now_ns) || begin_due(now_ns) || step_pass() || delivered;
  if (whole_->status.step()) finish_whole();
  return true;
}

void StatusDesk::answer_after(Connection& connection, model::FrameType type, uint32_t sequence,
                              std::unique_ptr<StatusPass> pass) {
  passes_.push_back(
      {.pass = std::move(pass), .readers = {{&connection, sequence, type, StatusFormat::kJson}}});
  connection.suspend();
}

bool StatusDesk::step_pass() {
  if (passes_.empty() || printing_.size() >= kMaxPrinted) return false;
  Passing& first = passes_.front();
  if (!first.pass->step()) return true;
  std::unique_ptr<Document> document = blank_document();
  first.pass->say(document->tape);
  print(std::move(document), std::move(first.readers));
  passes_.pop_front();
  return true;
}

void StatusDesk::finish_whole() {
  if (whole_->document == nullptr) {
    feed_->filled();
  } else {
    print(std::move(whole_->document), std::move(whole_->readers));
  }
  whole_.reset();
}

// It goes before connections: as it is served once in a time, it keeps none of them waiting.
bool StatusDesk::begin_fed(int64_t now_ns) {
  if (!feed_is_asked() || (fed_ns_ && now_ns - *fed_ns_ < kIntervalNs)) return false;
  fed_ns_ = now_ns;
  ++made_count_;
  MetricTape* tape = &feed_->tape();
  tape->clear();
  whole_ = Whole{.document = nullptr, .status = WholeStatus(&sources_, tape), .readers = {}};
  return true;
}

bool StatusDesk::begin_due(int64_t now_ns) {
  // A printer that gets no processor makes readers wait; it must not make documents pile up.
  if (printing_.size() >= kMaxPrinted) return false;
  const auto due = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& one) {
    const auto begun = begun_ns_.find(one.scope.value);
    return begun == begun_ns_.end() || now_ns - begun->second >= kIntervalNs;
  });
  if (due == waiting_.end()) return false;
  // The time is that of the values, not of the answer: a slow printer makes nobody wait longer.
  const model::DomainId scope = due->scope;
  begun_ns_[scope.value] = now_ns;
  ++made_count_;
  std::unique_ptr<Document> document = blank_document();
  Readers readers = take_readers(scope);
  MetricTape* tape = &document->tape;
  if (scope == kEverything) {
    whole_ = Whole{std::move(document), WholeStatus(&sources_, tape), std::move(readers)};
    return true;
  }
  say_own_status(sources_, scope, readers.front().connection->peer().uid, *tape);
  print(std::move(document), std::move(readers));
  return true;
}

// Growing a tape from nothing costs the core more than filling one.
std::unique_ptr<Document> StatusDesk::blank_document() {
  if (spare_ == nullptr) return std::make_unique<Document>();
  spare_->tape.clear();
  spare_->wanted.fill(false);
  return std::move(spare_);
}

StatusDesk::Readers StatusDesk::take_readers(model::DomainId scope) {
  Readers readers;
  std::erase_if(waiting_, [&](const Waiting& one) {
    if (one.scope != scope) return false;
    readers.push_back(one.reader);
    return true;
  });
  return readers;
}

// What nobody waits for any more is not printed; who does not wait any more is not told.
void StatusDesk::print(std::unique_ptr<Document> document, Readers readers) {
  if (readers.empty()) return;
  for (const Reader& reader : readers) document->wanted[static_cast<size_t>(reader.format)] = true;
  printing_.push_back(std::move(readers));
  printer_.give(std::move(document));
}

bool StatusDesk::deliver_printed() {
  bool any = false;
  while (std::unique_ptr<Document> document = printer_.take()) {
    // The printer answers in the order in which it was given documents.
    const Readers readers = std::move(printing_.front());
    printing_.pop_front();
    for (const Reader& reader : readers) reply(reader, *document);
    spare_ = std::move(document);
    any = true;
  }
  return any;
}

// Sending may end the connection.
void StatusDesk::reply(const Reader& reader, const Document& document) {
  const std::string& text = document.texts[static_cast<size_t>(reader.format)];
  reader.connection->resume();
  if (text.size() + sizeof(model::ReplyStatus) > model::kMaxFrameBytes) {
    return reader.connection->send_error(
        reader.type, reader.sequence,
        model::make_error(Errc::kFrameTooLarge, "the answer does not fit a frame"));
  }
  std::string bytes(model::struct_bytes(model::ReplyStatus{}));
  bytes += text;
  reader.connection->send(reader.type, true, reader.sequence, bytes);
}

void StatusDesk::forget(const Connection& connection) {
  const auto is_its = [&](const Reader& reader) { return reader.connection == &connection; };
  std::erase_if(waiting_, [&](const Waiting& one) { return is_its(one.reader); });
  // Documents without readers are finished all the same: printing_ has one entry for each.
  if (whole_) std::erase_if(whole_->readers, is_its);
  std::erase_if(passes_, [&](const Passing& one) {
    return std::all_of(one.readers.begin(), one.readers.end(), is_its);
  });
  for (Readers& readers : printing_) std::erase_if(readers, is_its);
}

}  // namespace quire::server
