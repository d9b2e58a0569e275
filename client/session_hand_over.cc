// Prefill and decode on two hosts, as a session of either side asks for it.
#include "client/session_impl.h"

namespace quire::client {

using model::FrameType;
using model::HandOverAddress;
using model::Result;

Result<HandOverAddress> SessionImpl::hand_over() {
  QUIRE_TRY(check());
  const model::HandOverRequest request{.session = reply_.session};
  const Frame frame =
      QUIRE_TRY(attachment_->call(FrameType::kHandOver, model::struct_bytes(request)));
  return QUIRE_TRY(model::read_struct<model::HandOverReply>(frame.payload)).address;
}

Result<void> SessionImpl::follow(const HandOverAddress& address, uint32_t prompt_tokens) {
  QUIRE_TRY(check());
  QUIRE_TRY(check_hashed("follow", prompt_tokens));
  const model::HandOverRequest request{.session = reply_.session,
                                       .follow = 1,
                                       .unit_count = prompt_tokens / layout_.unit_tokens,
                                       .address = address};
  QUIRE_TRY(attachment_->call(FrameType::kHandOver, model::struct_bytes(request)));
  return {};
}

}  // namespace quire::client
