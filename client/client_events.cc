// What routers ask of a Client: events, and how much of a chain is here.
#include "client/client_impl.h"
#include "client/quire.h"
#include "client/reply_pipe.h"
#include "model/chain_hash.h"

namespace quire::client {

using model::Errc;
using model::FrameType;
using model::Hash256;
using model::Result;

namespace {

// Of leaves, or of tokens where there are none.
struct ChainContent {
  std::span<const uint32_t> tokens;
  std::span<const Hash256> leaves;
  uint32_t cluster_wait_ms = 0;
};

Result<HeldChain> ask(Attachment& attachment, const Hash256& root, uint32_t unit_tokens,
                      const ChainContent& content) {
  std::vector<Hash256> chain;
  if (content.leaves.empty()) {
    model::extend_chain(root, content.tokens, unit_tokens, chain);
  } else {
    model::extend_chain_from_leaves(root, content.leaves, chain);
  }
  if (chain.empty() || chain.size() > model::kMaxLocateUnits) {
    return model::make_error(Errc::kInvalidArgument,
                             "a prompt of 1 to " + std::to_string(model::kMaxLocateUnits) +
                                 " whole units can be asked for; this one has " +
                                 std::to_string(chain.size()));
  }
  const model::LocateRequest request{.root = root,
                                     .unit_count = static_cast<uint32_t>(chain.size()),
                                     .cluster_wait_ms = content.cluster_wait_ms};
  std::string payload(model::struct_bytes(request));
  payload.append(reinterpret_cast<const char*>(chain.data()), chain.size() * sizeof(Hash256));
  const Frame frame = QUIRE_TRY(attachment.call(FrameType::kLocate, payload));
  const auto reply = QUIRE_TRY(model::read_struct<model::LocateReply>(frame.payload));
  return HeldChain{.known = reply.root_known != 0,
                   .span_tokens = reply.span_tokens,
                   .exact_tokens = reply.exact_tokens,
                   .tier_tokens = reply.tier_tokens,
                   .load_estimate_us = reply.load_estimate_us,
                   .cluster = reply.cluster};
}

Result<HeldChain> locate_content(Attachment& attachment, const ChainNames& names,
                                 const ChainContent& content) {
  QUIRE_TRY(model::validate(names.layout));
  const std::string& domain = names.domain.empty() ? attachment.domain() : names.domain;
  const uint32_t unit_tokens = names.layout.unit_tokens;
  const HeldChain held =
      QUIRE_TRY(ask(attachment, root_of(names, domain, names.tenant), unit_tokens, content));
  if (held.known || names.tenant.empty()) return held;
  // In a namespace that tenants share no tenant is part of the root; who asks need not know.
  return ask(attachment, root_of(names, domain, {}), unit_tokens, content);
}

}  // namespace

Result<std::unique_ptr<EventStream>> Client::subscribe_events(const EventsOptions& options) {
  model::EventsRequest request;
  request.snapshot = static_cast<uint8_t>(options.snapshot);
  request.everything = options.everything ? 1 : 0;
  request.resume = options.resume ? 1 : 0;
  request.epoch = options.epoch;
  request.after_sequence = options.after_sequence;
  Frame reply =
      QUIRE_TRY(impl_->attachment().call(FrameType::kEvents, model::struct_bytes(request)));
  return std::make_unique<EventStream>(QUIRE_TRY(take_pipe(reply)));
}

Result<HeldChain> Client::locate(const ChainNames& names, std::span<const uint32_t> tokens,
                                 uint32_t cluster_wait_ms) {
  return locate_content(impl_->attachment(), names,
                        {.tokens = tokens, .leaves = {}, .cluster_wait_ms = cluster_wait_ms});
}

Result<HeldChain> Client::locate_hashes(const ChainNames& names, std::span<const Hash256> leaves,
                                        uint32_t cluster_wait_ms) {
  return locate_content(impl_->attachment(), names,
                        {.tokens = {}, .leaves = leaves, .cluster_wait_ms = cluster_wait_ms});
}

}  // namespace quire::client
