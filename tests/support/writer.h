// What most tests do with a session: commit spans and checkpoints with bytes of the oracle, and
// check what a load returns. Pages of bf16 groups have content like it, that compresses.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "client/quire.h"

namespace quire::tests {

// Token ids of a context: equal for equal `context`, different from the first token on otherwise.
std::vector<uint32_t> context_tokens(uint32_t count, uint64_t context);
// The oracle's key of an object of a session: from its chain hash.
uint64_t object_key(const client::Session& session, uint32_t end_tokens, model::FillKind kind);

client::SessionOptions session_options(const model::Layout& layout,
                                       const std::string& namespace_name = "model",
                                       const std::string& tenant = "tenant");
std::unique_ptr<client::Session> open_session(client::Client& client,
                                              const client::SessionOptions& options);

// Fills and commits one object. Result as Session::commit; a duplicate yields visible = duplicate
// = 1.
model::Result<model::CommitResult> commit_object(
    client::Session& session, model::FillKind kind, uint32_t end_tokens, uint64_t groups = 0,
    model::CheckpointReason reason = model::CheckpointReason::kTurnEnd);
// Every span of the first `tokens` tokens and, for layouts with checkpoints, one at the last resume
// point of a prompt of `tokens`.
model::Result<void> commit_context(client::Session& session, uint32_t tokens);

// What commit_object gives fill_page: kLikeBf16 for pages of bf16.
uint32_t content_version(const model::Layout& layout, model::GroupIndex group);
// True when every byte of a delivered page is right for the object of this key: as commit_object
// fills it, or as fill_page does without a version.
bool check_content(const client::Session& session, const client::PageView& page, uint64_t key);

// Loads a match whole and compares every byte. The number of pages, or -1 when one is wrong.
int check_hit(client::Session& session, const model::MatchResult& match);

}  // namespace quire::tests
