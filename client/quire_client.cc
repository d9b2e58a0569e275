// The public Client: forwards to ClientImpl and its attachment.
#include <isa-l/crc.h>

#include "client/client_impl.h"
#include "client/quire.h"
#include "client/reply_pipe.h"
#include "client/session_opener.h"
#include "client/token_chain.h"
#include "model/chain_hash.h"

namespace quire::client {

using model::FrameType;
using model::Result;

namespace {

Result<std::string> json_reply(Result<Frame> reply) {
  Frame frame = QUIRE_TRY(std::move(reply));
  // Attachment::call() has looked at the status.
  frame.payload.erase(0, sizeof(model::ReplyStatus));
  return std::move(frame.payload);
}

template <typename Request>
Result<void> set_scope(const ScopeOptions& scope, Request& request) {
  request.domain = QUIRE_TRY(model::to_wire_name(scope.domain));
  if (!scope.tenant) return {};
  request.of_tenant = 1;
  request.tenant = QUIRE_TRY(model::to_wire_name(*scope.tenant));
  return {};
}

}  // namespace

Result<std::unique_ptr<Client>> Client::connect(const ClientOptions& options) {
  return std::make_unique<Client>(QUIRE_TRY(ClientImpl::create(options)));
}

Client::Client(std::unique_ptr<ClientImpl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<uint32_t> Client::register_layout(const model::Layout& layout) {
  return impl_->register_layout(layout);
}

Result<std::unique_ptr<Session>> Client::open_session(const SessionOptions& options) {
  return std::make_unique<Session>(QUIRE_TRY(impl_->open_session(options)));
}

Result<std::unique_ptr<SessionTicket>> Client::request_session(const SessionOptions& options) {
  std::unique_ptr<SessionOpener> opener = QUIRE_TRY(impl_->session_opener(options));
  std::unique_ptr<SessionImpl> opened = QUIRE_TRY(opener->ask(0));
  return std::make_unique<SessionTicket>(std::move(opener), std::move(opened));
}

SessionTicket::SessionTicket(std::unique_ptr<SessionOpener> opener,
                             std::unique_ptr<SessionImpl> opened)
    : opener_(std::move(opener)), opened_(std::move(opened)) {}
SessionTicket::~SessionTicket() = default;
uint32_t SessionTicket::position() const { return opener_->position(); }
std::optional<uint64_t> SessionTicket::estimate_ms() const { return opener_->estimate_ms(); }

Result<std::unique_ptr<Session>> SessionTicket::poll(uint32_t wait_ms) {
  if (opened_) return std::make_unique<Session>(std::move(opened_));
  std::unique_ptr<SessionImpl> session = QUIRE_TRY(opener_->ask(wait_ms));
  if (!session) return std::unique_ptr<Session>();
  return std::make_unique<Session>(std::move(session));
}

Result<std::unique_ptr<Session>> Client::join_session(const SessionToken& token,
                                                      const SessionOptions& options) {
  return std::make_unique<Session>(QUIRE_TRY(impl_->join_session(token, options)));
}

Result<void> Client::ping() {
  QUIRE_TRY(impl_->attachment().call(FrameType::kPing, {}));
  return {};
}

Result<std::string> Client::sessions_json() {
  return json_reply(impl_->attachment().call(FrameType::kSessions, {}));
}

Result<std::string> Client::tenants_json() {
  return json_reply(impl_->attachment().call(FrameType::kTenants, {}));
}

Result<std::string> Client::status_json() {
  return json_reply(impl_->attachment().call(FrameType::kStatus, {}));
}

Result<std::string> Client::status_text(model::StatusFormat format) {
  model::StatusRequest request;
  request.format = static_cast<uint8_t>(format);
  return json_reply(impl_->attachment().call(FrameType::kStatus, model::struct_bytes(request)));
}

Result<std::string> Client::verify_json(model::VerifyScope scope) {
  model::VerifyRequest request;
  request.scope = static_cast<uint8_t>(scope);
  return json_reply(impl_->attachment().call(FrameType::kVerify, model::struct_bytes(request)));
}

Result<std::string> Client::scrub_json(model::ScrubAction action, uint64_t bytes_per_second) {
  model::ScrubRequest request;
  request.action = static_cast<uint8_t>(action);
  request.bytes_per_second = bytes_per_second;
  return json_reply(impl_->attachment().call(FrameType::kScrub, model::struct_bytes(request)));
}

Result<std::string> Client::kept_json(model::KeptAction action, std::string_view reason) {
  model::KeptRequest request;
  request.action = static_cast<uint8_t>(action);
  request.reason = QUIRE_TRY(model::to_wire_name(reason));
  return json_reply(impl_->attachment().call(FrameType::kKept, model::struct_bytes(request)));
}

Result<std::string> Client::policy_json() {
  const model::PolicyRequest request;
  return json_reply(impl_->attachment().call(FrameType::kPolicy, model::struct_bytes(request)));
}

Result<std::string> Client::advice_json(model::TierId tier, model::AdviceWindow window) {
  model::PolicyRequest request;
  request.action = static_cast<uint8_t>(model::PolicyAction::kAdvise);
  request.tier = static_cast<uint8_t>(tier);
  request.window = static_cast<uint8_t>(window);
  return json_reply(impl_->attachment().call(FrameType::kPolicy, model::struct_bytes(request)));
}

Result<std::string> Client::set_policy(model::TierId tier, std::string_view policy,
                                       const ScopeOptions& scope) {
  model::PolicyRequest request;
  request.action = static_cast<uint8_t>(model::PolicyAction::kSet);
  request.tier = static_cast<uint8_t>(tier);
  request.policy = QUIRE_TRY(model::to_wire_name(policy));
  QUIRE_TRY(set_scope(scope, request));
  return json_reply(impl_->attachment().call(FrameType::kPolicy, model::struct_bytes(request)));
}

Result<std::string> Client::set_checkpoints(std::string_view word, const ScopeOptions& scope) {
  model::PolicyRequest request;
  request.action = static_cast<uint8_t>(model::PolicyAction::kSetCheckpoints);
  request.policy = QUIRE_TRY(model::to_wire_name(word));
  QUIRE_TRY(set_scope(scope, request));
  return json_reply(impl_->attachment().call(FrameType::kPolicy, model::struct_bytes(request)));
}

Result<std::string> Client::checkpoint_advice_json(model::AdviceWindow window) {
  model::PolicyRequest request;
  request.action = static_cast<uint8_t>(model::PolicyAction::kAdviseCheckpoints);
  request.window = static_cast<uint8_t>(window);
  return json_reply(impl_->attachment().call(FrameType::kPolicy, model::struct_bytes(request)));
}

Result<std::string> Client::quota_json() {
  const model::QuotaRequest request;
  return json_reply(impl_->attachment().call(FrameType::kQuota, model::struct_bytes(request)));
}

Result<std::string> Client::set_quota(model::TierId tier, const ScopeOptions& scope,
                                      const QuotaBytes& quota) {
  model::QuotaRequest request;
  request.action = static_cast<uint8_t>(model::QuotaAction::kSet);
  request.tier = static_cast<uint8_t>(tier);
  request.guaranteed_bytes = quota.guaranteed;
  request.burst_bytes = quota.burst;
  request.weight = quota.weight;
  QUIRE_TRY(set_scope(scope, request));
  return json_reply(impl_->attachment().call(FrameType::kQuota, model::struct_bytes(request)));
}

Result<std::string> Client::clear_quota(model::TierId tier, const ScopeOptions& scope) {
  model::QuotaRequest request;
  request.action = static_cast<uint8_t>(model::QuotaAction::kClear);
  request.tier = static_cast<uint8_t>(tier);
  QUIRE_TRY(set_scope(scope, request));
  return json_reply(impl_->attachment().call(FrameType::kQuota, model::struct_bytes(request)));
}

Result<std::string> Client::config_json() {
  const model::ConfigRequest request;
  return json_reply(impl_->attachment().call(FrameType::kConfig, model::struct_bytes(request)));
}

Result<std::string> Client::set_config(std::string_view key, std::string_view value) {
  model::ConfigRequest request;
  request.action = static_cast<uint8_t>(model::ConfigAction::kSet);
  request.key = QUIRE_TRY(model::to_wire_name(key));
  request.value_bytes = static_cast<uint32_t>(value.size());
  std::string payload(model::struct_bytes(request));
  payload += value;
  return json_reply(impl_->attachment().call(FrameType::kConfig, payload));
}

Result<model::FdGuard> Client::read_ledger(const model::MeterRequest& request) {
  Frame reply =
      QUIRE_TRY(impl_->attachment().call(FrameType::kMeter, model::struct_bytes(request)));
  return take_pipe(reply);
}

Result<std::string> Client::pin_json() {
  const model::PinRequest request;
  return json_reply(impl_->attachment().call(FrameType::kPin, model::struct_bytes(request)));
}

Result<std::string> Client::set_pin(const PinOptions& pin) {
  model::PinRequest request;
  request.action = static_cast<uint8_t>(model::PinAction::kSet);
  request.budget_bytes = pin.budget_bytes;
  request.for_seconds = pin.for_seconds;
  QUIRE_TRY(set_scope(pin.scope, request));
  request.namespace_name = QUIRE_TRY(model::to_wire_name(pin.namespace_name));
  return json_reply(impl_->attachment().call(FrameType::kPin, model::struct_bytes(request)));
}

Result<std::string> Client::clear_pin(const ScopeOptions& scope, std::string_view namespace_name) {
  model::PinRequest request;
  request.action = static_cast<uint8_t>(model::PinAction::kClear);
  QUIRE_TRY(set_scope(scope, request));
  request.namespace_name = QUIRE_TRY(model::to_wire_name(namespace_name));
  return json_reply(impl_->attachment().call(FrameType::kPin, model::struct_bytes(request)));
}

Result<std::string> Client::clear_pins() {
  model::PinRequest request;
  request.action = static_cast<uint8_t>(model::PinAction::kClearAll);
  return json_reply(impl_->attachment().call(FrameType::kPin, model::struct_bytes(request)));
}

Result<uint64_t> Client::evict(uint64_t count) {
  // The daemon evicts a bounded number a frame; fewer than that means that nothing more may go.
  for (uint64_t total = 0;;) {
    model::EvictRequest request;
    request.count = count == 0 ? 0 : count - total;
    const Frame frame =
        QUIRE_TRY(impl_->attachment().call(FrameType::kEvict, model::struct_bytes(request)));
    const auto reply = QUIRE_TRY(model::read_struct<model::EvictReply>(frame.payload));
    total += reply.evicted;
    if (total == count || reply.evicted < model::kMaxEvictedPerFrame) return total;
  }
}

Result<std::string> Client::evict_json(model::EvictAction action, const EvictOptions& options) {
  model::EvictRequest request;
  request.action = static_cast<uint8_t>(action);
  request.tier = static_cast<uint8_t>(options.tier);
  request.unused_us = options.unused_us;
  QUIRE_TRY(set_scope(options.scope, request));
  if (options.namespace_name) {
    request.of_namespace = 1;
    request.namespace_name = QUIRE_TRY(model::to_wire_name(*options.namespace_name));
  }
  return json_reply(impl_->attachment().call(FrameType::kEvict, model::struct_bytes(request)));
}

Result<std::string> Client::flush_json(model::FlushAction action) {
  model::FlushRequest request;
  request.action = static_cast<uint8_t>(action);
  return json_reply(impl_->attachment().call(FrameType::kFlush, model::struct_bytes(request)));
}

Result<std::string> Client::why_json(const WhyOptions& options) {
  model::WhyRequest request;
  request.action = static_cast<uint8_t>(options.action);
  request.turn = options.turn;
  request.number = options.number;
  QUIRE_TRY(set_scope(options.scope, request));
  return json_reply(impl_->attachment().call(FrameType::kWhy, model::struct_bytes(request)));
}

Result<std::string> Client::why_prompt_json(const WhyPrompt& prompt) {
  const ChainNames& names = prompt.names;
  const std::string domain = names.domain.empty() ? std::string(this->domain()) : names.domain;
  ScopeOptions scope{.domain = domain, .tenant = {}};
  if (!names.tenant.empty()) scope.tenant = names.tenant;
  model::WhyRequest request;
  request.action = static_cast<uint8_t>(model::WhyAction::kPrompt);
  QUIRE_TRY(set_scope(scope, request));
  QUIRE_TRY(model::validate(names.layout));
  model::WhyPromptRequest given;
  given.layout_digest = model::layout_digest(names.layout);
  const model::Hash256 root = root_of(names, domain, names.tenant);
  given.unit_tokens = names.layout.unit_tokens;
  given.block_units = names.layout.units_per_block();
  given.epoch = names.weights_epoch;
  given.namespace_name = QUIRE_TRY(model::to_wire_name(names.namespace_name));
  given.salt = QUIRE_TRY(model::to_wire_name(names.salt));
  std::vector<model::Hash256> chain(prompt.tokens.size() / given.unit_tokens);
  TokenChain tokens({root, given.unit_tokens, UINT32_MAX, given.block_units}, chain);
  QUIRE_TRY(tokens.append_tokens(prompt.tokens));
  given.content = tokens.content();
  given.prompt_tokens = tokens.token_count();
  given.unit_count = static_cast<uint32_t>(chain.size());
  std::string frame(model::struct_bytes(request));
  frame += model::struct_bytes(given);
  if (frame.size() + chain.size() * sizeof(model::Hash256) > model::kMaxFrameBytes) {
    return model::make_error(model::Errc::kInvalidArgument,
                             "why: the prompt has more units than one question has room for");
  }
  frame.append(reinterpret_cast<const char*>(chain.data()), chain.size() * sizeof(model::Hash256));
  return json_reply(impl_->attachment().call(FrameType::kWhy, frame));
}

Result<model::FdGuard> Client::record_trace(const TraceOptions& options) {
  model::TraceRequest request;
  request.for_ms = options.for_ms;
  QUIRE_TRY(set_scope(options.scope, request));
  Frame reply =
      QUIRE_TRY(impl_->attachment().call(FrameType::kTrace, model::struct_bytes(request)));
  return take_pipe(reply);
}

Result<void> Client::reconnect(uint32_t timeout_ms) { return impl_->reconnect(timeout_ms); }
bool Client::connected() const { return impl_->attachment().check().ok(); }
uint64_t Client::daemon_epoch() const { return impl_->attachment().epoch(); }
std::string_view Client::domain() const { return impl_->attachment().domain(); }
int Client::fd() const { return impl_->news_fd(); }
Result<void> Client::progress() { return impl_->attachment().progress(); }
uint64_t Client::mapped_bytes() const { return impl_->attachment().mapped_bytes(); }

bool verify_page(const PageView& page) {
  // The library takes no const; it only reads. A page is at most 1 GiB, so the length fits.
  auto* bytes = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(page.data));
  return ~crc32_iscsi(bytes, static_cast<int>(page.bytes), ~0u) == page.crc32c;
}

}  // namespace quire::client
