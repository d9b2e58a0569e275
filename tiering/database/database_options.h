// Where a database lies, and what its users say of it.
#pragma once

#include <functional>
#include <string>

namespace rocksdb {
class Env;
}

namespace quire::tiering {

struct DatabaseOptions {
  std::string path;
  std::string name = "database";  // what texts call it
  std::string repair;             // what helps one that is corrupt, for the operator; may be empty
  const char* thread_name = "quire-database";  // at most 15 bytes
  rocksdb::Env* env = nullptr;  // null: the system's. Tests put a file system that fails here.
  bool read_only = false;
  // With read_only, where nothing is and nothing can be made now: it is empty, and there from
  // make_writable() on.
  bool absent = false;
  std::function<void()> on_done;  // after each group of batches
  // No thread: submit() returns when the batch is durable, or has failed (a simulation).
  bool on_caller = false;
};

// "the manifest DIR/manifest", for texts.
inline std::string text_of(const DatabaseOptions& options) {
  return "the " + options.name + " " + options.path;
}

}  // namespace quire::tiering
