// What operators, routers and billing programs ask of a daemon through Client (client/quire.h), and
// what they are told; plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/chain_hash.h"
#include "model/event_wire.h"
#include "model/ids.h"
#include "model/layout.h"
#include "model/wire.h"

namespace quire::client {

// A part of a tier that an operator speaks of.
struct ScopeOptions {
  std::string domain;                 // "uid:1000"; empty: all
  std::optional<std::string> tenant;  // of that domain; none: whoever has no rule of its own
};
struct QuotaBytes {
  uint64_t guaranteed = 0;
  uint64_t burst = UINT64_MAX;  // UINT64_MAX: no bound
  uint64_t weight = 1;  // 1..1,000: its part where several tenants read from the tier at once
};

// What leaves a tier at once, or would.
struct EvictOptions {
  model::TierId tier = model::TierId::kRam;
  ScopeOptions scope;                         // a tenant: whose hits it serves
  std::optional<std::string> namespace_name;  // none: all
  uint64_t unused_us = 0;                     // not used for so long
};

// What stays in RAM while anything else can go.
struct PinOptions {
  ScopeOptions scope;  // its domain; a tenant: whose hits it serves; none: all of that domain's
  std::string namespace_name;
  uint64_t budget_bytes = 0;
  uint64_t for_seconds = 0;  // 0: until it is cleared
};

// What is recorded of what clients ask for (Client::record_trace).
struct TraceOptions {
  ScopeOptions scope;   // none: all users and tenants
  uint64_t for_ms = 0;  // 0: until the client is destroyed, or nobody reads any more
};

// Whose hit is to be explained (Client::why_json): of the turns that fit, the newest.
struct WhyOptions {
  model::WhyAction action = model::WhyAction::kLast;
  uint64_t number = 0;  // of kRequest the request id, of kSession the session
  uint32_t turn = 0;    // of kSession; 0: its last one
  ScopeOptions scope;   // a tenant: whose hits; here it needs no domain
};

// What is heard of what is stored and removed (Client::subscribe_events).
struct EventsOptions {
  model::EventSnapshot snapshot = model::EventSnapshot::kNever;
  bool everything = false;  // of all domains: readers; else of the client's own
  // Goes on behind an earlier subscription's last event; a gap says what is lost.
  bool resume = false;
  uint64_t epoch = 0;           // EventStream::epoch() then
  uint64_t after_sequence = 0;  // EventStream::last_sequence()
};

// The names that a prefix tree has, for who asks about it without a session.
struct ChainNames {
  model::Layout layout;
  std::string domain;  // "uid:1000"; empty: the client's own. Another one: readers
  std::string tenant;
  std::string namespace_name;
  uint64_t weights_epoch = 0;
  std::string salt;
};

// Of the tree that these names have, in this domain and for this tenant.
inline model::Hash256 root_of(const ChainNames& names, std::string_view domain,
                              std::string_view tenant) {
  return model::root_hash({.domain = domain,
                           .tenant = tenant,
                           .namespace_name = names.namespace_name,
                           .weights_epoch = names.weights_epoch,
                           .layout_digest = model::layout_digest(names.layout),
                           .salt = names.salt});
}

// A prompt to be explained as if it were asked for now (Client::why_prompt_json).
struct WhyPrompt {
  ChainNames names;  // without a tenant: in a shared namespace
  std::vector<uint32_t> tokens;
};

// How much of a chain a host holds.
struct HeldChain {
  bool known = false;         // false: nothing was stored, or asked for, under these names
  uint32_t span_tokens = 0;   // from token 0 on, on whichever tier
  uint32_t exact_tokens = 0;  // of these can be resumed
  std::array<uint32_t, model::kTierPlaces> tier_tokens{};  // of span_tokens: the nearest tier
  uint32_t load_estimate_us = 0;
  // With kTooLate and kUnavailable the cluster may have more than is told.
  model::ClusterAnswer cluster = model::ClusterAnswer::kNotAsked;
};

}  // namespace quire::client
