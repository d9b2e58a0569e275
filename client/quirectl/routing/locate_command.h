// `quirectl locate`: how much of a prompt a host holds, per tier, without a session and without a
// pin: a router's question.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "client/quire.h"
#include "model/result.h"

namespace quire::client {

struct LocateOptions {
  std::string layout_path;       // TOML
  ChainNames names;              // but for the layout
  std::string tokens_path;       // decimal token ids; "-": standard input
  std::string hashes_path;       // an engine's unit hashes in hex, 16 to 32 bytes; likewise
  uint32_t cluster_wait_ms = 0;  // 0: the cluster is not asked
  bool json = false;
};

// `in`: standard input. kExitNotFound: nothing is known under these names.
model::Result<int> run_locate(const ClientOptions& daemon, const LocateOptions& options,
                              std::istream& in, std::ostream& out);

}  // namespace quire::client
