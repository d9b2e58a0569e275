// One object being written, in Python: writing, committing (submitted), or ended. Aborts unless
// committed. Its pages are staging memory, so it ends only when no buffer of them exists.
#pragma once

#include <cstdint>

#include "client/python/py_buffer.h"
#include "client/python/py_session.h"

namespace quire::client {

struct FillPlace {
  quire_fill_kind kind = QUIRE_FILL_SPAN;
  uint32_t end_tokens = 0;
};

class PyFill final : public Exporter {
 public:
  PyFill(nb::object owner, PySession& session, const quire_fill& fill, const FillPlace& place)
      : owner_(std::move(owner)), session_(session), fill_(fill), place_(place) {}
  ~PyFill() override;

  const quire_fill& raw() const { return fill_; }
  const FillPlace& place() const { return place_; }
  PySession& session() { return session_; }
  bool open() const override { return state_ == State::kWriting && session_.open(); }
  std::string_view closed_text() const override;

  quire_commit_result commit();
  void abort();
  void abort_quietly();
  // For a commit that goes through the ring: raises unless it may be submitted.
  void require_committable() const;
  void submitted() { state_ = State::kCommitting; }
  // What became of a commit.
  void settle(quire_status status);

 private:
  enum class State : uint8_t { kWriting, kCommitting, kEnded };

  void first_export() override { session_.first_export(); }
  void exports_over() override;
  void end();

  nb::object owner_;  // the session's object
  PySession& session_;
  quire_fill fill_;
  FillPlace place_;
  State state_ = State::kWriting;
  bool abort_wanted_ = false;  // while export_count() > 0
};

void bind_fill(nb::module_& m);

}  // namespace quire::client
