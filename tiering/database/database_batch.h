// What users of a database change in it at once. Values: they copy and move. Threads: any one at a
// time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "model/result.h"

namespace quire::tiering {

// Changes that become durable together.
class DatabaseBatch {
 public:
  void put(std::string key, std::string value) {
    changes_.push_back({false, std::move(key), std::move(value)});
  }
  void erase(std::string key) { changes_.push_back({true, std::move(key), {}}); }
  // Work that must be done before any of the changes is written (law 8): the writer runs it, once.
  // Its error fails this batch alone, changes nothing in RocksDB, and is no failure() of the
  // database. Not run when the database takes no writes. Replaces earlier work.
  void first(std::function<model::Result<void>()> work) { work_ = std::move(work); }

  bool empty() const { return changes_.empty(); }  // of changes
  size_t size() const { return changes_.size(); }
  uint64_t tag = 0;  // the submitter's

  struct Change {
    bool erase = false;
    std::string key;
    std::string value;
  };
  const std::vector<Change>& changes() const { return changes_; }
  // What first() was given; ok when it was given nothing.
  model::Result<void> run_first() const { return work_ ? work_() : model::Result<void>{}; }

 private:
  std::vector<Change> changes_;
  std::function<model::Result<void>()> work_;
};

}  // namespace quire::tiering
