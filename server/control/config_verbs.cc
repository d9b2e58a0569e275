#include "server/control/config_verbs.h"

#include <algorithm>
#include <utility>

#include "model/clean_text.h"
#include "server/control/audit.h"
#include "server/control/scope_file.h"
#include "server/runtime/log.h"

namespace quire::server {

using model::ConfigAction;
using model::ConfigRequest;
using model::Errc;
using model::HelperThread;
using model::make_error;
using model::Result;

namespace {

using Quotas = std::vector<cache::NamedQuota>;

constexpr std::string_view kQuotaKey = "quota_file";

}  // namespace

Result<Quotas> quotas_of(const Options& options) {
  if (options.quota_file.empty()) return Quotas();
  return read_quota_file(options.quota_file);
}

Result<ConfigVerbs::Owner> ConfigVerbs::create(Parts parts) {
  Owner verbs(new ConfigVerbs(std::move(parts)));
  QUIRE_TRY(verbs->helper_.start(
      {.name = "quire-config"},
      [own = verbs.get()](const std::stop_token& stop) { return own->step(stop); }));
  return verbs;
}

void ConfigVerbs::Ender::operator()(ConfigVerbs* verbs) const {
  if (verbs->helper_.stop_within(kEndWithin)) {
    delete verbs;
  } else {
    log(LogLevel::kError, "a file that config set names does not answer; the change is given up");
  }
}

Result<void> ConfigVerbs::config(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<ConfigRequest>(call.payload));
  switch (static_cast<ConfigAction>(request.action)) {
    case ConfigAction::kShow:
      parts_.desk->answer(call.connection, call.type, call.sequence,
                          [this](model::MetricSink& sink) { describe(sink); });
      return {};
    case ConfigAction::kSet:
      return set(call, request);
    default:
      return make_error(Errc::kInvalidArgument, "action must be 0 (show) or 1 (set)");
  }
}

Result<void> ConfigVerbs::set(const VerbCall& call, const ConfigRequest& request) {
  const std::string_view value = call.payload.substr(sizeof(ConfigRequest));
  if (value.size() != request.value_bytes) {
    return make_error(Errc::kMalformedFrame, "the value is not as long as the request says");
  }
  if (value.size() > model::kMaxConfigValueBytes) {
    return make_error(Errc::kInvalidArgument, "a value has at most 4096 bytes");
  }
  const std::string_view key = QUIRE_TRY(model::from_wire_name(request.key));
  QUIRE_TRY(model::check_clean_text(key, "key"));
  QUIRE_TRY(model::check_clean_text(value, "value"));
  if (askers_.size() >= kMaxWaiting) {
    return make_error(Errc::kBusy, "16 changes are under way; try again");
  }
  askers_.push_back(std::make_shared<Asker>(Asker{.connection = &call.connection,
                                                  .type = call.type,
                                                  .sequence = call.sequence,
                                                  .peer = call.connection.peer(),
                                                  .request = std::string(call.payload)}));
  call.changes_later();
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({askers_.back(), std::string(key), std::string(value)});
  }
  call.connection.suspend();
  helper_.wake();
  return {};
}

// One change. It is tried here because the file that a value names may lie on a disk that hangs.
std::chrono::milliseconds ConfigVerbs::step(const std::stop_token& stop) {
  Task task;
  {
    const std::lock_guard lock(mutex_);
    if (tasks_.empty()) return HelperThread::kUntilWoken;
    task = std::move(tasks_.front());
    tasks_.pop_front();
  }
  Result<ConfigChange> planned = config_.plan(task.key, task.value);
  std::optional<Quotas> quotas;
  if (planned.ok() && planned->key == kQuotaKey) {
    Result<Quotas> read = quotas_of(planned->options);
    if (read.ok()) {
      quotas = std::move(read).value();
    } else {
      planned = read.error();
    }
  }
  // The core may be gone by then.
  if (stop.stop_requested()) return HelperThread::kUntilWoken;
  parts_.call_core([this, asker = task.asker, planned = std::move(planned),
                    quotas = std::move(quotas)] { finish(*asker, planned, quotas); });
  return HelperThread::kAtOnce;
}

void ConfigVerbs::finish(const Asker& asker, const Result<ConfigChange>& planned,
                         std::optional<Quotas> quotas) {
  const Result<void> done =
      planned.ok() ? put(asker, *planned, std::move(quotas)) : Result<void>(planned.error());
  Connection* connection = asker.connection;
  const model::FrameType type = asker.type;
  const uint32_t sequence = asker.sequence;
  // The asker goes with its place in the list.
  std::erase_if(askers_, [&](const auto& one) { return one.get() == &asker; });
  if (connection == nullptr) return;
  connection->resume();
  if (!done.ok()) return connection->send_error(type, sequence, done.error());
  parts_.desk->answer(*connection, type, sequence,
                      [this](model::MetricSink& sink) { describe(sink); });
}

Result<void> ConfigVerbs::put(const Asker& asker, const ConfigChange& change,
                              std::optional<Quotas> quotas) {
  QUIRE_TRY(parts_.take_over(
      {.keys = {change.key}, .options = change.options, .quotas = std::move(quotas)}));
  config_.keep(change);
  const model::SocketVerb& verb = *model::find_verb(asker.type);
  audit_change(asker.peer, verb, model::find_action(verb.codec, asker.request), asker.request,
               {.from = change.from, .to = change.to});
  return {};
}

void ConfigVerbs::describe(model::MetricSink& sink) const {
  const auto list = sink.list({.key = "flags", .prefix = "flag"});
  for (const ConfigRow& row : config_.rows()) {
    const auto entry = sink.row({.name = "key", .text = row.key});
    sink.text("value", row.value);
    sink.text("origin", row.origin);
    sink.flag("live", find_live_option(row.key) != nullptr,
              "It may be set while the daemon serves");
  }
}

void ConfigVerbs::forget(const Connection& connection) {
  for (const auto& asker : askers_) {
    if (asker->connection == &connection) asker->connection = nullptr;
  }
}

}  // namespace quire::server
