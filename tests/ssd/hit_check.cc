#include "tests/ssd/hit_check.h"

#include "model/check.h"
#include "tests/support/writer.h"

namespace quire::tests {

namespace {

constexpr int kAttempts = 200;  // each finds one object at least that is none

}  // namespace

int loaded_tokens(client::Client& client, uint64_t context, uint32_t tokens,
                  const model::Layout& layout) {
  const auto session = open_session(client, session_options(layout));
  QUIRE_CHECK(session->append_tokens(context_tokens(tokens + 1, context)).ok());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto match = session->match(tokens + 1);
    QUIRE_CHECK(match.ok());
    if (match->exact_tokens == 0) return 0;
    const bool loaded = session->load(match->lease).ok();
    const bool right = loaded && check_hit(*session, *match) >= 0;
    QUIRE_CHECK(session->release(match->lease).ok());
    if (loaded) return right ? static_cast<int>(match->exact_tokens) : -1;
  }
  return -2;
}

}  // namespace quire::tests
