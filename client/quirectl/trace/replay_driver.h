// An engine without a model: serves requests of a trace through libquire as an engine would. A
// session a request; what is announced is loaded and every byte of it compared, what is missing is
// committed with bytes that follow from its key. `bench replay` drives its daemons by it, too.
//
// A block's id, and where in the block a unit ends, is what the unit is hashed by: equal ids are
// equal prefixes, in whatever layout. Threads: one a driver; several drivers may have a client
// each.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "client/quire.h"
#include "model/layout.h"
#include "model/result.h"

namespace quire::client {

struct ReplayDriverOptions {
  model::Layout layout;
  std::string namespace_name = "replay";
  std::string salt;
  // False: what is announced is not loaded, and what is committed has any bytes.
  bool moves_bytes = true;
};

// A request of a trace. Lent for the call.
struct ReplayedRequest {
  uint32_t block_tokens = 0;             // of the ids
  std::span<const uint32_t> ids;         // of the prompt's blocks
  std::span<const uint32_t> output_ids;  // of blocks that it writes behind the prompt
  uint32_t output_tokens = 0;
  uint64_t conversation = 0;
};

struct ReplayedResult {
  uint32_t prompt_tokens = 0;  // that the ids name
  uint32_t hit_tokens = 0;     // that could be resumed
  uint32_t loaded_blocks = 0;
  uint32_t committed_spans = 0;
  uint32_t wrong_pages = 0;  // whose bytes are not those of their key
  int64_t match_ns = 0;
  int64_t load_ns = -1;  // -1: nothing was loaded
};

class ReplayDriver {
 public:
  // `client` outlives it.
  ReplayDriver(Client* client, ReplayDriverOptions options)
      : client_(client), options_(std::move(options)) {}

  // kInvalidArgument: blocks of this size and the layout's units do not fit into each other. Else
  // the error of the first call that failed; what was committed before stays.
  model::Result<ReplayedResult> serve(const ReplayedRequest& request);

 private:
  model::Result<std::unique_ptr<Session>> open(const ReplayedRequest& request,
                                               uint32_t context_tokens);
  model::Result<void> load(Session& session, const model::MatchResult& hit,
                           ReplayedResult& result) const;
  // The spans and wanted checkpoints of (from_tokens, end_tokens].
  model::Result<void> commit(Session& session, uint32_t from_tokens, uint32_t end_tokens,
                             const model::MatchResult& hit, ReplayedResult& result) const;
  model::Result<bool> commit_object(Session& session, model::FillKind kind, uint32_t end_tokens,
                                    model::CheckpointReason reason) const;

  Client* client_;
  ReplayDriverOptions options_;
};

// Units and blocks of `block_tokens`, with one page of `page_bytes` a block.
model::Layout small_replay_layout(uint32_t block_tokens, uint64_t page_bytes = 4096);

}  // namespace quire::client
