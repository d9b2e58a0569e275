// Keyword arguments as libquire's option structs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "client/python/py_answers.h"
#include "client/python/py_words.h"

namespace quire::client {

inline quire_match_options match_options(uint32_t have_tokens, uint32_t per_ktoken,
                                         uint32_t per_mtoken, uint64_t request_id) {
  auto options = sized<quire_match_options>();
  options.have_tokens = have_tokens;
  options.prefill_us_per_ktoken = per_ktoken;
  options.prefill_us_per_ktoken_per_mtoken = per_mtoken;
  options.request_id = request_id;
  return options;
}

inline quire_fill_options fill_options(uint64_t groups, std::string_view reason,
                                       bool unless_begun) {
  auto options = sized<quire_fill_options>();
  options.groups = groups;
  options.reason = kReasons.value(reason);
  options.unless_begun = unless_begun ? 1 : 0;
  return options;
}

inline quire_resumed_word resumed_word(std::string_view how, uint32_t resumed_tokens,
                                       uint32_t replayed_tokens, uint32_t output_tokens,
                                       uint64_t request_id) {
  auto word = sized<quire_resumed_word>();
  word.request_id = request_id;
  word.resumed_tokens = resumed_tokens;
  word.replayed_tokens = replayed_tokens;
  word.output_tokens = output_tokens;
  word.how = kHows.value(how);
  return word;
}

// What open_session and its relatives take, and the memory that the struct points into.
class SessionArguments {
 public:
  // Raises TypeError for a name that is none, as Python does.
  SessionArguments(nb::handle layout, const nb::kwargs& given);
  SessionArguments(const SessionArguments&) = delete;
  SessionArguments& operator=(const SessionArguments&) = delete;

  const quire_session_options& raw() const { return raw_; }

 private:
  bool take_text(std::string_view name, nb::handle value);
  bool take_number(std::string_view name, nb::handle value);
  bool take_word(std::string_view name, nb::handle value);

  quire_session_options raw_{};
  std::string tenant_;
  std::string namespace_;
  std::string salt_;
  std::string model_;
  std::string service_tier_;
  std::string retention_;
};

}  // namespace quire::client
