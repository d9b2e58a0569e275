// A match's lease in Python, and the pages and runs that its loads delivered. A hit is held, being
// released, or released; wanted released while buffers of its pages exist (py_buffer.h).
#pragma once

#include <cstdint>

#include "client/python/py_buffer.h"
#include "client/python/py_session.h"

namespace quire::client {

class PyHit final : public Exporter {
 public:
  PyHit(nb::object owner, PySession& session, const quire_match_result& result)
      : owner_(std::move(owner)), session_(session), result_(result), held_(result.lease != 0) {}
  ~PyHit() override;

  const quire_match_result& result() const { return result_; }
  PySession& session() { return session_; }
  uint64_t lease() const { return held_ && !release_wanted_ ? result_.lease : 0; }
  bool open() const override { return lease() != 0 && session_.open(); }
  std::string_view closed_text() const override;
  // Raises ClosedError.
  void require_open() const;

  // Raises BufferInUseError while there are buffers: the lease ends with the last of them then.
  void release();
  void release_quietly();
  // The release was submitted: nothing of the hit may be looked at any more.
  void released() { held_ = false; }
  void still_held() { held_ = true; }
  // Raises BufferInUseError, and nothing has happened, while there are buffers.
  void require_no_buffers() const;

 private:
  void first_export() override { session_.first_export(); }
  void exports_over() override;
  Outcome end_lease();
  // Where nobody can be told of a failure: now, or when the session is polled.
  void end_or_leave();

  nb::object owner_;  // the session's object
  PySession& session_;
  quire_match_result result_;
  bool held_;
  bool release_wanted_ = false;  // while export_count() > 0
};

// Views of one load. They lie in the library's memory while the lease is held, so each access asks
// the hit first.
struct PyPages {
  nb::object hit;
  PyHit* lease = nullptr;
  quire_pages loaded;
};
struct PyRuns {
  nb::object hit;
  PyHit* lease = nullptr;
  quire_runs loaded;
};
struct PyPage {
  nb::object hit;
  PyHit* lease = nullptr;
  quire_page_view view;

  Exportable exportable() const;
};
struct PyRun {
  nb::object hit;
  PyHit* lease = nullptr;
  quire_run_view view;

  Exportable exportable() const;
};

// What of a hit is asked for.
quire_load_options load_options(uint64_t groups, uint32_t first_block, uint32_t block_count,
                                bool checkpoint, bool layer_major, uint32_t deadline_ms);

void bind_hit(nb::module_& m);
void bind_pages(nb::module_& m);

}  // namespace quire::client
