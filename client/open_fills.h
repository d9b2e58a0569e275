// Fills that a session began and neither committed nor aborted yet, with their part of the staging
// area. A commit or abort names its fill by id and place (the daemon may grant one fill twice, for
// different groups); one that is not here was ended before. Bound: the staging area's runs.
// Threads: the session's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "client/request_table.h"

namespace quire::client {

struct OpenFill {
  uint64_t fill = 0;
  uint64_t groups = 0;
  AreaRun run;
  bool ending = false;  // a commit or abort is in flight: the daemon may be reading the bytes
};

class OpenFills {
 public:
  void add(const OpenFill& fill) { fills_.push_back(fill); }
  // Valid until the next add or remove.
  OpenFill* find(uint64_t fill, uint64_t staging_offset) {
    for (OpenFill& open : fills_) {
      if (open.fill == fill && open.run.offset == staging_offset) return &open;
    }
    return nullptr;
  }
  void remove(OpenFill& fill) {
    fill = fills_.back();
    fills_.pop_back();
  }
  std::span<OpenFill> all() { return fills_; }
  void clear() { fills_.clear(); }

 private:
  std::vector<OpenFill> fills_;
};

}  // namespace quire::client
