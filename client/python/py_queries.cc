// What a session answers: from memory, and from the daemon.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>

#include <array>
#include <optional>
#include <vector>

#include "client/python/py_answers.h"
#include "client/python/py_layout.h"
#include "client/python/py_session.h"

namespace quire::client {

namespace {

nb::bytes token(PySession& self) {
  std::array<uint8_t, QUIRE_TOKEN_BYTES> bytes{};
  self.at_once([&](quire_session* raw) {
    quire_session_token(raw, bytes.data());
    return QUIRE_OK;
  });
  return nb::bytes(bytes.data(), bytes.size());
}

nb::bytes root(PySession& self) {
  std::array<uint8_t, QUIRE_HASH_BYTES> bytes{};
  self.at_once([&](quire_session* raw) {
    quire_session_root(raw, bytes.data());
    return QUIRE_OK;
  });
  return nb::bytes(bytes.data(), bytes.size());
}

nb::bytes chain(PySession& self, size_t first_unit) {
  std::vector<uint8_t> hashes;
  size_t count = 0;
  self.at_once([&](quire_session* raw) -> quire_status {
    const quire_status status = quire_session_chain(raw, first_unit, nullptr, 0, &count);
    if (status != QUIRE_OK) return status;
    hashes.resize(count * QUIRE_HASH_BYTES);
    return quire_session_chain(raw, first_unit, hashes.data(), count, &count);
  });
  return nb::bytes(hashes.data(), hashes.size());
}

nb::tuple staging(PySession& self) {
  void* data = nullptr;
  uint64_t bytes = 0;
  self.at_once([&](quire_session* raw) {
    quire_session_staging(raw, &data, &bytes);
    return QUIRE_OK;
  });
  return nb::make_tuple(reinterpret_cast<uintptr_t>(data), bytes);
}

template <typename T, typename Get>
T word(PySession& self, Get get) {
  T value{};
  self.at_once([&](quire_session* raw) {
    value = get(raw);
    return QUIRE_OK;
  });
  return value;
}

quire_progress progress(PySession& self) {
  auto result = sized<quire_progress>();
  self.at_once([&](quire_session* raw) { return quire_session_progress(raw, &result); });
  return result;
}

quire_checkpoint_policy policy(PySession& self) {
  auto result = sized<quire_checkpoint_policy>();
  self.at_once([&](quire_session* raw) { return quire_session_checkpoint_policy(raw, &result); });
  return result;
}

nb::list wanted(PySession& self, uint32_t from_tokens, uint32_t end_tokens,
                uint32_t branch_tokens) {
  auto options = sized<quire_wanted_options>();
  options.from_tokens = from_tokens;
  options.end_tokens = end_tokens;
  options.branch_tokens = branch_tokens;
  std::vector<quire_wanted_checkpoint> found(64);
  size_t count = 0;
  const auto ask = [&](quire_session* raw) {
    return quire_session_wanted_checkpoints(raw, &options, found.data(), found.size(), &count);
  };
  self.at_once(ask);
  // An operator may ask for more between the two calls; what found no room is asked for next turn.
  if (count > found.size()) {
    found.resize(count);
    self.at_once(ask);
  }
  return wanted_list(found.data(), std::min(count, found.size()));
}

quire_locate_result locate(PySession& self, std::optional<uint32_t> tokens) {
  auto result = sized<quire_locate_result>();
  self.waiting([&](quire_session* raw) {
    return quire_locate(raw, tokens.value_or(quire_token_count(raw)), &result);
  });
  return result;
}

PyPositions positions(PySession& self, std::optional<uint32_t> prompt_tokens, uint32_t have_tokens,
                      bool every_block, uint32_t max_positions) {
  auto options = sized<quire_positions_options>();
  options.have_tokens = have_tokens;
  options.every_block = every_block ? 1 : 0;
  PyPositions found;
  found.list.resize(std::min<uint32_t>(max_positions, QUIRE_MAX_POSITIONS));
  self.waiting([&](quire_session* raw) {
    return quire_positions(raw, prompt_tokens.value_or(quire_token_count(raw)), &options,
                           found.list.data(), found.list.size(), &found.result);
  });
  found.list.resize(found.result.count);
  return found;
}

nb::bytes hand_over(PySession& self) {
  std::array<uint8_t, QUIRE_HAND_OVER_BYTES> address{};
  self.waiting([&](quire_session* raw) { return quire_hand_over(raw, address.data()); });
  return nb::bytes(address.data(), address.size());
}

void follow(PySession& self, const nb::bytes& address, std::optional<uint32_t> prompt_tokens) {
  if (address.size() != QUIRE_HAND_OVER_BYTES) {
    raise_error(QUIRE_INVALID_ARGUMENT,
                "address: the 64 bytes that Session.hand_over gave are needed");
  }
  self.waiting([&](quire_session* raw) {
    return quire_follow(raw, static_cast<const uint8_t*>(address.data()),
                        prompt_tokens.value_or(quire_token_count(raw)));
  });
}

// A wait of Python's: in slices, so that a signal (Ctrl-C) ends it.
template <typename Wait>
void wait_in_slices(PySession& self, uint32_t timeout_ms, Wait wait) {
  constexpr uint32_t kSliceMs = 100;
  for (uint32_t left_ms = timeout_ms;; left_ms -= kSliceMs) {
    const uint32_t slice_ms = std::min(left_ms, kSliceMs);
    const Outcome outcome =
        self.try_waiting([&](quire_session* raw) { return wait(raw, slice_ms); });
    if (outcome.status != QUIRE_DEADLINE_EXCEEDED || left_ms <= kSliceMs) return check(outcome);
    if (PyErr_CheckSignals() != 0) nb::raise_python_error();
  }
}

}  // namespace

void bind_session_queries(SessionClass& session) {
  session.def_prop_ro("id", [](PySession& self) { return word<uint64_t>(self, quire_session_id); })
      .def_prop_ro("token", &token)
      .def_prop_ro("root", &root)
      .def_prop_ro("token_count",
                   [](PySession& self) { return word<uint32_t>(self, quire_token_count); })
      .def_prop_ro("staging", &staging)
      .def("chain", &chain, nb::arg("first_unit") = 0, "Chain hashes, 32 bytes a whole unit.")
      .def("progress", &progress, "How far all processes of the session have come.")
      .def("hand_over", &hand_over, "Gives the session to another host; its address, 64 bytes.")
      .def("follow", &follow, nb::arg("address"), nb::arg("prompt_tokens").none() = nb::none(),
           "Follows a session that another host gave away.")
      .def("checkpoint_policy", &policy, "What the operator asks of this session now.")
      .def_prop_ro("tail_tokens",
                   [](PySession& self) { return word<uint32_t>(self, quire_session_tail_tokens); })
      .def_prop_ro("offer_tokens",
                   [](PySession& self) { return word<uint32_t>(self, quire_session_offer_tokens); })
      .def("wanted_checkpoints", &wanted, nb::arg("from_tokens"), nb::arg("end_tokens"),
           nb::arg("branch_tokens") = 0,
           "(tokens, reason) of the checkpoints to write in (from_tokens, end_tokens].")
      .def("locate", &locate, nb::arg("tokens").none() = nb::none(),
           "How much of the first tokens is here. Pins nothing.")
      .def("positions", &positions, nb::arg("prompt_tokens").none() = nb::none(), nb::kw_only(),
           nb::arg("have_tokens") = 0, nb::arg("every_block") = false,
           nb::arg("max_positions") = 256, "All positions at which the prompt could be resumed.")
      .def(
          "layer_ready_tokens",
          [](PySession& self, uint32_t layer) {
            return word<uint32_t>(
                self, [layer](quire_session* raw) { return quire_layer_ready_tokens(raw, layer); });
          },
          nb::arg("layer"))
      .def(
          "wait_for_tokens",
          [](PySession& self, uint32_t tokens, uint32_t timeout_ms) {
            wait_in_slices(self, timeout_ms, [tokens](quire_session* raw, uint32_t slice_ms) {
              return quire_wait_for_tokens(raw, tokens, slice_ms);
            });
          },
          nb::arg("tokens"), nb::arg("timeout_ms"), "Until commits reach `tokens`.")
      .def(
          "wait_for_room",
          [](PySession& self, uint32_t end_tokens, uint32_t timeout_ms) {
            wait_in_slices(self, timeout_ms, [end_tokens](quire_session* raw, uint32_t slice_ms) {
              return quire_wait_for_room(raw, end_tokens, slice_ms);
            });
          },
          nb::arg("end_tokens"), nb::arg("timeout_ms"),
          "Of prefill: until a span that ends there may be begun.")
      .def(
          "wait",
          [](PySession& self, uint32_t timeout_ms) {
            wait_in_slices(self, timeout_ms, [](quire_session* raw, uint32_t slice_ms) {
              return quire_wait(raw, slice_ms);
            });
          },
          nb::arg("timeout_ms"), "Until poll has something.");
}

}  // namespace quire::client
