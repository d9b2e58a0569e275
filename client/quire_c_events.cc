// The C ABI's events, and locate without a session.
#include "client/c_support.h"

using quire::client::check_result;
using quire::client::ErrorSink;
using quire::client::Event;
using quire::client::EventsOptions;
using quire::client::EventStream;
using quire::client::guarded_call;
using quire::client::null_argument;
using quire::client::read_options;
using quire::client::text_or;
using quire::client::write_result;
using quire::model::Result;

struct quire_events {
  std::unique_ptr<EventStream> stream;
  std::span<const Event> waiting;  // of the last poll of the stream, and not given out yet
  QuireErrorText error;
};

namespace quire::client {

namespace {

static_assert(QUIRE_EVENT_READABLE == static_cast<int>(model::EventKind::kReadable));
static_assert(QUIRE_CLUSTER_UNAVAILABLE == static_cast<int>(model::ClusterAnswer::kUnavailable));
static_assert(QUIRE_SNAPSHOT_AT_ONCE == static_cast<int>(model::EventSnapshot::kAtOnce));

Result<EventsOptions> to_events_options(const quire_events_options* options) {
  const quire_events_options given = QUIRE_TRY(read_options(options));
  if (given.snapshot >= model::kEventSnapshots) {
    return model::make_error(model::Errc::kInvalidArgument, "snapshot is no quire_event_snapshot");
  }
  return EventsOptions{.snapshot = static_cast<model::EventSnapshot>(given.snapshot),
                       .everything = given.everything != 0,
                       .resume = given.resume != 0,
                       .epoch = given.epoch,
                       .after_sequence = given.after_sequence};
}

quire_event to_c(const Event& event) {
  const model::EventRecord& record = *event.record;
  quire_event out{};
  out.kind = record.kind;
  out.tiers = record.tiers;
  out.checkpoint = record.fill;
  out.sequence = record.sequence;
  out.last = record.last;
  out.groups = record.groups;
  out.tokens = record.tokens;
  out.parent_tokens = record.parent_tokens;
  out.root = record.root;
  out.uid = record.uid;
  out.time_us = record.time_us;
  out.count = record.count;
  std::memcpy(out.hash, record.hash.bytes.data(), sizeof out.hash);
  std::memcpy(out.parent, record.parent.bytes.data(), sizeof out.parent);
  if (event.root == nullptr) return out;
  out.domain = event.root->domain.data();
  out.tenant = event.root->tenant.data();
  out.namespace_name = event.root->namespace_name.data();
  out.weights_epoch = event.root->weights_epoch;
  return out;
}

ChainNames to_names(const quire_chain_names& given) {
  ChainNames names;
  names.layout = given.layout->layout;
  names.domain = text_or(given.domain, {});
  names.tenant = text_or(given.tenant, {});
  names.namespace_name = text_or(given.namespace_name, {});
  names.salt = text_or(given.salt, {});
  names.weights_epoch = given.weights_epoch;
  return names;
}

}  // namespace

}  // namespace quire::client

quire_status quire_subscribe_events(quire_client* client, const quire_events_options* options,
                                    quire_events** events) {
  return guarded_call(ErrorSink(client->error), [&]() -> Result<void> {
    if (events == nullptr) return null_argument();
    *events = nullptr;
    const EventsOptions given = QUIRE_TRY(quire::client::to_events_options(options));
    auto handle = std::make_unique<quire_events>();
    handle->stream = QUIRE_TRY(client->client->subscribe_events(given));
    *events = handle.release();
    return {};
  });
}

quire_status quire_poll_events(quire_events* events, int timeout_ms, quire_event* out,
                               size_t capacity, size_t* count) {
  return guarded_call(ErrorSink(events->error), [&]() -> Result<void> {
    if (out == nullptr || count == nullptr) return null_argument();
    *count = 0;
    if (events->waiting.empty()) events->waiting = QUIRE_TRY(events->stream->poll(timeout_ms));
    *count = std::min(capacity, events->waiting.size());
    std::transform(events->waiting.begin(),
                   events->waiting.begin() + static_cast<ptrdiff_t>(*count), out,
                   quire::client::to_c);
    events->waiting = events->waiting.subspan(*count);
    return {};
  });
}

int quire_events_fd(const quire_events* events) { return events->stream->fd(); }
const char* quire_events_error(const quire_events* events) { return events->error.text.data(); }
void quire_events_free(quire_events* events) { delete events; }

quire_status quire_locate_chain(quire_client* client, const quire_chain_names* names,
                                const uint32_t* tokens, size_t token_count, int* known,
                                quire_locate_result* result) {
  return guarded_call(ErrorSink(client->error), [&]() -> Result<void> {
    if (names == nullptr || known == nullptr || (tokens == nullptr && token_count > 0)) {
      return null_argument();
    }
    QUIRE_TRY(check_result(result));
    const quire_chain_names given = QUIRE_TRY(read_options(names));
    if (given.layout == nullptr) return null_argument();
    const auto held = QUIRE_TRY(client->client->locate(
        quire::client::to_names(given), {tokens, token_count}, given.cluster_wait_ms));
    quire_locate_result out{};
    out.span_tokens = held.span_tokens;
    out.exact_tokens = held.exact_tokens;
    std::copy(held.tier_tokens.begin(), held.tier_tokens.end(), out.tier_tokens);
    out.load_estimate_us = held.load_estimate_us;
    out.cluster_answer = static_cast<uint32_t>(held.cluster);
    *known = held.known ? 1 : 0;
    write_result(out, result);
    return {};
  });
}
