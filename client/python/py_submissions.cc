// Requests that are queued, and what comes of them: submit, flush, poll, take.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>

#include <optional>
#include <vector>

#include "client/python/py_answers.h"
#include "client/python/py_fill.h"
#include "client/python/py_hit.h"
#include "client/python/py_options.h"
#include "client/python/py_session.h"
#include "client/python/py_words.h"

namespace quire::client {

namespace {

struct PyCompletion {
  nb::object owner;  // the session's object
  PySession* session = nullptr;
  quire_completion raw;
  // A take that gives a resource away (lease, fill) is done once.
  bool taken = false;

  void check_status() const {
    if (raw.status != QUIRE_OK) raise_error(raw.status, text());
  }
  std::string text() const {
    return std::string("request ") + std::to_string(raw.request) + " ended with " +
           quire_status_name(raw.status);
  }
  void take_once() {
    check_status();
    if (taken) raise_error(QUIRE_NOT_FOUND, "this completion was taken before");
    taken = true;
  }
};

// A submission: its number.
template <typename Submit>
uint64_t submit(PySession& session, Submit submit_one) {
  uint64_t request = 0;
  session.at_once([&](quire_session* raw) { return submit_one(raw, &request); });
  return request;
}

uint64_t submit_match(PySession& self, std::optional<uint32_t> prompt_tokens, uint32_t have_tokens,
                      uint32_t per_ktoken, uint32_t per_mtoken, uint64_t request_id) {
  const quire_match_options options =
      match_options(have_tokens, per_ktoken, per_mtoken, request_id);
  return submit(self, [&](quire_session* raw, uint64_t* request) {
    return quire_submit_match_with(raw, prompt_tokens.value_or(quire_token_count(raw)), &options,
                                   request);
  });
}

// A hit and a session that belong together.
PyHit& own_hit(PySession& session, nb::handle given) {
  PyHit* hit = nullptr;
  if (!nb::try_cast(given, hit) || hit == nullptr || &hit->session() != &session) {
    raise_error(QUIRE_INVALID_ARGUMENT, "hit: a Hit of this session is needed");
  }
  hit->require_open();
  return *hit;
}

uint64_t submit_load(PySession& self, nb::handle given, uint64_t groups, uint32_t first_block,
                     uint32_t block_count, bool checkpoint, bool layer_major, uint32_t deadline_ms,
                     bool progress) {
  PyHit& hit = own_hit(self, given);
  quire_load_options options =
      load_options(groups, first_block, block_count, checkpoint, layer_major, deadline_ms);
  options.progress = progress ? 1 : 0;
  const uint64_t number = submit(self, [&](quire_session* raw, uint64_t* request) {
    return quire_submit_load(raw, hit.lease(), &options, request);
  });
  self.loads()[number] = &hit;
  return number;
}

uint64_t submit_load_runs(PySession& self, nb::handle given, uint64_t groups, uint32_t first_block,
                          uint32_t block_count, bool checkpoint, bool layer_major,
                          uint32_t deadline_ms, uint32_t max_runs) {
  PyHit& hit = own_hit(self, given);
  const quire_load_options options =
      load_options(groups, first_block, block_count, checkpoint, layer_major, deadline_ms);
  const uint64_t number = submit(self, [&](quire_session* raw, uint64_t* request) {
    return quire_submit_load_runs(raw, hit.lease(), &options, max_runs, request);
  });
  self.loads()[number] = &hit;
  return number;
}

uint64_t submit_release(PySession& self, nb::handle given) {
  PyHit& hit = own_hit(self, given);
  hit.require_no_buffers();
  const uint64_t lease = hit.lease();
  // Off first: without the GIL another thread may look.
  hit.released();
  uint64_t request = 0;
  const Outcome outcome = self.try_at_once(
      [&](quire_session* raw) { return quire_submit_release(raw, lease, &request); });
  if (outcome.status != QUIRE_OK) hit.still_held();
  check(outcome);
  return request;
}

uint64_t submit_begin_fill(PySession& self, std::string_view kind, uint32_t end_tokens,
                           uint64_t groups, std::string_view reason, bool unless_begun) {
  const quire_fill_options options = fill_options(groups, reason, unless_begun);
  const auto value = static_cast<quire_fill_kind>(kFillKinds.value(kind));
  const uint64_t number = submit(self, [&](quire_session* raw, uint64_t* request) {
    return quire_submit_begin_fill(raw, value, end_tokens, &options, request);
  });
  self.fills()[number] = {static_cast<int>(value), end_tokens};
  return number;
}

uint64_t submit_commit(PySession& self, nb::handle given) {
  PyFill* fill = nullptr;
  if (!nb::try_cast(given, fill) || fill == nullptr || &fill->session() != &self) {
    raise_error(QUIRE_INVALID_ARGUMENT, "fill: a Fill of this session is needed");
  }
  fill->require_committable();
  const uint64_t number = submit(self, [&](quire_session* raw, uint64_t* request) {
    return quire_submit_commit(raw, &fill->raw(), request);
  });
  fill->submitted();
  self.commits()[number] = fill;
  return number;
}

uint64_t submit_resumed(PySession& self, std::string_view how, uint32_t resumed_tokens,
                        uint32_t replayed_tokens, uint32_t output_tokens, uint64_t request_id) {
  const quire_resumed_word word =
      resumed_word(how, resumed_tokens, replayed_tokens, output_tokens, request_id);
  return submit(self, [&](quire_session* raw, uint64_t* request) {
    return quire_submit_resumed(raw, &word, request);
  });
}

uint64_t submit_positions(PySession& self, std::optional<uint32_t> prompt_tokens,
                          uint32_t have_tokens, bool every_block, uint32_t max_positions) {
  auto options = sized<quire_positions_options>();
  options.have_tokens = have_tokens;
  options.every_block = every_block ? 1 : 0;
  return submit(self, [&](quire_session* raw, uint64_t* request) {
    return quire_submit_positions(raw, prompt_tokens.value_or(quire_token_count(raw)), &options,
                                  max_positions, request);
  });
}

uint64_t submit_locate(PySession& self, std::optional<uint32_t> tokens) {
  return submit(self, [&](quire_session* raw, uint64_t* request) {
    return quire_submit_locate(raw, tokens.value_or(quire_token_count(raw)), request);
  });
}

// A fill knows what became of its commit, whether or not somebody takes it; and of a fill that was
// refused nothing is left to take.
void settle(PySession& session, const quire_completion& completion) {
  if (completion.status != QUIRE_OK) session.fills().erase(completion.request);
  const auto found = session.commits().find(completion.request);
  if (found == session.commits().end()) return;
  found->second->settle(completion.status);
  session.commits().erase(found);
}

nb::list poll(nb::handle_t<PySession> self, size_t max_completions) {
  constexpr size_t kMostAtOnce = 256;
  PySession& session = nb::cast<PySession&>(self);
  std::vector<quire_completion> polled(std::min(max_completions, kMostAtOnce),
                                       sized<quire_completion>());
  size_t count = 0;
  session.at_once(
      [&](quire_session* raw) { return quire_poll(raw, polled.data(), polled.size(), &count); });
  nb::list completions;
  for (size_t i = 0; i < count; ++i) {
    settle(session, polled[i]);
    completions.append(nb::cast(new PyCompletion{nb::borrow(self), &session, polled[i]},
                                nb::rv_policy::take_ownership));
  }
  session.release_orphans();
  return completions;
}

nb::object pages_so_far(PySession& self, uint64_t request) {
  const auto found = self.loads().find(request);
  if (found == self.loads().end()) raise_error(QUIRE_NOT_FOUND, "no load has this number");
  PyHit* hit = found->second;
  const nb::object owner = nb::find(hit);
  hit->require_open();
  auto loaded = sized<quire_pages>();
  self.at_once([&](quire_session* raw) { return quire_pages_so_far(raw, request, &loaded); });
  return nb::cast(new PyPages{owner, hit, loaded}, nb::rv_policy::take_ownership);
}

nb::object take_match(PyCompletion& self) {
  self.take_once();
  auto result = sized<quire_match_result>();
  const quire_status status = quire_completion_match(&self.raw, &result);
  if (status != QUIRE_OK) raise_error(status, "this is no match's completion");
  return nb::cast(new PyHit(self.owner, *self.session, result), nb::rv_policy::take_ownership);
}

quire_commit_result take_commit(const PyCompletion& self) {
  self.check_status();
  auto result = sized<quire_commit_result>();
  const quire_status status = quire_completion_commit(&self.raw, &result);
  if (status != QUIRE_OK) raise_error(status, "this is no commit's completion");
  return result;
}

quire_locate_result take_locate(const PyCompletion& self) {
  self.check_status();
  auto result = sized<quire_locate_result>();
  const quire_status status = quire_completion_locate(&self.raw, &result);
  if (status != QUIRE_OK) raise_error(status, "this is no locate's completion");
  return result;
}

// The hit whose load this is, kept from here on; forgotten by the session.
nb::object hit_of(PyCompletion& self, PyHit*& hit) {
  const auto found = self.session->loads().find(self.raw.request);
  if (found == self.session->loads().end()) {
    raise_error(QUIRE_NOT_FOUND, "no load of a living hit that was not taken before");
  }
  hit = found->second;
  nb::object owner = nb::find(hit);
  self.session->loads().erase(found);
  return owner;
}

nb::object take_pages(PyCompletion& self) {
  PyHit* hit = nullptr;
  nb::object owner = hit_of(self, hit);
  hit->require_open();
  auto loaded = sized<quire_pages>();
  self.session->at_once(
      [&](quire_session* raw) { return quire_take_pages(raw, &self.raw, &loaded); });
  return nb::cast(new PyPages{std::move(owner), hit, loaded}, nb::rv_policy::take_ownership);
}

nb::object take_runs(PyCompletion& self) {
  PyHit* hit = nullptr;
  nb::object owner = hit_of(self, hit);
  hit->require_open();
  auto loaded = sized<quire_runs>();
  self.session->at_once(
      [&](quire_session* raw) { return quire_take_runs(raw, &self.raw, &loaded); });
  return nb::cast(new PyRuns{std::move(owner), hit, loaded}, nb::rv_policy::take_ownership);
}

nb::object take_fill(PyCompletion& self) {
  const auto found = self.session->fills().find(self.raw.request);
  self.check_status();
  if (found == self.session->fills().end()) {
    raise_error(QUIRE_NOT_FOUND, "no fill that was not taken before");
  }
  const FillPlace place{static_cast<quire_fill_kind>(found->second.first), found->second.second};
  self.session->fills().erase(found);
  auto fill = sized<quire_fill>();
  self.session->at_once([&](quire_session* raw) { return quire_take_fill(raw, &self.raw, &fill); });
  return nb::cast(new PyFill(self.owner, *self.session, fill, place),
                  nb::rv_policy::take_ownership);
}

PyPositions take_positions(PyCompletion& self) {
  self.take_once();
  PyPositions taken;
  taken.list.resize(QUIRE_MAX_POSITIONS);
  self.session->at_once([&](quire_session* raw) {
    return quire_take_positions(raw, &self.raw, taken.list.data(), taken.list.size(),
                                &taken.result);
  });
  taken.list.resize(taken.result.count);
  return taken;
}

void bind_load_submissions(SessionClass& session) {
  session
      .def("submit_load", &submit_load, nb::arg("hit").none(), nb::kw_only(), nb::arg("groups") = 0,
           nb::arg("first_block") = 0, nb::arg("block_count") = 0, nb::arg("checkpoint") = true,
           nb::arg("layer_major") = false, nb::arg("deadline_ms") = 0, nb::arg("progress") = false,
           "Queues Hit.load.")
      .def("submit_load_runs", &submit_load_runs, nb::arg("hit").none(), nb::kw_only(),
           nb::arg("groups") = 0, nb::arg("first_block") = 0, nb::arg("block_count") = 0,
           nb::arg("checkpoint") = true, nb::arg("layer_major") = false, nb::arg("deadline_ms") = 0,
           nb::arg("max_runs") = 0, "Queues Hit.load_runs.")
      .def("pages_so_far", &pages_so_far, nb::arg("request"),
           "What a load submitted with `progress` delivered so far.");
}

}  // namespace

void bind_session_submissions(SessionClass& session) {
  bind_load_submissions(session);
  session
      .def("submit_match", &submit_match, nb::arg("prompt_tokens").none() = nb::none(),
           nb::kw_only(), nb::arg("have_tokens") = 0, nb::arg("prefill_us_per_ktoken") = 0,
           nb::arg("prefill_us_per_ktoken_per_mtoken") = 0, nb::arg("request_id") = 0,
           "Queues a match; its request number.")
      .def("submit_release", &submit_release, nb::arg("hit").none(),
           "Queues Hit.release: released from here on.")
      .def("submit_begin_fill", &submit_begin_fill, nb::arg("kind"), nb::arg("end_tokens"),
           nb::kw_only(), nb::arg("groups") = 0, nb::arg("reason") = "turn_end",
           nb::arg("unless_begun") = false, "Queues begin_fill.")
      .def("submit_commit", &submit_commit, nb::arg("fill").none(), "Queues Fill.commit.")
      .def(
          "submit_reset",
          [](PySession& self, uint64_t conversation) {
            return submit(self, [conversation](quire_session* raw, uint64_t* request) {
              return quire_submit_reset(raw, conversation, request);
            });
          },
          nb::arg("conversation") = 0, "Queues reset.")
      .def("submit_resumed", &submit_resumed, nb::arg("how"), nb::arg("resumed_tokens"),
           nb::kw_only(), nb::arg("replayed_tokens") = 0, nb::arg("output_tokens") = 0,
           nb::arg("request_id") = 0, "Queues resumed.")
      .def("submit_positions", &submit_positions, nb::arg("prompt_tokens").none() = nb::none(),
           nb::kw_only(), nb::arg("have_tokens") = 0, nb::arg("every_block") = false,
           nb::arg("max_positions") = 256, "Queues positions.")
      .def("submit_locate", &submit_locate, nb::arg("tokens").none() = nb::none(), "Queues locate.")
      .def("submit_noop", [](PySession& self) { return submit(self, quire_submit_noop); })
      .def(
          "flush",
          [](PySession& self) {
            self.at_once([](quire_session* raw) {
              quire_flush(raw);
              return QUIRE_OK;
            });
          },
          "Makes everything queued visible to the daemon.")
      .def("poll", &poll, nb::arg("max_completions") = 64, "Finished requests; never blocks.")
      .def(
          "fileno",
          [](PySession& self) {
            int fd = -1;
            self.at_once([&](quire_session* raw) {
              fd = quire_session_fd(raw);
              return QUIRE_OK;
            });
            return fd;
          },
          "Readable when poll may have something.");
}

void bind_completion(nb::module_& m) {
  nb::class_<PyCompletion>(m, "Completion", nb::is_final(), "The end of a submitted request.")
      .def_prop_ro("request", [](const PyCompletion& self) { return self.raw.request; })
      .def_prop_ro("error",
                   [](const PyCompletion& self) {
                     if (self.raw.status == QUIRE_OK) return nb::object(nb::none());
                     return make_error(self.raw.status, self.text());
                   })
      .def("check", &PyCompletion::check_status, "Raises what the request failed with.")
      .def("take_match", &take_match)
      .def("take_pages", &take_pages)
      .def("take_runs", &take_runs)
      .def("take_fill", &take_fill)
      .def("take_commit", &take_commit)
      .def("take_positions", &take_positions)
      .def("take_locate", &take_locate);
}

}  // namespace quire::client
