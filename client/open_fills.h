// Fills that a session began and neither committed nor aborted yet, with their part of the staging
// area. A commit or abort names its fill by id and place (the daemon may grant one fill twice, for
// different groups); one that is not here was ended before.
// Threads: the session's.
#pragma once

#include <cstdint>
#include <vector>

#include "client/request_table.h"

namespace quire::client {

inline constexpr size_t kMaxOpenFills = 1024;  // the staging area is full long before

struct OpenFill {
  uint64_t fill = 0;
  uint64_t groups = 0;
  AreaRun run;
  bool ending = false;  // a commit or abort is in flight: the daemon may be reading the bytes
};

class OpenFills {
 public:
  OpenFills() { fills_.reserve(kMaxOpenFills); }
  // Precondition: fewer than kMaxOpenFills, as the staging area's runs are.
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

 private:
  std::vector<OpenFill> fills_;
};

}  // namespace quire::client
