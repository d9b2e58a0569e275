// The native part of the Python package: quire._quire. _quire.pyi says what each name is.
#include <nanobind/nanobind.h>

#include "client/python/py_buffer.h"
#include "client/python/py_client.h"
#include "client/python/py_errors.h"
#include "client/python/py_fill.h"
#include "client/python/py_gate.h"
#include "client/python/py_hit.h"
#include "client/python/py_layout.h"
#include "client/python/py_session.h"

NB_MODULE(_quire, m) {
  // A session that lives until the interpreter ends is no leak worth a message.
  nanobind::set_leak_warnings(false);
  quire::client::load_errors();
  quire::client::watch_forks();
  m.attr("__version__") = QUIRE_VERSION;
  quire::client::bind_buffer(m);
  quire::client::bind_layout(m);
  quire::client::bind_answers(m);
  quire::client::bind_pages(m);
  quire::client::bind_hit(m);
  quire::client::bind_fill(m);
  quire::client::bind_completion(m);
  quire::client::bind_session(m);
  quire::client::bind_client(m);
}
