#include "client/python/py_answers.h"
#include "client/python/py_hit.h"

namespace quire::client {

Exportable PyPage::exportable() const {
  return {hit, lease, {.data = view.data, .row_bytes = view.bytes}};
}

Exportable PyRun::exportable() const {
  return {hit,
          lease,
          {.data = view.data,
           .row_bytes = view.page_bytes,
           .rows = view.page_count,
           .stride = view.stride,
           .flat = false}};
}

namespace {

// None: everything asked for was delivered.
nb::object limited_by(quire_status status) {
  if (status == QUIRE_OK) return nb::none();
  return nb::str(quire_status_name(status));
}

uint64_t address(const void* data) { return reinterpret_cast<uintptr_t>(data); }

PyPage page_at(const PyPages& pages, Py_ssize_t index) {
  pages.lease->require_open();
  return {pages.hit, pages.lease, pages.loaded.pages[place_in(pages.loaded.page_count, index)]};
}

PyRun run_at(const PyRuns& runs, Py_ssize_t index) {
  runs.lease->require_open();
  return {runs.hit, runs.lease, runs.loaded.runs[place_in(runs.loaded.run_count, index)]};
}

bool verify(const PyPage& page) {
  // Holds the lease while the GIL is given up.
  const nb::object held = make_export(page.exportable());
  const nb::gil_scoped_release without_gil;
  return quire_verify_page(&page.view) != 0;
}

nb::object iterate(nb::handle self) { return nb::steal(PySeqIter_New(self.ptr())); }

template <typename T>
void bind_exports(nb::class_<T>& type) {
  type.def("__dlpack__",
           [](const T& self, const nb::kwargs& options) {
             return dlpack_capsule(self.exportable(), options);
           })
      .def("__dlpack_device__", [](const T&) { return dlpack_device(); });
}

void bind_page(nb::module_& m) {
  nb::class_<PyPage> page(m, "Page", nb::is_final(), nb::type_slots(buffer_slots<PyPage>()),
                          "One page in shared memory: a read-only buffer.");
  bind_exports(page);
  page.def_prop_ro("group", [](const PyPage& self) { return self.view.group; })
      .def_prop_ro("of_checkpoint", [](const PyPage& self) { return self.view.of_checkpoint != 0; })
      .def_prop_ro("nbytes", [](const PyPage& self) { return self.view.bytes; })
      .def_prop_ro("address", [](const PyPage& self) { return address(self.view.data); })
      .def_prop_ro("segment", [](const PyPage& self) { return self.view.segment; })
      .def_prop_ro("offset", [](const PyPage& self) { return self.view.offset; })
      .def_prop_ro("generation", [](const PyPage& self) { return self.view.generation; })
      .def_prop_ro("crc32c", [](const PyPage& self) { return self.view.crc32c; })
      .def("verify", &verify, "Whether the bytes have the checksum that they were sealed with.");
}

void bind_run(nb::module_& m) {
  nb::class_<PyRun> run(m, "Run", nb::is_final(), nb::type_slots(buffer_slots<PyRun>()),
                        "Adjacent pages of one group: a read-only buffer of (pages, bytes).");
  bind_exports(run);
  run.def_prop_ro("group", [](const PyRun& self) { return self.view.group; })
      .def_prop_ro("of_checkpoint", [](const PyRun& self) { return self.view.of_checkpoint != 0; })
      .def_prop_ro("first_block", [](const PyRun& self) { return self.view.first_block; })
      .def_prop_ro("page_count", [](const PyRun& self) { return self.view.page_count; })
      .def_prop_ro("page_bytes", [](const PyRun& self) { return self.view.page_bytes; })
      .def_prop_ro("stride", [](const PyRun& self) { return self.view.stride; })
      .def_prop_ro("address", [](const PyRun& self) { return address(self.view.data); })
      .def_prop_ro("segment", [](const PyRun& self) { return self.view.segment; })
      .def_prop_ro("offset", [](const PyRun& self) { return self.view.offset; })
      .def_prop_ro("generation", [](const PyRun& self) { return self.view.generation; });
}

}  // namespace

void bind_pages(nb::module_& m) {
  bind_page(m);
  bind_run(m);
  nb::class_<PyPages>(m, "Pages", nb::is_final(), "Pages of one load, the checkpoint's last.")
      .def("__len__", [](const PyPages& self) { return self.loaded.page_count; })
      .def("__getitem__", &page_at)
      .def("__iter__", &iterate)
      .def_prop_ro("block_count", [](const PyPages& self) { return self.loaded.block_count; })
      .def_prop_ro("checkpoint_count",
                   [](const PyPages& self) { return self.loaded.checkpoint_count; })
      .def_prop_ro("limited_by",
                   [](const PyPages& self) { return limited_by(self.loaded.limited_by); });
  nb::class_<PyRuns>(m, "Runs", nb::is_final(), "Runs of one load, the checkpoint's first.")
      .def("__len__", [](const PyRuns& self) { return self.loaded.run_count; })
      .def("__getitem__", &run_at)
      .def("__iter__", &iterate)
      .def_prop_ro("page_count", [](const PyRuns& self) { return self.loaded.page_count; })
      .def_prop_ro("block_count", [](const PyRuns& self) { return self.loaded.block_count; })
      .def_prop_ro("checkpoint_count",
                   [](const PyRuns& self) { return self.loaded.checkpoint_count; })
      .def_prop_ro("limited_by",
                   [](const PyRuns& self) { return limited_by(self.loaded.limited_by); });
}

}  // namespace quire::client
