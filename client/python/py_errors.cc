#include "client/python/py_errors.h"

namespace quire::client {

namespace {

// Owned for the life of the process: the interpreter may end before the module's last object.
PyObject* errors_by_code = nullptr;
PyObject* buffer_in_use = nullptr;

// What to do, for codes whose texts come from where nobody knows who asks.
std::string_view advice(quire_status status) {
  switch (status) {
    case QUIRE_UNAVAILABLE:
      return "is quired running? Compute without the cache meanwhile; Client.reconnect() attaches "
             "to a new daemon";
    case QUIRE_STALE_HANDLE:
      return "open the session again";
    case QUIRE_FORKED:
      return "connect a new quire.Client in the child";
    default:
      return {};
  }
}

nb::handle class_of(quire_status status) {
  const Py_ssize_t count = PyTuple_Size(errors_by_code);
  const bool known = status >= 1 && status <= count;
  return PyTuple_GetItem(errors_by_code, known ? status - 1 : count - 1);
}

}  // namespace

void load_errors() {
  nb::module_ errors = nb::module_::import_("quire._errors");
  errors_by_code = nb::object(errors.attr("BY_CODE")).release().ptr();
  buffer_in_use = nb::object(errors.attr("BufferInUseError")).release().ptr();
}

nb::object make_error(quire_status status, std::string_view text) {
  std::string whole(text.empty() ? std::string_view(quire_status_name(status)) : text);
  const std::string_view hint = advice(status);
  if (!hint.empty()) whole.append(": ").append(hint);
  return class_of(status)(whole.c_str());
}

void set_error(quire_status status, std::string_view text) {
  const nb::object error = make_error(status, text);
  PyErr_SetObject(error.type().ptr(), error.ptr());
}

void raise_error(quire_status status, std::string_view text) {
  set_error(status, text);
  nb::raise_python_error();
}

void raise_buffer_in_use(std::string_view text) {
  const nb::object error = nb::handle(buffer_in_use)(std::string(text).c_str());
  PyErr_SetObject(error.type().ptr(), error.ptr());
  nb::raise_python_error();
}

}  // namespace quire::client
