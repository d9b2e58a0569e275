#include "client/quirectl/routing/events_tail.h"

#include <charconv>
#include <memory>
#include <ostream>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/routing/event_text.h"

namespace quire::client {

namespace {

using model::Errc;
using model::EventKind;
using model::Result;

Result<void> set_resume(const std::string& after, EventsOptions& options) {
  if (after.empty()) return {};
  const size_t colon = after.find(':');
  const char* begin = after.data();
  const char* end = begin + after.size();
  const char* middle = colon == after.npos ? end : begin + colon;
  const auto epoch = std::from_chars(begin, middle, options.epoch);
  const auto number =
      std::from_chars(middle == end ? end : middle + 1, end, options.after_sequence);
  if (epoch.ec != std::errc() || epoch.ptr != middle || number.ec != std::errc() ||
      number.ptr != end) {
    return model::make_error(Errc::kInvalidArgument,
                             "--after takes EPOCH:SEQUENCE, for example 1726:42; the first line "
                             "says the epoch");
  }
  options.resume = true;
  return {};
}

Result<std::unique_ptr<EventStream>> subscribe(Client& client, const EventsTailOptions& tail) {
  EventsOptions options;
  if (tail.snapshot || tail.until_snapshot) options.snapshot = model::EventSnapshot::kAtOnce;
  QUIRE_TRY(set_resume(tail.after, options));
  options.everything = !tail.own;
  auto events = client.subscribe_events(options);
  if (events.ok() || events.code() != Errc::kPermissionDenied || tail.own) return events;
  options.everything = false;
  return client.subscribe_events(options);
}

bool is_counted(EventKind kind) {
  return kind == EventKind::kStored || kind == EventKind::kRemoved || kind == EventKind::kCleared ||
         kind == EventKind::kHeld;
}

}  // namespace

Result<int> run_events_tail(const ClientOptions& daemon, const EventsTailOptions& options,
                            std::ostream& out) {
  const std::unique_ptr<Client> client = QUIRE_TRY(Client::connect(daemon));
  const std::unique_ptr<EventStream> stream = QUIRE_TRY(subscribe(*client, options));
  bool gap = false;
  for (uint64_t counted = 0;;) {
    for (const Event& event : QUIRE_TRY(stream->poll(-1))) {
      out << (options.json ? event_json(event) : event_line(event, options.full));
      gap = gap || event.kind == EventKind::kGap;
      counted += is_counted(event.kind) ? 1 : 0;
      const bool enough = options.count > 0 && counted >= options.count;
      const bool whole = options.until_snapshot && event.kind == EventKind::kSnapshotEnd;
      if (!enough && !whole) continue;
      out.flush();
      return gap ? kExitDegraded : kExitOk;
    }
    out.flush();
    if (!out) return model::make_error(Errc::kIoError, "nobody reads what is told");
  }
}

}  // namespace quire::client
