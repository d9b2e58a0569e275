// A session whose hashes, fills, commits and loads are made by hand: it may claim any hash, commit
// in any order and wait for nothing. Refusals are answers.
#pragma once

#include <cstdint>

#include "tests/support/raw_client.h"

namespace quire::tests {

// Differs for different numbers.
model::Hash256 numbered_hash(uint64_t number);

inline model::Errc code_of(const model::Completion& completion) {
  return static_cast<model::Errc>(completion.code);
}

class RawWriter {
 public:
  // The chain hashes are numbered by context and position.
  RawWriter(RawClient& client, const model::Layout& layout, const RawShape& shape,
            uint64_t context);

  RawSession& session() { return session_; }
  void claim_context(uint64_t context);

  // One begin_fill, and its completion. No other completion may be on its way.
  model::Completion begin(uint32_t end_units, model::FillKind kind = model::FillKind::kSpan);
  // The fill's id; 0 when it was refused or exists.
  uint64_t granted(uint32_t end_units, model::FillKind kind = model::FillKind::kSpan);
  // These do not wait.
  void submit_commit(uint64_t fill, uint32_t deadline_ms = 0);
  void submit_match(uint32_t units, uint32_t prompt_tokens);
  void submit_load(uint64_t lease);
  void submit_release(uint64_t lease);
  // One abort, and its code.
  model::Errc abort(uint64_t fill);
  // Begins and commits every span up to `units`, the first first; one that is refused is left out.
  void commit_chain(uint32_t units);
  // Begins every span up to `units` and commits all but the first, the deepest first. The first
  // one's fill; 0 when not all were granted, and nothing is committed then.
  uint64_t commit_all_but_the_first(uint32_t units);

 private:
  RawSession session_;
  uint32_t max_units_;
};

}  // namespace quire::tests
