#include "client/quirectl/meter/ledger_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "client/quire.h"
#include "client/quirectl/daemon_answer.h"
#include "client/quirectl/quired_program.h"

namespace quire::client {

using model::Errc;
using model::FdGuard;
using model::LedgerHead;
using model::make_error;
using model::Result;
using model::StreamKind;
using model::StreamReader;

namespace {

constexpr std::array<const char*, 3> kParts{"blocks", "minutes", "hours"};  // by MeterRequest::what

struct Opened {
  FdGuard stream;
  pid_t quired = 0;
};

Result<Opened> open_daemon(const LedgerPlace& place, const model::MeterRequest& request) {
  const auto client =
      QUIRE_TRY(Client::connect(connection_options(place.socket_path, place.timeout_ms)));
  // The pipe outlives the connection.
  return Opened{QUIRE_TRY(client->read_ledger(request)), 0};
}

Result<Opened> open_directory(const LedgerPlace& place, const model::MeterRequest& request) {
  std::error_code failure;
  if (!std::filesystem::is_directory(place.directory, failure)) {
    return make_error(Errc::kNotFound, "there is no directory " + place.directory);
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return model::errno_error("pipe2");
  FdGuard reading(ends[0]);
  const FdGuard writing(ends[1]);  // closed here: its end is the child's
  const pid_t child =
      QUIRE_TRY(start_quired(place.quired.empty() ? find_quired() : place.quired,
                             {std::string("--export_ledger=") + kParts.at(request.what),
                              "--ledger_path=" + place.directory},
                             writing.get()));
  return Opened{std::move(reading), child};
}

Result<Opened> open_file(const LedgerPlace& place) {
  const int file = place.file == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                     : ::open(place.file.c_str(), O_RDONLY | O_CLOEXEC);
  if (file >= 0) return Opened{FdGuard(file), 0};
  if (errno == ENOENT) return make_error(Errc::kNotFound, "there is no file " + place.file);
  return model::errno_error("open " + place.file);
}

Result<Opened> open_place(const LedgerPlace& place, const model::MeterRequest& request) {
  if (place.is_daemon()) return open_daemon(place, request);
  if (request.follow != 0) {
    return make_error(Errc::kInvalidArgument, "only a running daemon's ledger can be followed");
  }
  return place.file.empty() ? open_directory(place, request) : open_file(place);
}

// kCorrupt: the end is shorter than it must be.
Result<LedgerHead> read_end(std::string_view payload) {
  model::StreamEnd end;
  if (payload.size() < sizeof(end)) {
    return make_error(Errc::kCorrupt, "this is no stream of a ledger: its end is cut off");
  }
  std::memcpy(&end, payload.data(), sizeof(end));
  const bool has_text = std::any_of(end.text.begin(), end.text.end(), [](char c) { return c; });
  if (end.code == 0 && has_text) {
    return make_error(Errc::kCorrupt, "this is no stream of a ledger: its end was changed");
  }
  if (end.code == 0) return end.head;
  end.text.back() = '\0';
  return make_error(static_cast<Errc>(end.code), end.text.data());
}

}  // namespace

Result<std::unique_ptr<LedgerSource>> LedgerSource::open(const LedgerPlace& place,
                                                         const model::MeterRequest& request) {
  Opened opened = QUIRE_TRY(open_place(place, request));
  return std::unique_ptr<LedgerSource>(
      new LedgerSource(std::move(opened.stream), opened.quired, !place.file.empty()));
}

LedgerSource::~LedgerSource() {
  stream_.reset();  // quired ends where nobody reads any more
  if (quired_ != 0) (void)wait_for_quired(quired_);
}

Result<bool> LedgerSource::read_some() {
  const auto room = frames_.room();
  ssize_t got = 0;
  do {
    got = ::read(stream_.get(), room.data(), room.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) return model::errno_error("reading the ledger");
  frames_.filled(static_cast<size_t>(got));
  return got > 0;
}

// Two streams in one file would be read as the first of them.
Result<void> LedgerSource::check_nothing_follows() {
  if (frames_.left() == 0 && !QUIRE_TRY(read_some())) return {};
  return make_error(
      Errc::kCorrupt,
      "something follows the end of the stream; streams that were saved one after the "
      "other are read one by one");
}

// quired has said on standard error what it could not do.
model::Error LedgerSource::cut_off() {
  if (quired_ != 0) {
    const auto code = wait_for_quired(std::exchange(quired_, 0));
    if (!code.ok()) return code.error();
    if (*code != 0) {
      return make_error(Errc::kIoError, "quired could not read the ledger (exit code " +
                                            std::to_string(*code) + "): see above");
    }
  }
  return make_error(Errc::kClosed,
                    "the stream is cut off: the daemon or the reader's side ended before its end");
}

Result<LedgerHead> LedgerSource::read(const OnFrame& on_frame) {
  for (;;) {
    const auto frame = QUIRE_TRY(frames_.next());
    if (!frame) {
      if (!QUIRE_TRY(read_some())) return cut_off();
      continue;
    }
    if (frame->kind == StreamKind::kEnd) {
      const LedgerHead head = QUIRE_TRY(read_end(frame->payload));
      if (is_file_) QUIRE_TRY(check_nothing_follows());
      return head;
    }
    if (!QUIRE_TRY(on_frame(*frame))) return LedgerHead();
  }
}

Result<LedgerHead> read_frames(const LedgerPlace& place, const model::MeterRequest& request,
                               StreamKind kind,
                               const std::function<Result<bool>(std::string_view)>& on_payload) {
  const auto source = QUIRE_TRY(LedgerSource::open(place, request));
  return source->read([&](const StreamReader::Frame& frame) -> Result<bool> {
    if (frame.kind == kind) return on_payload(frame.payload);
    return make_error(Errc::kInvalidArgument, kind == StreamKind::kBlock
                                                  ? "this stream holds sums, and no receipts"
                                                  : "this stream holds receipts, and no sums");
  });
}

}  // namespace quire::client
