// Answers who asks how things are: fills a document in bounded steps of the core's turns, has it
// printed elsewhere, and replies when it comes back.
//
// Whoever asks is suspended until then. A status, of everything or of one user's own, is made anew
// at most each kIntervalNs, however many ask: those who asked before it was begun share it, and
// nobody is told of a time before its question. A reader on a thread of its own has its tape filled
// as often at most, and prints it itself (StatusFeed). Threads: core only. Bound: one question a
// connection, kMaxPrinted statuses with the printer.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "model/metrics.h"
#include "model/result.h"
#include "model/wire.h"
#include "server/sessions/connection.h"
#include "server/status/status.h"
#include "server/status/status_feed.h"
#include "server/status/status_printer.h"

namespace quire::server {

// An answer that looks at more than one turn of the core may: step() until it is true, then say().
class StatusPass {
 public:
  virtual ~StatusPass() = default;
  virtual bool step() = 0;
  virtual void say(model::MetricSink& sink) const = 0;
};

class StatusDesk {
 public:
  static constexpr int64_t kIntervalNs = 10'000'000;
  static constexpr size_t kMaxPrinted = 8;

  // kIoError, kResourceExhausted.
  static model::Result<std::unique_ptr<StatusDesk>> create(StatusSources sources);

  // Replies with the status of everything, or with what is the asker's own.
  void ask(Connection& connection, uint32_t sequence, model::StatusFormat format, bool everything);
  // Replies to a frame of this type with what one part says now.
  template <typename Say>
  void answer(Connection& connection, model::FrameType type, uint32_t sequence, Say&& say) {
    std::unique_ptr<Document> document = blank_document();
    say(document->tape);
    print(std::move(document), {{&connection, sequence, type, model::StatusFormat::kJson}});
    connection.suspend();
  }
  // The same of what takes several steps; one of those that wait goes on at a time.
  void answer_after(Connection& connection, model::FrameType type, uint32_t sequence,
                    std::unique_ptr<StatusPass> pass);
  // From now on its reader is served too. It outlives the desk.
  void serve(StatusFeed* feed) { feed_ = feed; }
  // One bounded step. True when it did something; the next one may have more to do.
  bool step(int64_t now_ns);
  // The next step has something to do already.
  bool is_filling() const {
    return whole_.has_value() || (!passes_.empty() && printing_.size() < kMaxPrinted);
  }
  // Somebody waits for the time of a status.
  bool waits() const { return !waiting_.empty() || feed_is_asked(); }
  // The feed's reader wants one that is not begun.
  bool feed_is_asked() const {
    return feed_ != nullptr && feed_->is_asked() && !(whole_ && whole_->document == nullptr);
  }
  // The connection ended.
  void forget(const Connection& connection);
  // Readable when something is printed.
  int done_fd() const { return printer_.done_fd(); }
  uint64_t made_count() const { return made_count_; }  // statuses begun so far
  size_t printing_count() const { return printing_.size(); }

 private:
  struct Reader {
    Connection* connection = nullptr;
    uint32_t sequence = 0;
    model::FrameType type{};
    model::StatusFormat format{};
  };
  using Readers = std::vector<Reader>;
  struct Waiting {
    Reader reader;
    model::DomainId scope;
  };
  // A status of everything that is being filled.
  struct Whole {
    std::unique_ptr<Document> document;  // null: the feed's tape is filled
    WholeStatus status;
    Readers readers;
  };
  struct Passing {
    std::unique_ptr<StatusPass> pass;
    Readers readers;  // one
  };
  static constexpr model::DomainId kEverything{cache::kMaxDomains};

  StatusDesk(StatusSources sources, StatusPrinter printer)
      : sources_(std::move(sources)), printer_(std::move(printer)) {}
  // Begins the status that somebody waits for, unless one of its scope is too young.
  bool begin_due(int64_t now_ns);
  // Likewise, for the feed's reader.
  bool begin_fed(int64_t now_ns);
  void finish_whole();
  // A step of the first pass that waits. False: none does, or the printer has as much as it may.
  bool step_pass();
  std::unique_ptr<Document> blank_document();
  Readers take_readers(model::DomainId scope);
  void print(std::unique_ptr<Document> document, Readers readers);
  bool deliver_printed();
  static void reply(const Reader& reader, const Document& document);

  StatusSources sources_;
  StatusPrinter printer_;
  std::vector<Waiting> waiting_;                    // in the order in which they asked
  StatusFeed* feed_ = nullptr;                      // null: nobody reads it
  std::optional<int64_t> fed_ns_;                   // when its last status was begun
  std::optional<Whole> whole_;                      // at most one at a time
  std::deque<Passing> passes_;                      // in the order in which they were asked for
  std::deque<Readers> printing_;                    // of each document with the printer, in order
  std::unordered_map<uint32_t, int64_t> begun_ns_;  // by scope: one a domain, and one
  std::unique_ptr<Document> spare_;  // the last one that came back: its memory serves the next
  uint64_t made_count_ = 0;
};

}  // namespace quire::server
