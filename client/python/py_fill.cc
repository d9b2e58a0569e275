#include "client/python/py_fill.h"

#include <cstring>
#include <string>

#include "client/python/py_answers.h"
#include "client/python/py_input.h"
#include "client/python/py_words.h"

namespace quire::client {

PyFill::~PyFill() {
  session_.forget(this);
  abort_quietly();
}

std::string_view PyFill::closed_text() const {
  if (!session_.open()) return "the session of this fill was closed";
  if (state_ == State::kCommitting) return "the fill is being committed: poll for its completion";
  return "the fill was committed or aborted: begin another one";
}

void PyFill::require_committable() const {
  if (!open()) raise_error(QUIRE_CLOSED, closed_text());
  if (export_count() == 0) return;
  raise_buffer_in_use(
      "buffers of this fill's pages still exist: drop arrays, tensors and memoryviews of them, "
      "then "
      "call again");
}

void PyFill::settle(quire_status status) {
  const bool stays =
      status == QUIRE_BUSY || status == QUIRE_DEADLINE_EXCEEDED || status == QUIRE_INVALID_ARGUMENT;
  state_ = stays ? State::kWriting : State::kEnded;
}

quire_commit_result PyFill::commit() {
  auto result = sized<quire_commit_result>();
  if (fill_.duplicate != 0 && open()) {
    state_ = State::kEnded;
    result.duplicate = 1;
    result.visible = fill_.incomplete == 0 ? 1 : 0;
    return result;
  }
  require_committable();
  state_ = State::kCommitting;
  const Outcome outcome =
      session_.try_waiting([&](quire_session* raw) { return quire_commit(raw, &fill_, &result); });
  settle(outcome.status);
  check(outcome);
  return result;
}

void PyFill::end() {
  state_ = State::kEnded;
  if (fill_.duplicate != 0) return;
  // Off the daemon's books, or it went with them.
  session_.try_waiting([this](quire_session* raw) { return quire_abort(raw, &fill_); });
}

void PyFill::abort() {
  if (state_ == State::kEnded || !session_.open()) return;
  require_committable();
  end();
}

void PyFill::abort_quietly() {
  if (state_ != State::kWriting || !session_.open() || !session_.usable()) return;
  if (export_count() > 0) {
    abort_wanted_ = true;
  } else {
    end();
  }
}

void PyFill::exports_over() {
  if (abort_wanted_) abort_quietly();
  session_.exports_over();
}

namespace {

struct PyFillPage {
  nb::object fill;
  PyFill* owner = nullptr;
  quire_fill_page page;

  Exportable exportable() const {
    return {fill, owner, {.data = page.data, .row_bytes = page.bytes, .writable = true}};
  }
};

nb::tuple pages_of(nb::handle_t<PyFill> self) {
  PyFill& fill = nb::cast<PyFill&>(self);
  nb::list pages;
  for (uint32_t i = 0; i < fill.raw().page_count; ++i) {
    pages.append(nb::cast(PyFillPage{nb::borrow(self), &fill, fill.raw().pages[i]}));
  }
  return nb::tuple(pages);
}

void write(const PyFillPage& page, nb::handle data, uint64_t offset) {
  const BorrowedBuffer from(data, "data");
  const auto bytes = static_cast<uint64_t>(from.view().len);
  if (offset > page.page.bytes || bytes > page.page.bytes - offset) {
    raise_error(QUIRE_INVALID_ARGUMENT, std::to_string(bytes) + " bytes at " +
                                            std::to_string(offset) + " do not fit into a page of " +
                                            std::to_string(page.page.bytes));
  }
  // Keeps the fill from being committed while the GIL is given up.
  const nb::object held = make_export(page.exportable());
  const nb::gil_scoped_release without_gil;
  std::memcpy(static_cast<char*>(page.page.data) + offset, from.view().buf, bytes);
}

void bind_fill_page(nb::module_& m) {
  nb::class_<PyFillPage>(m, "FillPage", nb::is_final(), nb::type_slots(buffer_slots<PyFillPage>()),
                         "A page to be written: a writable buffer of staging memory.")
      .def("__dlpack__",
           [](const PyFillPage& self, const nb::kwargs& options) {
             return dlpack_capsule(self.exportable(), options);
           })
      .def("__dlpack_device__", [](const PyFillPage&) { return dlpack_device(); })
      .def("write", &write, nb::arg("data").none(), nb::arg("offset") = 0,
           "Copies a contiguous buffer of any type to `offset`.")
      .def_prop_ro("group", [](const PyFillPage& self) { return self.page.group; })
      .def_prop_ro("tail", [](const PyFillPage& self) { return self.page.tail != 0; })
      .def_prop_ro("nbytes", [](const PyFillPage& self) { return self.page.bytes; })
      .def_prop_ro("address", [](const PyFillPage& self) {
        return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(self.page.data));
      });
}

}  // namespace

void bind_fill(nb::module_& m) {
  bind_fill_page(m);
  nb::class_<PyFill>(m, "Fill", nb::is_final(),
                     "Staging memory of one object. A context manager: aborts unless committed.")
      .def("__enter__", [](nb::handle_t<PyFill> self) { return nb::borrow(self); })
      .def("__exit__",
           [](PyFill& self, const nb::args& exc) {
             const bool left_buffers = self.open() && self.export_count() > 0;
             self.abort_quietly();
             if (left_buffers && !is_raising(exc)) self.require_committable();
           })
      .def_prop_ro("id", [](const PyFill& self) { return self.raw().id; })
      .def_prop_ro("kind", [](const PyFill& self) { return kFillKinds.word(self.place().kind); })
      .def_prop_ro("end_tokens", [](const PyFill& self) { return self.place().end_tokens; })
      .def_prop_ro("duplicate", [](const PyFill& self) { return self.raw().duplicate != 0; })
      .def_prop_ro("unwanted", [](const PyFill& self) { return self.raw().unwanted != 0; })
      .def_prop_ro("incomplete", [](const PyFill& self) { return self.raw().incomplete != 0; })
      .def_prop_ro("pages", &pages_of)
      .def("commit", &PyFill::commit, "Seals it. BufferInUseError while buffers of it exist.")
      .def("abort", &PyFill::abort, "Gives it up. BufferInUseError while buffers of it exist.");
}

}  // namespace quire::client
