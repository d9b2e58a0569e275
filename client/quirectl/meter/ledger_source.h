// Where a ledger's stream comes from (model/receipts/ledger_stream.h): the running daemon, a
// directory without its daemon, or a stream that was saved.
//
//   no place named   the daemon, through its socket
//   directory        `quired --export_ledger` beside this program, through a pipe
//   file, "-"        what `quirectl meter export --raw` wrote; standard input
//
// Memory: a frame, whatever the ledger's length. Threads: any one at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "model/fd_guard.h"
#include "model/receipts/ledger_stream.h"
#include "model/result.h"
#include "model/wire.h"

namespace quire::client {

struct LedgerPlace {
  std::string socket_path;  // of the daemon; empty: the library's default
  uint32_t timeout_ms = 5000;
  std::string directory;
  std::string file;
  std::string quired;  // with `directory`; empty: find_quired()

  bool is_daemon() const { return directory.empty() && file.empty(); }
};

class LedgerSource {
 public:
  // Of `request` a directory gives what is asked for from its begin, and a file what it holds.
  // kInvalidArgument: `follow` of something else than the daemon. kNotFound: there is no such
  // thing. Else as Client::connect and Client::read_ledger.
  static model::Result<std::unique_ptr<LedgerSource>> open(const LedgerPlace& place,
                                                           const model::MeterRequest& request);
  ~LedgerSource();

  // False: enough was read.
  using OnFrame = std::function<model::Result<bool>(const model::StreamReader::Frame&)>;
  // Hands each frame on but the end, and gives what that says is the ledger's head; (0, 0) where
  // `on_frame` had enough. Once. kCorrupt: this is no stream. kClosed: it was cut off before its
  // end. The error that the stream ends with.
  model::Result<model::LedgerHead> read(const OnFrame& on_frame);

 private:
  LedgerSource(model::FdGuard stream, pid_t quired, bool is_file)
      : stream_(std::move(stream)), quired_(quired), is_file_(is_file) {}
  model::Result<bool> read_some();
  model::Error cut_off();
  model::Result<void> check_nothing_follows();

  model::FdGuard stream_;
  pid_t quired_ = 0;  // 0: none
  bool is_file_ = false;
  model::StreamReader frames_;
};

// Frames of one kind; another is kInvalidArgument.
model::Result<model::LedgerHead> read_frames(
    const LedgerPlace& place, const model::MeterRequest& request, model::StreamKind kind,
    const std::function<model::Result<bool>(std::string_view)>& on_payload);

}  // namespace quire::client
