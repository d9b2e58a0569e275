#include "client/quirectl/trace/record_command.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <ostream>
#include <vector>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/trace/trace_lines.h"

namespace quire::client {

namespace {

using model::Errc;
using model::make_error;
using model::Result;

volatile std::sig_atomic_t interrupted = 0;

// While it lives, SIGINT and SIGTERM end a wait() and nothing else. One at a time.
class EndSignals {
 public:
  EndSignals() {
    interrupted = 0;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &ends, &mask_before_);
    open_mask_ = mask_before_;
    struct sigaction note {};
    note.sa_handler = [](int) { interrupted = interrupted + 1; };
    for (size_t i = 0; i < kEnds.size(); ++i) {
      sigdelset(&open_mask_, kEnds[i]);
      ::sigaction(kEnds[i], &note, &before_[i]);
    }
  }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;
  ~EndSignals() {
    for (size_t i = 0; i < kEnds.size(); ++i) ::sigaction(kEnds[i], &before_[i], nullptr);
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  }
  // Until there is something to read, or the end. They come nowhere but here, so that none comes
  // between a look at `interrupted` and the wait.
  void wait(int fd) const {
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    ::ppoll(&entry, 1, nullptr, &open_mask_);
  }

 private:
  static constexpr std::array kEnds{SIGINT, SIGTERM};
  sigset_t mask_before_{};
  sigset_t open_mask_{};
  std::array<struct sigaction, kEnds.size()> before_{};
};

// The whole stream. `client` goes at a signal, which ends the recording; what came until then, the
// pipe still has.
Result<void> read_stream(const model::FdGuard& pipe, const EndSignals& signals,
                         std::unique_ptr<Client>& client, TraceLines& lines, std::ostream& to) {
  std::vector<char> buffer(1 << 16);
  for (;;) {
    signals.wait(pipe.get());
    if (interrupted > 0) client.reset();
    if (interrupted > 1) return {};  // its user does not want to wait for the end
    pollfd entry{.fd = pipe.get(), .events = POLLIN, .revents = 0};
    if (::poll(&entry, 1, 0) == 0) continue;
    const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return model::errno_error("read the daemon's pipe");
    if (got == 0) return {};
    QUIRE_TRY(lines.take({buffer.data(), static_cast<size_t>(got)}));
    to.flush();  // whoever looks at the file sees what there is
    if (!to) return make_error(Errc::kIoError, "the trace cannot be written; is the disk full?");
  }
}

void tell(const TraceTotals& totals, std::ostream& err) {
  err << "requests " << totals.requests << ", prompt tokens " << totals.prompt_tokens
      << ", hit tokens " << totals.hit_tokens;
  if (totals.cut_requests > 0) {
    err << ", requests of which only the first " << model::kMaxTraceKeys << " blocks are named "
        << totals.cut_requests;
  }
  if (totals.lost_records > 0) {
    err << ", records lost " << totals.lost_records << " (lost_before says where)";
  }
  if (!totals.complete) err << "; not complete: its end was not heard of";
  err << '\n';
}

}  // namespace

Result<int> run_trace_record(const ClientOptions& daemon, const TraceRecordOptions& options,
                             std::ostream& out, std::ostream& err) {
  // From before the recording begins: it is ended by them, whenever they come.
  const EndSignals signals;
  std::unique_ptr<Client> client = QUIRE_TRY(Client::connect(daemon));
  constexpr uint64_t kMostSeconds = std::numeric_limits<int64_t>::max() / 1000;
  const model::FdGuard pipe = QUIRE_TRY(client->record_trace(
      {.scope = options.scope,
       .for_ms = std::min<uint64_t>(options.for_seconds, kMostSeconds) * 1000}));
  // Once it is allowed: a file that was there is not emptied for nothing.
  std::ofstream file;
  if (!options.out.empty()) {
    file.open(options.out);
    if (!file) return make_error(Errc::kIoError, options.out + ": " + std::strerror(errno));
  }
  std::ostream& to = options.out.empty() ? out : file;
  TraceLines lines([&to](const TraceLine& line) { to << to_text(line); });
  QUIRE_TRY(read_stream(pipe, signals, client, lines, to));
  lines.finish();
  to.flush();
  if (!to) return make_error(Errc::kIoError, "the trace could not be written whole");
  tell(lines.totals(), err);
  const bool whole = lines.totals().complete && lines.totals().lost_records == 0;
  return whole ? kExitOk : kExitDegraded;
}

}  // namespace quire::client
