#include "client/python/py_answers.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <optional>
#include <string>

#include "client/python/py_session.h"
#include "client/python/py_words.h"

namespace quire::client {

namespace {

std::string usage_text(const quire_turn_usage& usage, std::string_view shape,
                       const std::optional<std::string>& retention) {
  const uint32_t value = kShapes.value(shape);
  const char* kept = retention.has_value() ? retention->c_str() : nullptr;
  std::string text(512, '\0');
  size_t length = 0;
  quire_status status = quire_usage_json(&usage, value, kept, text.data(), text.size(), &length);
  if (status == QUIRE_RESOURCE_EXHAUSTED) {
    text.resize(length + 1);
    status = quire_usage_json(&usage, value, kept, text.data(), text.size(), &length);
  }
  if (status != QUIRE_OK) raise_error(status, "usage: no such retention class");
  text.resize(length);
  return text;
}

void bind_positions(nb::module_& m) {
  nb::class_<quire_position>(m, "Position", "Where a prompt could be resumed.")
      .def_ro("tokens", &quire_position::tokens)
      .def_ro("replay_tokens", &quire_position::replay_tokens)
      .def_prop_ro("tier_tokens", [](const quire_position& p) { return tier_dict(p.tier_tokens); })
      .def_ro("load_estimate_us", &quire_position::load_estimate_us)
      .def_prop_ro("how", [](const quire_position& p) { return kHows.word(p.how); })
      .def_prop_ro("replay_exact", [](const quire_position& p) { return p.replay_exact != 0; });
  nb::class_<PyPositions>(m, "Positions", "Resume positions, the deepest first.")
      .def_prop_ro("span_tokens", [](const PyPositions& p) { return p.result.span_tokens; })
      .def_prop_ro("exact_tokens", [](const PyPositions& p) { return p.result.exact_tokens; })
      .def_prop_ro("complete", [](const PyPositions& p) { return p.result.complete != 0; })
      .def("__len__", [](const PyPositions& p) { return p.list.size(); })
      .def("__getitem__", [](const PyPositions& p, Py_ssize_t index) {
        return p.list[place_in(p.list.size(), index)];
      });
}

}  // namespace

nb::dict tier_dict(const uint32_t (&tokens)[QUIRE_TIER_PLACES]) {
  nb::dict tiers;
  tiers["ram"] = tokens[QUIRE_TIER_RAM];
  tiers["ssd"] = tokens[QUIRE_TIER_SSD];
  tiers["cluster"] = tokens[QUIRE_TIER_CLUSTER];
  return tiers;
}

size_t place_in(size_t size, Py_ssize_t index) {
  const auto count = static_cast<Py_ssize_t>(size);
  const Py_ssize_t place = index < 0 ? index + count : index;
  if (place < 0 || place >= count) {
    PyErr_SetString(PyExc_IndexError, "index out of range");
    nb::raise_python_error();
  }
  return static_cast<size_t>(place);
}

void bind_answers(nb::module_& m) {
  bind_positions(m);
  nb::class_<quire_locate_result>(m, "Located", "How much of a prompt is here; nothing is pinned.")
      .def_ro("span_tokens", &quire_locate_result::span_tokens)
      .def_ro("exact_tokens", &quire_locate_result::exact_tokens)
      .def_prop_ro("tier_tokens",
                   [](const quire_locate_result& r) { return tier_dict(r.tier_tokens); })
      .def_ro("load_estimate_us", &quire_locate_result::load_estimate_us);
  nb::class_<quire_progress>(m, "Progress", "How far a session's commits have come.")
      .def_ro("committed_tokens", &quire_progress::committed_tokens)
      .def_ro("checkpoint_tokens", &quire_progress::checkpoint_tokens)
      .def_ro("members", &quire_progress::members)
      .def_prop_ro("handover", [](const quire_progress& p) { return kHandovers.word(p.handover); })
      .def_ro("taken_tokens", &quire_progress::taken_tokens)
      .def_ro("ahead_tokens", &quire_progress::ahead_tokens);
  nb::class_<quire_checkpoint_policy>(m, "CheckpointPolicy", "What the operator asks for now.")
      .def_prop_ro("word", [](const quire_checkpoint_policy& p) { return kPolicies.word(p.word); })
      .def_ro("every_tokens", &quire_checkpoint_policy::every_tokens);
  nb::class_<quire_commit_result>(m, "CommitResult", "What became of a committed fill.")
      .def_prop_ro("visible", [](const quire_commit_result& r) { return r.visible != 0; })
      .def_prop_ro("duplicate", [](const quire_commit_result& r) { return r.duplicate != 0; })
      .def_prop_ro("superseded", [](const quire_commit_result& r) { return r.superseded != 0; });
  nb::class_<quire_turn_usage>(m, "Usage", "Of the present turn: prompt = hit + replayed + missed.")
      .def_ro("prompt_tokens", &quire_turn_usage::prompt_tokens)
      .def_ro("hit_tokens", &quire_turn_usage::hit_tokens)
      .def_ro("replayed_tokens", &quire_turn_usage::replayed_tokens)
      .def_ro("missed_tokens", &quire_turn_usage::missed_tokens)
      .def_ro("output_tokens", &quire_turn_usage::output_tokens)
      .def_ro("written_tokens", &quire_turn_usage::written_tokens)
      .def("json", &usage_text, nb::arg("shape") = "openai",
           nb::arg("retention").none() = nb::none(), "The usage object of an API of this shape.");
}

}  // namespace quire::client
