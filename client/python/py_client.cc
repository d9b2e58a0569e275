#include "client/python/py_client.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <array>
#include <optional>
#include <utility>

#include "client/python/py_answers.h"
#include "client/python/py_gate.h"
#include "client/python/py_input.h"
#include "client/python/py_options.h"
#include "client/python/py_session.h"

namespace quire::client {

namespace {

// What a segment observer is told, by libquire, on whichever thread. `context` is the observer's
// object, which the client and its sessions keep.
void tell(void* context, const char* method, const quire_segment* segment) {
  if (Py_IsInitialized() == 0) return;
  const nb::gil_scoped_acquire gil;
  const ObserverScope scope;
  try {
    nb::handle(static_cast<PyObject*>(context)).attr(method)(nb::cast(*segment));
  } catch (nb::python_error& error) {
    error.discard_as_unraisable("a quire segment observer");
  }
}

quire_segment_observer observer_of(nb::handle object) {
  auto observer = sized<quire_segment_observer>();
  observer.context = object.ptr();
  observer.mapped = [](void* context, const quire_segment* segment) {
    tell(context, "mapped", segment);
  };
  observer.unmapping = [](void* context, const quire_segment* segment) {
    tell(context, "unmapping", segment);
  };
  return observer;
}

struct ConnectWords {
  uint32_t connect_timeout_ms = 0;
  uint32_t call_timeout_ms = 0;
  uint32_t spin_us = 0;
  uint32_t daemon_wait_ms = 0;
  bool lazy_segments = false;
  uint64_t staging_bytes = 0;
};

class PyClient {
 public:
  PyClient(const std::optional<std::string>& socket_path, const std::string& name,
           const ConnectWords& words, nb::object observer)
      : observer_(std::move(observer)) {
    quire_client_options options;
    quire_client_options_init(&options);
    options.socket_path = socket_path.has_value() ? socket_path->c_str() : nullptr;
    options.client_name = name.c_str();
    options.connect_timeout_ms = words.connect_timeout_ms;
    options.call_timeout_ms = words.call_timeout_ms;
    options.spin_us = words.spin_us;
    options.daemon_wait_ms = words.daemon_wait_ms;
    options.lazy_segments = words.lazy_segments ? 1 : 0;
    options.staging_bytes = words.staging_bytes;
    const quire_segment_observer told = observer_of(observer_);
    if (!observer_.is_none()) options.observer = &told;
    std::array<char, 512> text{};
    const Outcome outcome = gate_.waiting([&]() -> Outcome {
      const quire_status status = quire_connect(&options, &raw_, {text.data(), text.size()});
      return {status, text.data()};
    });
    check(outcome);
  }
  ~PyClient() {
    if (raw_ == nullptr || gate_.forked()) return;
    const nb::gil_scoped_release without_gil;
    quire_disconnect(raw_);
  }
  PyClient(const PyClient&) = delete;
  PyClient& operator=(const PyClient&) = delete;

  void close() {
    if (closed_ || gate_.forked()) return;
    closed_ = true;
    gate_.waiting([&] {
      quire_disconnect(std::exchange(raw_, nullptr));
      return 0;
    });
  }
  bool closed() const { return closed_; }
  nb::object observer() const { return observer_; }

  template <typename Call>
  void waiting(Call call) {
    check(gate_.waiting([&] { return outcome_of(call); }));
  }
  template <typename Call>
  void at_once(Call call) {
    check(gate_.at_once([&] { return outcome_of(call); }));
  }

 private:
  template <typename Call>
  Outcome outcome_of(Call& call) {
    if (raw_ == nullptr) return {QUIRE_CLOSED, "the client is closed: connect another one"};
    const quire_status status = call(raw_);
    if (status == QUIRE_OK) return {};
    return {status, quire_client_error(raw_)};
  }

  quire_client* raw_ = nullptr;
  nb::object observer_;  // keeps what libquire calls; None: nothing
  CallGate gate_;
  bool closed_ = false;
};

class PyTicket {
 public:
  PyTicket(quire_ticket* raw, nb::object layout, nb::object observer)
      : raw_(raw), layout_(std::move(layout)), observer_(std::move(observer)) {}
  ~PyTicket() {
    if (!gate_.forked()) quire_ticket_free(raw_);
  }
  PyTicket(const PyTicket&) = delete;
  PyTicket& operator=(const PyTicket&) = delete;

  nb::object poll(uint32_t wait_ms) {
    quire_session* session = nullptr;
    check(gate_.waiting([&]() -> Outcome {
      const quire_status status = quire_poll_ticket(raw_, wait_ms, &session);
      if (status == QUIRE_OK) return {};
      return {status, quire_ticket_error(raw_)};
    }));
    if (session == nullptr) return nb::none();
    return nb::cast(new PySession(session, layout_, observer_), nb::rv_policy::take_ownership);
  }
  quire_queue_place place() {
    auto place = sized<quire_queue_place>();
    gate_.at_once([&] { return quire_ticket_place(raw_, &place); });
    return place;
  }

 private:
  quire_ticket* raw_;
  nb::object layout_;
  nb::object observer_;
  CallGate gate_;
};

nb::object status(PyClient& self) {
  char* text = nullptr;
  self.waiting([&](quire_client* raw) { return quire_status_json(raw, &text); });
  const nb::str owned(text);
  quire_text_free(text);
  return nb::module_::import_("json").attr("loads")(owned);
}

nb::object open_session(PyClient& self, nb::object layout, const nb::kwargs& options) {
  const SessionArguments arguments(layout, options);
  quire_session* session = nullptr;
  self.waiting(
      [&](quire_client* raw) { return quire_open_session(raw, &arguments.raw(), &session); });
  return nb::cast(new PySession(session, std::move(layout), self.observer()),
                  nb::rv_policy::take_ownership);
}

nb::object request_session(PyClient& self, nb::object layout, const nb::kwargs& options) {
  const SessionArguments arguments(layout, options);
  quire_ticket* ticket = nullptr;
  self.waiting(
      [&](quire_client* raw) { return quire_request_session(raw, &arguments.raw(), &ticket); });
  return nb::cast(new PyTicket(ticket, std::move(layout), self.observer()),
                  nb::rv_policy::take_ownership);
}

nb::object join_session(PyClient& self, const nb::bytes& token, nb::object layout,
                        const nb::kwargs& options) {
  if (token.size() != QUIRE_TOKEN_BYTES) {
    raise_error(QUIRE_INVALID_ARGUMENT, "token: the 16 bytes of Session.token are needed");
  }
  const SessionArguments arguments(layout, options);
  quire_session* session = nullptr;
  self.waiting([&](quire_client* raw) {
    return quire_join_session(raw, static_cast<const uint8_t*>(token.data()), &arguments.raw(),
                              &session);
  });
  return nb::cast(new PySession(session, std::move(layout), self.observer()),
                  nb::rv_policy::take_ownership);
}

nb::object locate(PyClient& self, nb::object layout, nb::handle tokens,
                  const std::optional<std::string>& domain, const std::string& tenant,
                  const std::string& namespace_name, const std::string& salt,
                  uint64_t weights_epoch) {
  const SessionArguments arguments(layout, nb::kwargs());
  const TokenList given(tokens);
  auto names = sized<quire_chain_names>();
  names.layout = arguments.raw().layout;
  names.domain = domain.has_value() ? domain->c_str() : nullptr;
  names.tenant = tenant.c_str();
  names.namespace_name = namespace_name.c_str();
  names.salt = salt.c_str();
  names.weights_epoch = weights_epoch;
  int known = 0;
  auto result = sized<quire_locate_result>();
  self.waiting([&](quire_client* raw) {
    return quire_locate_chain(raw, &names, given.data(), given.size(), &known, &result);
  });
  return known == 0 ? nb::none() : nb::cast(result);
}

void bind_sessions(nb::class_<PyClient>& client) {
  client
      .def("open_session", &open_session, nb::arg("layout").none(), nb::arg("options"),
           "A session of one prompt; the stub has the options.")
      .def("request_session", &request_session, nb::arg("layout").none(), nb::arg("options"),
           "open_session without waiting for its reservation.")
      .def("join_session", &join_session, nb::arg("token"), nb::arg("layout").none(),
           nb::arg("options"), "This process in another process's session.")
      .def("locate", &locate, nb::arg("layout").none(), nb::arg("tokens").none(), nb::kw_only(),
           nb::arg("domain").none() = nb::none(), nb::arg("tenant") = "", nb::arg("namespace") = "",
           nb::arg("salt") = "", nb::arg("weights_epoch") = 0,
           "How much of a prompt is in the store, without a session.");
}

void bind_ticket(nb::module_& m) {
  nb::class_<PyTicket>(m, "Ticket", nb::is_final(),
                       "A session that waits until what it reserves can be had.")
      .def_prop_ro("position", [](PyTicket& self) { return self.place().position; })
      .def_prop_ro("estimate_ms",
                   [](PyTicket& self) -> std::optional<uint64_t> {
                     const quire_queue_place place = self.place();
                     if (place.estimate_known == 0) return std::nullopt;
                     return place.estimate_ms;
                   })
      .def("poll", &PyTicket::poll, nb::arg("wait_ms") = 0,
           "The session, once, or None while it is queued.");
  nb::class_<quire_segment>(m, "Segment", "Memory of the daemon as it is mapped, read-only.")
      .def_ro("daemon_epoch", &quire_segment::daemon_epoch)
      .def_ro("segment", &quire_segment::segment)
      .def_prop_ro("address",
                   [](const quire_segment& segment) {
                     return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(segment.data));
                   })
      .def_ro("nbytes", &quire_segment::bytes);
}

void connect(PyClient* self, const std::optional<std::string>& socket_path, const std::string& name,
             uint32_t connect_timeout_ms, uint32_t call_timeout_ms, uint32_t spin_us,
             uint32_t daemon_wait_ms, bool lazy_segments, uint64_t staging_bytes,
             nb::object observer) {
  const ConnectWords words{.connect_timeout_ms = connect_timeout_ms,
                           .call_timeout_ms = call_timeout_ms,
                           .spin_us = spin_us,
                           .daemon_wait_ms = daemon_wait_ms,
                           .lazy_segments = lazy_segments,
                           .staging_bytes = staging_bytes};
  new (self) PyClient(socket_path, name, words, std::move(observer));
}

}  // namespace

void bind_client(nb::module_& m) {
  bind_ticket(m);
  nb::class_<PyClient> client(m, "Client", nb::is_final(),
                              "A connection to quired. A context manager.");
  client
      .def("__init__", &connect, nb::arg("socket_path").none() = nb::none(),
           nb::arg("name") = "python", nb::kw_only(), nb::arg("connect_timeout_ms") = 5000,
           nb::arg("call_timeout_ms") = 30000, nb::arg("spin_us") = 20,
           nb::arg("daemon_wait_ms") = 0, nb::arg("lazy_segments") = false,
           nb::arg("staging_bytes") = 0, nb::arg("observer").none() = nb::none(),
           "Connects. socket_path None: $QUIRE_SOCKET, else /run/quire/quired.sock.")
      .def("__enter__", [](nb::handle_t<PyClient> self) { return nb::borrow(self); })
      .def("__exit__", [](PyClient& self, const nb::args&) { self.close(); })
      .def("close", &PyClient::close, "Disconnects; sessions go on.")
      .def_prop_ro("closed", &PyClient::closed)
      .def(
          "ping", [](PyClient& self) { self.waiting(quire_ping); },
          "A round trip through the daemon's core.")
      .def("status", &status, "The daemon's status document (docs/status.md).")
      .def(
          "reconnect",
          [](PyClient& self, uint32_t timeout_ms) {
            self.waiting([&](quire_client* raw) { return quire_reconnect(raw, timeout_ms); });
          },
          nb::arg("timeout_ms") = 5000, "After UnavailableError: tries again with back-off.")
      .def_prop_ro("daemon_epoch",
                   [](PyClient& self) {
                     uint64_t epoch = 0;
                     self.at_once([&](quire_client* raw) {
                       epoch = quire_daemon_epoch(raw);
                       return QUIRE_OK;
                     });
                     return epoch;
                   })
      .def(
          "fileno",
          [](PyClient& self) {
            int fd = -1;
            self.at_once([&](quire_client* raw) {
              fd = quire_client_fd(raw);
              return QUIRE_OK;
            });
            return fd;
          },
          "Readable when the daemon sent news: call progress.")
      .def(
          "progress", [](PyClient& self) { self.waiting(quire_client_progress); },
          "Handles news without blocking.");
  bind_sessions(client);
}

}  // namespace quire::client
