// C ABI: what a session knows and asks without holding anything: its chain, keyed tokens, the word
// on where it resumed, positions, locate.
#include <algorithm>
#include <cstring>

#include "client/c_support.h"
#include "client/quire_c.h"
#include "client/usage.h"

namespace {

using quire::client::call;
using quire::client::check_result;
using quire::client::ErrorSink;
using quire::client::from_c;
using quire::client::guarded_call;
using quire::client::null_argument;
using quire::client::Positions;
using quire::client::PositionsOptions;
using quire::client::read_keys;
using quire::client::read_options;
using quire::client::Resumed;
using quire::client::Session;
using quire::client::submit;
using quire::client::take;
using quire::client::text_or;
using quire::client::usage_json;
using quire::client::UsageShape;
using quire::client::write_list;
using quire::client::write_result;
using quire::client::write_text;
using quire::model::Completion;
using quire::model::Errc;
using quire::model::Hash256;
using quire::model::make_error;
using quire::model::Result;

Result<Resumed> to_resumed(const quire_resumed_word* word) {
  const quire_resumed_word given = QUIRE_TRY(read_options(word));
  if (given.how > QUIRE_RESUMED_NOTHING) {
    return make_error(Errc::kInvalidArgument, "resumed: unknown how");
  }
  return Resumed{.how = static_cast<quire::model::ResumedHow>(given.how),
                 .resumed_tokens = given.resumed_tokens,
                 .replayed_tokens = given.replayed_tokens,
                 .output_tokens = given.output_tokens,
                 .request_id = given.request_id};
}

Result<PositionsOptions> to_positions_options(const quire_positions_options* options,
                                              size_t capacity) {
  const quire_positions_options given = QUIRE_TRY(read_options(options));
  // A larger array is no error: it gets as many as an answer can have.
  const size_t most = quire::model::kMaxPositions;
  return PositionsOptions{.have_tokens = given.have_tokens,
                          .max_positions = static_cast<uint32_t>(std::min(capacity, most)),
                          .every_block = given.every_block != 0};
}

quire_position to_c(const quire::model::ResumePosition& from) {
  quire_position out{};
  out.tokens = from.tokens;
  out.replay_tokens = from.replay_tokens;
  std::copy(from.tier_tokens.of.begin(), from.tier_tokens.of.end(), out.tier_tokens);
  out.load_estimate_us = from.load_estimate_us;
  out.how = from.how;
  out.replay_exact = from.replay_exact;
  return out;
}

void to_c(const Positions& found, quire_position* positions, size_t capacity,
          quire_positions_result* result) {
  write_list(found.positions, positions, capacity,
             [](const quire::model::ResumePosition& one) { return to_c(one); });
  quire_positions_result out{};
  out.count = std::min(capacity, found.positions.size());
  out.span_tokens = found.span_tokens;
  out.exact_tokens = found.exact_tokens;
  // What the caller's array has no room for is missing too.
  out.complete = found.complete && out.count == found.positions.size() ? 1 : 0;
  write_result(out, result);
}

quire_locate_result to_c(const quire::model::LocateResult& from) {
  quire_locate_result out{};
  out.span_tokens = from.span_tokens;
  out.exact_tokens = from.exact_tokens;
  std::copy(from.tokens.of.begin(), from.tokens.of.end(), out.tier_tokens);
  out.load_estimate_us = from.load_estimate_us;
  return out;
}

}  // namespace

quire_status quire_append_keyed_tokens(quire_session* session, const uint32_t* tokens, size_t count,
                                       const quire_unit_key* keys, size_t key_count) {
  return call(session, [&](Session& s) {
    return s.append_tokens(std::span(tokens, count), read_keys(keys, key_count));
  });
}

void quire_session_root(const quire_session* session, uint8_t root[QUIRE_HASH_BYTES]) {
  std::memcpy(root, session->session->root().bytes.data(), QUIRE_HASH_BYTES);
}

quire_status quire_session_chain(const quire_session* session, size_t first_unit, uint8_t* hashes,
                                 size_t capacity, size_t* count) {
  if (count == nullptr) return QUIRE_INVALID_ARGUMENT;
  const std::vector<Hash256>& chain = session->session->chain();
  // `first_unit` may lie behind the end: a caller asks for what is new.
  *count = chain.size() - std::min(chain.size(), first_unit);
  const size_t written = hashes == nullptr ? 0 : std::min(capacity, *count);
  if (written > 0) std::memcpy(hashes, chain.data() + first_unit, written * sizeof(Hash256));
  return QUIRE_OK;
}

void quire_session_staging(const quire_session* session, void** data, uint64_t* bytes) {
  const std::span<std::byte> staging = session->session->staging();
  *data = staging.data();
  *bytes = staging.size();
}

quire_status quire_resumed(quire_session* session, const quire_resumed_word* word) {
  return call(session, [&](Session& s) -> Result<void> {
    if (word == nullptr) return null_argument();
    const Resumed given = QUIRE_TRY(to_resumed(word));
    QUIRE_TRY(s.resumed(given));
    return {};
  });
}

quire_status quire_resumed_usage(quire_session* session, const quire_resumed_word* word,
                                 quire_turn_usage* usage) {
  return call(session, [&](Session& s) -> Result<void> {
    if (word == nullptr) return null_argument();
    QUIRE_TRY(check_result(usage));
    const Resumed given = QUIRE_TRY(to_resumed(word));
    const quire::model::TurnTokens tokens = QUIRE_TRY(s.resumed(given));
    write_result(quire_turn_usage{.prompt_tokens = tokens.prompt,
                                  .hit_tokens = tokens.hit,
                                  .replayed_tokens = tokens.replayed,
                                  .missed_tokens = tokens.missed,
                                  .output_tokens = tokens.output,
                                  .written_tokens = tokens.written},
                 usage);
    return {};
  });
}

quire_status quire_usage_json(const quire_turn_usage* usage, uint32_t shape, const char* retention,
                              char* text, size_t capacity, size_t* length) {
  // Without a handle there is no place for a text.
  return guarded_call(ErrorSink(quire_text_buffer{nullptr, 0}), [&]() -> Result<void> {
    if (usage == nullptr || length == nullptr) return null_argument();
    const quire_turn_usage given = QUIRE_TRY(read_options(usage));
    if (given.hit_tokens > given.prompt_tokens || shape > QUIRE_USAGE_ANTHROPIC) {
      return make_error(Errc::kInvalidArgument, "usage: more hit than asked, or an unknown shape");
    }
    const std::string json =
        usage_json({.prompt = given.prompt_tokens,
                    .hit = given.hit_tokens,
                    .replayed = given.replayed_tokens,
                    .missed = given.missed_tokens,
                    .output = given.output_tokens,
                    .written = given.written_tokens},
                   static_cast<UsageShape>(shape), {.retention = text_or(retention, "")});
    *length = json.size();
    write_text(json, text, capacity);
    if (text != nullptr && json.size() < capacity) return {};
    return make_error(Errc::kResourceExhausted, "usage: the text has no room");
  });
}

quire_status quire_submit_resumed(quire_session* session, const quire_resumed_word* word,
                                  uint64_t* request) {
  return submit(session, request, [&](Session& s) -> Result<uint64_t> {
    if (word == nullptr) return null_argument();
    const Resumed given = QUIRE_TRY(to_resumed(word));
    return s.submit_resumed(given);
  });
}

quire_status quire_positions(quire_session* session, uint32_t prompt_tokens,
                             const quire_positions_options* options, quire_position* positions,
                             size_t capacity, quire_positions_result* result) {
  return call(session, [&](Session& s) -> Result<void> {
    if (positions == nullptr) return null_argument();
    QUIRE_TRY(check_result(result));
    const PositionsOptions given = QUIRE_TRY(to_positions_options(options, capacity));
    to_c(QUIRE_TRY(s.positions(prompt_tokens, given)), positions, capacity, result);
    return {};
  });
}

quire_status quire_submit_positions(quire_session* session, uint32_t prompt_tokens,
                                    const quire_positions_options* options, uint32_t max_positions,
                                    uint64_t* request) {
  return submit(session, request, [&](Session& s) -> Result<uint64_t> {
    const PositionsOptions given = QUIRE_TRY(to_positions_options(options, max_positions));
    return s.submit_positions(prompt_tokens, given);
  });
}

quire_status quire_take_positions(quire_session* session, const quire_completion* completion,
                                  quire_position* positions, size_t capacity,
                                  quire_positions_result* result) {
  return take(session, completion, result,
              [&](Session& s, uint64_t request, const Completion& done) -> Result<void> {
                if (positions == nullptr) return null_argument();
                to_c(QUIRE_TRY(s.take_positions(request, done)), positions, capacity, result);
                return {};
              });
}

quire_status quire_locate(quire_session* session, uint32_t tokens, quire_locate_result* result) {
  return call(session, [&](Session& s) -> Result<void> {
    QUIRE_TRY(check_result(result));
    write_result(to_c(QUIRE_TRY(s.locate(tokens))), result);
    return {};
  });
}

quire_status quire_submit_locate(quire_session* session, uint32_t tokens, uint64_t* request) {
  return submit(session, request, [&](Session& s) { return s.submit_locate(tokens); });
}

quire_status quire_completion_locate(const quire_completion* completion,
                                     quire_locate_result* result) {
  if (completion == nullptr || !check_result(result).ok()) return QUIRE_INVALID_ARGUMENT;
  write_result(to_c(from_c(*completion).result.locate), result);
  return QUIRE_OK;
}
