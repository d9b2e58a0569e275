// A C caller's session options as the library knows them.
#pragma once

#include "client/c_support.h"

namespace quire::client {

// kInvalidArgument: no layout, an unknown load class, a struct of another version.
inline model::Result<SessionOptions> to_session_options(const quire_session_options* pointer) {
  const quire_session_options given = QUIRE_TRY(read_options(pointer));
  if (given.layout == nullptr) return null_argument();
  if (given.load_class > QUIRE_BATCH) {
    return model::make_error(model::Errc::kInvalidArgument, "session: unknown load_class");
  }
  if (given.role > QUIRE_ROLE_DECODE) {
    return model::make_error(model::Errc::kInvalidArgument, "session: unknown role");
  }
  SessionOptions options;
  options.role = static_cast<model::SessionRole>(given.role);
  options.ahead_tokens = given.ahead_tokens;
  options.load_class = static_cast<model::LoadClass>(given.load_class);
  options.tail_tokens =
      given.tail_tokens == QUIRE_NO_TAIL ? 0 : value_or(given.tail_tokens, options.tail_tokens);
  options.offer_tokens = given.offer_tokens;
  options.layout = given.layout->layout;
  options.tenant = text_or(given.tenant, "");
  options.namespace_name = text_or(given.namespace_name, "");
  options.salt = text_or(given.salt, "");
  options.weights_epoch = given.weights_epoch;
  options.conversation = given.conversation;
  options.staging_bytes = value_or(given.staging_bytes, options.staging_bytes);
  options.ring_entries = value_or(given.ring_entries, options.ring_entries);
  options.max_tokens = value_or(given.max_tokens, options.max_tokens);
  options.max_load_pages = value_or(given.max_load_pages, options.max_load_pages);
  options.reserve_bytes = given.reserve_bytes;
  options.admission_wait_ms = given.admission_wait_ms;
  options.model = text_or(given.model, "");
  options.service_tier = text_or(given.service_tier, "");
  options.retention = text_or(given.retention, "");
  options.explicit_caching = given.explicit_caching != 0;
  return options;
}

}  // namespace quire::client
