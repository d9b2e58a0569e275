#include "server/control/pin_verbs.h"

#include <array>

#include "model/clean_text.h"
#include "server/control/kept_state.h"
#include "server/control/quota_verbs.h"

namespace quire::server {

using cache::NamespacePin;
using cache::NamespacePins;
using cache::PinName;
using model::Errc;
using model::make_error;
using model::PinAction;
using model::Result;

namespace {

// Whom a request names, checked as the other verbs check names (there a tier is named, too).
Result<PinName> pin_name(const model::PinRequest& request) {
  cache::ScopeName scope =
      QUIRE_TRY(scope_name(static_cast<uint8_t>(model::TierId::kRam), request.domain,
                           request.of_tenant == 1, request.tenant));
  PinName name{
      .domain = std::move(scope.domain),
      .tenant = std::move(scope.tenant),
      .namespace_name = std::string(QUIRE_TRY(model::from_wire_name(request.namespace_name)))};
  QUIRE_TRY(model::check_clean_text(name.namespace_name, "namespace"));
  return name;
}

// Of what is pinned by exactly this name; "none" where nothing is.
std::string budget_text(const NamespacePins& pins, const PinName& name) {
  std::string text = "none";
  pins.for_each([&](const NamespacePin& pin) {
    if (pin.name == name) text = std::to_string(pin.budget_bytes);
  });
  return text;
}

}  // namespace

Result<void> PinVerbs::pin(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::PinRequest>(call.payload));
  if (static_cast<PinAction>(request.action) != PinAction::kShow) {
    QUIRE_TRY(change(call, request));
    keep_state(*parts_.cache, *parts_.clock, *parts_.keeper);
  }
  parts_.desk->answer(call.connection, call.type, call.sequence,
                      [this](model::MetricSink& sink) { describe(sink); });
  return {};
}

Result<void> PinVerbs::change(const VerbCall& call, const model::PinRequest& request) {
  switch (static_cast<PinAction>(request.action)) {
    case PinAction::kSet:
      return set(call, request);
    case PinAction::kClear: {
      const PinName name = QUIRE_TRY(pin_name(request));
      std::string before = budget_text(parts_.cache->pins(), name);
      QUIRE_TRY(parts_.cache->pins().clear(name));
      call.changed(std::move(before), "none");
      return {};
    }
    case PinAction::kClearAll:
      parts_.cache->pins().clear_all();
      return {};
    default:
      return make_error(Errc::kInvalidArgument,
                        "action must be 0 (show), 1 (set), 2 (clear) or 3 (clear all)");
  }
}

Result<void> PinVerbs::set(const VerbCall& call, const model::PinRequest& request) {
  NamespacePin pin{.name = QUIRE_TRY(pin_name(request)), .budget_bytes = request.budget_bytes};
  if (request.for_seconds > 0) pin.until_ns = pin_end(request.for_seconds, parts_.clock->now_ns());
  std::string before = budget_text(parts_.cache->pins(), pin.name);
  QUIRE_TRY(parts_.cache->pins().set(pin));
  call.changed(std::move(before), std::to_string(pin.budget_bytes));
  return {};
}

void PinVerbs::describe(model::MetricSink& sink) const {
  const NamespacePins& pins = parts_.cache->pins();
  const int64_t now_ns = parts_.clock->now_ns();
  describe_keeper(*parts_.keeper, sink);
  sink.flag("moving", parts_.cache->board().moves_pins(),
            "What is in RAM already is still to be told apart");
  sink.gauge("most_bytes", pins.most_bytes(), "Budgets together are at most this, half of RAM");
  sink.gauge("free_bytes", pins.free_bytes(), "What further budgets may come to");
  const auto list = sink.list({.key = "pins", .prefix = "pin"});
  pins.for_each([&](const NamespacePin& pin) {
    const PinName& name = pin.name;
    const std::array labels{
        model::MetricLabel{.name = "domain", .text = name.domain},
        model::MetricLabel{.name = "tenant",
                           .text = name.tenant ? std::string_view(*name.tenant) : "*"},
        model::MetricLabel{.name = "namespace", .text = name.namespace_name}};
    const auto row = sink.row(labels);
    sink.gauge("held_bytes", pin.held_bytes, "Bytes of it in RAM");
    sink.gauge("budget_bytes", pin.budget_bytes, "So much of it stays while others can give");
    if (pin.until_ns == NamespacePin::kForever) return;
    sink.gauge("left_seconds", seconds_left(pin.until_ns, now_ns), "Until its time is over");
  });
}

}  // namespace quire::server
