#include "client/python/py_hit.h"

#include "client/python/py_answers.h"
#include "client/python/py_words.h"

namespace quire::client {

PyHit::~PyHit() {
  session_.forget(this);
  if (session_.closed() || !held_) return;
  end_or_leave();
}

void PyHit::end_or_leave() {
  // A load of it may be in flight, and a segment observer may be who drops it: later, then.
  if (!session_.usable() || end_lease().status == QUIRE_BUSY) session_.release_later(result_.lease);
  held_ = false;
}

std::string_view PyHit::closed_text() const {
  if (result_.lease == 0) return "the match found nothing, so there is nothing to load";
  if (!session_.open()) return "the session of this hit was closed";
  return "the hit was released: match again";
}

void PyHit::require_open() const {
  if (!open()) raise_error(QUIRE_CLOSED, closed_text());
}

void PyHit::require_no_buffers() const {
  if (export_count() == 0) return;
  raise_buffer_in_use(
      "buffers of this hit's pages still exist: copy what must stay and drop arrays, tensors and "
      "memoryviews of them; the lease ends with the last one");
}

Outcome PyHit::end_lease() {
  // Off first: without the GIL another thread may look.
  held_ = false;
  const uint64_t lease = result_.lease;
  Outcome outcome =
      session_.try_waiting([lease](quire_session* raw) { return quire_release(raw, lease); });
  if (outcome.status == QUIRE_BUSY) held_ = true;
  return outcome;
}

void PyHit::release() {
  if (!held_ || !session_.open()) return;
  if (export_count() > 0) {
    release_wanted_ = true;
    require_no_buffers();
  }
  const Outcome outcome = end_lease();
  // A lease that went with its daemon, or session, is released.
  if (outcome.status != QUIRE_UNAVAILABLE && outcome.status != QUIRE_STALE_HANDLE &&
      outcome.status != QUIRE_CLOSED) {
    check(outcome);
  }
}

void PyHit::release_quietly() {
  if (!held_ || session_.closed() || !session_.usable()) return;
  if (export_count() > 0) {
    release_wanted_ = true;
  } else {
    end_lease();
  }
}

void PyHit::exports_over() {
  if (release_wanted_ && held_ && session_.open()) end_or_leave();
  session_.exports_over();
}

quire_load_options load_options(uint64_t groups, uint32_t first_block, uint32_t block_count,
                                bool checkpoint, bool layer_major, uint32_t deadline_ms) {
  auto options = sized<quire_load_options>();
  options.groups = groups;
  options.first_block = first_block;
  options.block_count = block_count;
  options.skip_checkpoint = checkpoint ? 0 : 1;
  options.layer_major = layer_major ? 1 : 0;
  options.deadline_ms = deadline_ms;
  return options;
}

namespace {

nb::object load(nb::handle_t<PyHit> self, uint64_t groups, uint32_t first_block,
                uint32_t block_count, bool checkpoint, bool layer_major, uint32_t deadline_ms) {
  PyHit& hit = nb::cast<PyHit&>(self);
  hit.require_open();
  const quire_load_options options =
      load_options(groups, first_block, block_count, checkpoint, layer_major, deadline_ms);
  auto loaded = sized<quire_pages>();
  const uint64_t lease = hit.lease();
  hit.session().waiting(
      [&](quire_session* raw) { return quire_load(raw, lease, &options, &loaded); });
  return nb::cast(new PyPages{nb::borrow(self), &hit, loaded}, nb::rv_policy::take_ownership);
}

nb::object load_runs(nb::handle_t<PyHit> self, uint64_t groups, uint32_t first_block,
                     uint32_t block_count, bool checkpoint, bool layer_major, uint32_t deadline_ms,
                     uint32_t max_runs) {
  PyHit& hit = nb::cast<PyHit&>(self);
  hit.require_open();
  const quire_load_options options =
      load_options(groups, first_block, block_count, checkpoint, layer_major, deadline_ms);
  auto loaded = sized<quire_runs>();
  const uint64_t lease = hit.lease();
  hit.session().waiting(
      [&](quire_session* raw) { return quire_load_runs(raw, lease, &options, max_runs, &loaded); });
  return nb::cast(new PyRuns{nb::borrow(self), &hit, loaded}, nb::rv_policy::take_ownership);
}

void bind_result(nb::class_<PyHit>& hit) {
  const auto number = [&hit](const char* name, uint32_t quire_match_result::*member) {
    hit.def_prop_ro(name, [member](const PyHit& self) { return self.result().*member; });
  };
  number("exact_tokens", &quire_match_result::exact_tokens);
  number("span_tokens", &quire_match_result::span_tokens);
  number("cut_tokens", &quire_match_result::cut_tokens);
  number("replay_tokens", &quire_match_result::replay_tokens);
  number("branch_tokens", &quire_match_result::branch_tokens);
  number("limit_tokens", &quire_match_result::limit_tokens);
  number("load_estimate_us", &quire_match_result::load_estimate_us);
  hit.def_prop_ro("lease", &PyHit::lease)
      .def_prop_ro("replay_exact",
                   [](const PyHit& self) { return self.result().replay_exact != 0; })
      .def_prop_ro("limit", [](const PyHit& self) { return kLimits.word(self.result().limit); })
      .def_prop_ro("limit_group", [](const PyHit& self) { return self.result().limit_group; })
      .def_prop_ro("tier_tokens",
                   [](const PyHit& self) { return tier_dict(self.result().tier_tokens); });
}

}  // namespace

void bind_hit(nb::module_& m) {
  nb::class_<PyHit> hit(m, "Hit", nb::is_final(),
                        "What a match found, pinned by a lease. A context manager.");
  bind_result(hit);
  hit.def("__enter__", [](nb::handle_t<PyHit> self) { return nb::borrow(self); })
      .def("__exit__",
           [](PyHit& self, const nb::args& exc) {
             if (is_raising(exc)) return self.release_quietly();
             self.release();
           })
      .def("__bool__", [](const PyHit& self) { return self.result().lease != 0; })
      .def("release", &PyHit::release,
           "Ends the lease. BufferInUseError while buffers of its pages exist: it ends with the "
           "last of them then.")
      .def("load", &load, nb::kw_only(), nb::arg("groups") = 0, nb::arg("first_block") = 0,
           nb::arg("block_count") = 0, nb::arg("checkpoint") = true, nb::arg("layer_major") = false,
           nb::arg("deadline_ms") = 0, "Pages of the hit, brought to RAM where they are below it.")
      .def("load_runs", &load_runs, nb::kw_only(), nb::arg("groups") = 0,
           nb::arg("first_block") = 0, nb::arg("block_count") = 0, nb::arg("checkpoint") = true,
           nb::arg("layer_major") = false, nb::arg("deadline_ms") = 0, nb::arg("max_runs") = 0,
           "The same as runs of adjacent pages, the checkpoint's first.");
}

}  // namespace quire::client
