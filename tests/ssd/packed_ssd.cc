#include "tests/ssd/packed_ssd.h"

#include <utility>
#include <vector>

namespace quire::tests {

using model::FillKind;

namespace {

OptionsChange both(const OptionsChange& first, const OptionsChange& second) {
  return [first, second](server::Options& options) {
    first(options);
    options.ssd_write_delay_ms = 40;
    if (second) second(options);
  };
}

struct Piece {
  FillKind kind = FillKind::kSpan;
  uint32_t end_tokens = 0;
  bool noise = false;
  client::Fill fill;
};

// Of a context: its spans, and a checkpoint at its end.
std::vector<Piece> pieces_of(const model::Layout& layout, uint32_t tokens,
                             const std::function<bool(uint32_t)>& noise) {
  std::vector<Piece> pieces;
  for (uint32_t end = layout.block_tokens; end <= tokens; end += layout.block_tokens) {
    const uint32_t span = end / layout.block_tokens - 1;
    pieces.push_back({FillKind::kSpan, end, noise && noise(span), {}});
  }
  if (model::needs_checkpoint(layout)) {
    pieces.push_back({FillKind::kCheckpoint, tokens, pieces.back().noise, {}});
  }
  return pieces;
}

void fill_in(const client::Session& session, const Piece& piece) {
  const uint64_t key = object_key(session, piece.end_tokens, piece.kind);
  for (const model::PlannedPage& page : piece.fill.plan.pages) {
    fill_page(std::span(piece.fill.staging + page.staging_offset, page.bytes), key, page.group,
              piece.noise ? 0 : content_version(session.layout(), page.group));
  }
}

}  // namespace

PackedSsd::PackedSsd(const OptionsChange& change, const std::string& engine)
    : ssd_(both(memory_.use(engine), change)), client_(connect_lazily(ssd_.daemon())) {}

bool PackedSsd::learn(const model::Layout& layout, uint64_t first) {
  for (uint64_t i = 0; i < kLearnt; ++i) {
    if (!put(first + i, kLearntTokens, layout)) return false;
  }
  if (!rig().settle()) return false;
  const uint64_t encoded = demoter().encoded_objects;
  return commit(first + kLearnt, kLearntTokens, layout) && demoter().encoded_objects > encoded;
}

bool PackedSsd::commit(uint64_t context, uint32_t tokens, const model::Layout& layout,
                       const std::function<bool(uint32_t)>& noise) {
  return put(context, tokens, layout, noise) && rig().settle();
}

// All is filled in before the first of it is committed, so that they go in long runs.
bool PackedSsd::put(uint64_t context, uint32_t tokens, const model::Layout& layout,
                    const std::function<bool(uint32_t)>& noise) {
  client::SessionOptions options = session_options(layout);
  options.staging_bytes = 4 << 20;
  const auto session = open_session(*client_, options);
  if (!session->append_tokens(context_tokens(tokens + 1, context)).ok()) return false;
  std::vector<Piece> pieces = pieces_of(layout, tokens, noise);
  for (Piece& piece : pieces) {
    auto fill = session->begin_fill(piece.kind, piece.end_tokens, {});
    if (!fill.ok()) return false;
    piece.fill = std::move(fill).value();
    if (!piece.fill.duplicate) fill_in(*session, piece);
  }
  for (const Piece& piece : pieces) {
    if (!piece.fill.duplicate && !session->commit(piece.fill).ok()) return false;
  }
  return true;
}

Hit PackedSsd::hit(uint64_t context, uint32_t tokens, const model::Layout& layout,
                   const client::LoadOptions& options) {
  return try_hit(rig(), *client_, context, tokens, layout, options);
}

bool PackedSsd::is_whole(uint64_t context, uint32_t tokens, const model::Layout& layout,
                         const client::LoadOptions& options) {
  const Hit hit = this->hit(context, tokens, layout, options);
  return hit.announced_tokens == tokens && hit.code == model::Errc::kOk && hit.wrong.empty() &&
         hit.blocks == tokens / layout.block_tokens &&
         hit.checkpoint == model::needs_checkpoint(layout);
}

void PackedSsd::stop() {
  client_.reset();
  ssd_.daemon().stop();
}

void PackedSsd::start() {
  ssd_.daemon().start();
  client_ = connect_lazily(ssd_.daemon());
}

void PackedSsd::restart() {
  stop();
  start();
}

}  // namespace quire::tests
