// One operation on the cluster, and the way back to who asked for it. Its owner keeps it, and all
// memory that it names, until it comes back.
//
// Entries are keys with values in an object's omap, both any bytes. A change of entries is atomic,
// and happens only where `expected` holds; so hosts that change the same object need no lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace quire::tiering {

struct RadosEntry {
  std::string key;
  std::string value;
};

enum class RadosKind : uint8_t {
  kRead,           // [offset, offset + bytes) of the object into data
  kWriteWhole,     // the object is these bytes
  kRemove,         // the object with all of its entries
  kReadEntries,    // those of `keys` that are there, or all of them (kMaxEntriesRead), into entries
  kChangeEntries,  // sets `entries` and removes `keys`; ECANCELED: not what was expected
  // Those that wait for an answer of the monitors, or for a connection:
  kProbe,  // writes and reads an object; where `create` is set, the connection is made anew before
  kUsage,  // of the pool, into used_bytes and object_count
  kList,   // names of a part of the pool's objects, into names: part `offset` of `bytes` parts
};

inline constexpr size_t kMaxEntriesRead = 1024;

class ClusterClient;

struct RadosOp {
  RadosKind kind = RadosKind::kRead;
  std::string object;
  std::byte* data = nullptr;
  uint64_t bytes = 0;
  uint64_t offset = 0;
  std::vector<std::string> keys;
  std::vector<RadosEntry> entries;
  // What must be there; an empty value: nothing of this key. Of an object that must not be there
  // nothing can be expected: `create` says so.
  std::vector<RadosEntry> expected;
  bool create = false;  // EEXIST: it is there already
  ClusterClient* client = nullptr;

  // The answer.
  int error = 0;          // errno; 0: done
  uint64_t got = 0;       // bytes read
  std::string failure;    // of a probe: what failed, for people
  bool can_read = false;  // of a probe
  uint64_t used_bytes = 0;
  uint64_t object_count = 0;
  std::vector<std::string> names;  // of a list; of a probe that connected: the cluster's id

  // The pool's, between submit and the way back.
  void* handles[2] = {nullptr, nullptr};
  int step_error = 0;
  int64_t submitted_ns = 0;
};

}  // namespace quire::tiering
