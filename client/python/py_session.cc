#include "client/python/py_session.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>

#include "client/python/py_answers.h"
#include "client/python/py_fill.h"
#include "client/python/py_hit.h"
#include "client/python/py_input.h"
#include "client/python/py_layout.h"
#include "client/python/py_options.h"
#include "client/python/py_words.h"

namespace quire::client {

PySession::~PySession() {
  // The child's copy of a session is left as it is: closing it would speak for the parent.
  if (raw_ == nullptr || gate_.forked()) return;
  const nb::gil_scoped_release without_gil;
  quire_close_session(raw_);
}

void PySession::close() {
  if (closed_ || gate_.forked()) return;
  if (exporters_ == 0) return end();
  close_wanted_ = true;
  raise_buffer_in_use(
      "buffers of this session's pages still exist: copy what must stay and drop them; the session "
      "ends with the last one");
}

void PySession::close_quietly() {
  if (closed_ || gate_.forked()) return;
  if (exporters_ == 0) return end();
  close_wanted_ = true;
}

void PySession::end() {
  closed_ = true;
  // Whatever it says, the session is over; that the daemon went before is no failure of closing.
  gate_.waiting([&] { return quire_close_session(std::exchange(raw_, nullptr)); });
}

void PySession::exports_over() {
  if (--exporters_ == 0 && close_wanted_ && !closed_ && usable()) end();
}

void PySession::forget(const PyHit* hit) {
  std::erase_if(loads_, [hit](const auto& load) { return load.second == hit; });
}

void PySession::forget(const PyFill* fill) {
  std::erase_if(commits_, [fill](const auto& commit) { return commit.second == fill; });
}

void PySession::release_orphans() {
  for (const uint64_t lease : std::exchange(orphans_, {})) {
    const Outcome outcome =
        try_waiting([lease](quire_session* raw) { return quire_release(raw, lease); });
    if (outcome.status == QUIRE_BUSY) orphans_.push_back(lease);
  }
}

namespace {

nb::object begin_fill(nb::handle_t<PySession> self, std::string_view kind, uint32_t end_tokens,
                      uint64_t groups, std::string_view reason, bool unless_begun) {
  PySession& session = nb::cast<PySession&>(self);
  const quire_fill_options options = fill_options(groups, reason, unless_begun);
  const auto value = static_cast<quire_fill_kind>(kFillKinds.value(kind));
  auto fill = sized<quire_fill>();
  session.waiting([&](quire_session* raw) {
    return quire_begin_fill(raw, value, end_tokens, &options, &fill);
  });
  return nb::cast(new PyFill(nb::borrow(self), session, fill, {value, end_tokens}),
                  nb::rv_policy::take_ownership);
}

nb::object match(nb::handle_t<PySession> self, std::optional<uint32_t> prompt_tokens,
                 uint32_t have_tokens, uint32_t per_ktoken, uint32_t per_mtoken,
                 uint64_t request_id) {
  PySession& session = nb::cast<PySession&>(self);
  const quire_match_options options =
      match_options(have_tokens, per_ktoken, per_mtoken, request_id);
  auto result = sized<quire_match_result>();
  session.waiting([&](quire_session* raw) {
    return quire_match_with(raw, prompt_tokens.value_or(quire_token_count(raw)), &options, &result);
  });
  return nb::cast(new PyHit(nb::borrow(self), session, result), nb::rv_policy::take_ownership);
}

quire_turn_usage resumed(PySession& self, std::string_view how, uint32_t resumed_tokens,
                         uint32_t replayed_tokens, uint32_t output_tokens, uint64_t request_id) {
  const quire_resumed_word word =
      resumed_word(how, resumed_tokens, replayed_tokens, output_tokens, request_id);
  auto usage = sized<quire_turn_usage>();
  self.waiting([&](quire_session* raw) { return quire_resumed_usage(raw, &word, &usage); });
  return usage;
}

bool supersede(PySession& self, uint32_t end_tokens) {
  int dropped = 0;
  self.waiting([&](quire_session* raw) { return quire_supersede(raw, end_tokens, &dropped); });
  return dropped != 0;
}

void advise(PySession& self, std::string_view advice, uint32_t end_tokens, uint32_t pause_ms) {
  const auto value = static_cast<quire_advice>(kAdvices.value(advice));
  self.waiting([&](quire_session* raw) { return quire_advise(raw, value, end_tokens, pause_ms); });
}

void append_tokens(PySession& self, nb::handle tokens, nb::handle keys) {
  const TokenList given(tokens);
  const KeyList given_keys(keys);
  // Hashing a long prompt takes milliseconds.
  self.waiting([&](quire_session* raw) {
    return quire_append_keyed_tokens(raw, given.data(), given.size(), given_keys.data(),
                                     given_keys.size());
  });
}

void append_unit_hashes(PySession& self, nb::handle hashes) {
  const HashList given(hashes);
  self.waiting([&](quire_session* raw) {
    return quire_append_unit_hashes(raw, given.data(), given.size());
  });
}

void bind_calls(SessionClass& session) {
  session
      .def("append_tokens", &append_tokens, nb::arg("tokens").none(),
           nb::arg("keys") = nb::make_tuple(),
           "Appends token ids: a one-dimensional buffer of uint32, or a sequence of ints.\n\n"
           "keys: (bytes, first token, count) of what else pages depend on.")
      .def("append_unit_hashes", &append_unit_hashes, nb::arg("hashes").none(),
           "Appends the engine's own hashes, one a unit, 32 bytes each (bytes objects: 16 to 32).")
      .def("match", &match, nb::arg("prompt_tokens").none() = nb::none(), nb::kw_only(),
           nb::arg("have_tokens") = 0, nb::arg("prefill_us_per_ktoken") = 0,
           nb::arg("prefill_us_per_ktoken_per_mtoken") = 0, nb::arg("request_id") = 0,
           "The longest prefix of the prompt that is here, pinned.")
      .def("begin_fill", &begin_fill, nb::arg("kind"), nb::arg("end_tokens"), nb::kw_only(),
           nb::arg("groups") = 0, nb::arg("reason") = "turn_end", nb::arg("unless_begun") = false,
           "Staging memory for one object.")
      .def("supersede", &supersede, nb::arg("end_tokens"),
           "Lets a checkpoint of this session go; whether there was one.")
      .def("advise", &advise, nb::arg("advice"), nb::arg("end_tokens"), nb::arg("pause_ms") = 0,
           "\"prefetch\", \"pause_until\" (for pause_ms) or \"done_with\".")
      .def(
          "noop",
          [](PySession& self) { self.waiting([](quire_session* raw) { return quire_noop(raw); }); },
          "A round trip through the session's ring.")
      .def(
          "reset",
          [](PySession& self, uint64_t conversation) {
            self.waiting(
                [&](quire_session* raw) { return quire_reset_session(raw, conversation); });
          },
          nb::arg("conversation") = 0, "Goes on with another prompt.")
      .def("resumed", &resumed, nb::arg("how"), nb::arg("resumed_tokens"), nb::kw_only(),
           nb::arg("replayed_tokens") = 0, nb::arg("output_tokens") = 0, nb::arg("request_id") = 0,
           "Where the engine really went on; what the turn's receipt says from then on.");
}

}  // namespace

void bind_session(nb::module_& m) {
  SessionClass session(m, "Session", nb::is_final(),
                       "One prompt's context in the store. A context manager.");
  session.def("__enter__", [](nb::handle_t<PySession> self) { return nb::borrow(self); })
      .def("__exit__",
           [](PySession& self, const nb::args& exc) {
             if (is_raising(exc)) return self.close_quietly();
             self.close();
           })
      .def("close", &PySession::close,
           "Ends the session. BufferInUseError while buffers of its pages exist.")
      .def_prop_ro("closed", &PySession::closed)
      .def_prop_ro("layout", &PySession::layout);
  bind_calls(session);
  bind_session_queries(session);
  bind_session_submissions(session);
}

}  // namespace quire::client
