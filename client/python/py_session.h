// A session in Python: its handle behind a gate, and who of its hits and fills has buffers or
// requests outside. Members are touched with the GIL, but for the handle (with the gate).
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client/python/py_gate.h"

namespace quire::client {

class PyHit;
class PyFill;

class PySession {
 public:
  // Takes `raw` over. `observer` (or None) hears of segments as long as the session lives.
  PySession(quire_session* raw, nb::object layout, nb::object observer)
      : raw_(raw), layout_(std::move(layout)), observer_(std::move(observer)) {}
  ~PySession();
  PySession(const PySession&) = delete;
  PySession& operator=(const PySession&) = delete;

  // Not closed, and not to be closed with its last buffer; nor is this a forked child.
  bool open() const { return !closed_ && !close_wanted_ && !gate_.forked(); }
  bool closed() const { return closed_ || close_wanted_; }
  nb::object layout() const { return layout_; }
  // Raises BufferInUseError while there are buffers, and closes with the last of them then.
  void close();
  // At the end of a with block that raises already: as close(), without raising.
  void close_quietly();

  // One call of the handle; QUIRE_CLOSED when it is closed. `call(raw)` gives a status, and runs
  // without the GIL: always (waiting), or when another thread is in a call (at_once).
  template <typename Call>
  Outcome try_waiting(Call call) {
    return gate_.waiting([&] { return outcome_of(call); });
  }
  template <typename Call>
  void waiting(Call call) {
    check(try_waiting(call));
  }
  template <typename Call>
  Outcome try_at_once(Call call) {
    return gate_.at_once([&] { return outcome_of(call); });
  }
  template <typename Call>
  void at_once(Call call) {
    check(try_at_once(call));
  }
  // For destructors: false in a forked child, and within a segment observer.
  bool usable() const { return gate_.usable(); }

  // A hit or fill has buffers outside, or has none any more.
  void first_export() { ++exporters_; }
  void exports_over();

  // Submitted requests of hits and fills, by number; forgotten with their owner.
  std::unordered_map<uint64_t, PyHit*>& loads() { return loads_; }
  std::unordered_map<uint64_t, PyFill*>& commits() { return commits_; }
  // Submitted begin_fill: kind and end, until taken.
  std::unordered_map<uint64_t, std::pair<int, uint32_t>>& fills() { return fills_; }
  void forget(const PyHit* hit);
  void forget(const PyFill* fill);
  // A lease whose hit went while a load of it was in flight: released when polled.
  void release_later(uint64_t lease) { orphans_.push_back(lease); }
  void release_orphans();

 private:
  template <typename Call>
  Outcome outcome_of(Call& call) {
    if (raw_ == nullptr) return {QUIRE_CLOSED, "the session is closed: open another one"};
    const quire_status status = call(raw_);
    if (status == QUIRE_OK) return {};
    return {status, quire_session_error(raw_)};
  }
  void end();

  quire_session* raw_;  // null once closed
  nb::object layout_;
  nb::object observer_;
  CallGate gate_;
  bool closed_ = false;
  bool close_wanted_ = false;  // while exporters_ > 0
  uint32_t exporters_ = 0;     // hits and fills with buffers outside
  std::unordered_map<uint64_t, PyHit*> loads_;
  std::unordered_map<uint64_t, PyFill*> commits_;
  std::unordered_map<uint64_t, std::pair<int, uint32_t>> fills_;
  std::vector<uint64_t> orphans_;
};

// Whether a with block ends by an exception: __exit__'s first argument.
inline bool is_raising(const nb::args& exc) { return exc.size() > 0 && !exc[0].is_none(); }

// Parts of the class, by what they are about.
using SessionClass = nb::class_<PySession>;
void bind_session(nb::module_& m);
void bind_session_submissions(SessionClass& session);
void bind_session_queries(SessionClass& session);
void bind_answers(nb::module_& m);
void bind_completion(nb::module_& m);

}  // namespace quire::client
