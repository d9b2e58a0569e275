// Small values that daemons which share a tier leave for each other, by name: written whole, read
// whole, and gone when somebody removes them. For what hosts tell each other of a hand-over
// (server/control/host_handover.h), and nothing that anything depends on: a note may be lost.
//
// Owed by the tier: each write and read ends in one answer, however the device fares. Threads: core
// only. Bound: the callers', who have one operation a name under way.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "model/result.h"

namespace quire::tiering {

struct NoteAnswer {
  uint32_t job = 0;
  // kNotFound: there is none of this name. kIoError: it could not be written, or read.
  model::Errc code = model::Errc::kOk;
  std::string value;  // of a read
};

class SharedNotes {
 public:
  static constexpr size_t kMaxNoteBytes = 4096;

  virtual ~SharedNotes() = default;
  // Which store it is: daemons with equal ones read each other's notes. Zeros: not known yet.
  virtual std::array<uint8_t, 16> store() const = 0;
  // `job`: unique among those under way.
  virtual void write(uint32_t job, const std::string& name, const std::string& value) = 0;
  virtual void read(uint32_t job, const std::string& name) = 0;
  // Nobody is told.
  virtual void remove(const std::string& name) = 0;
  // In order; the taker empties it.
  virtual std::vector<NoteAnswer>& answers() = 0;
};

}  // namespace quire::tiering
