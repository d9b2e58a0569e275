#include "tests/support/writer.h"

#include "tests/support/oracle.h"

namespace quire::tests {

using client::Session;
using model::FillKind;

uint32_t content_version(const model::Layout& layout, model::GroupIndex group) {
  const bool bf16 = layout.groups[group].element_format == model::ElementFormat::kBf16;
  return bf16 ? kLikeBf16 : 0;
}

std::vector<uint32_t> context_tokens(uint32_t count, uint64_t context) {
  std::vector<uint32_t> tokens(count);
  for (uint32_t i = 0; i < count; ++i) {
    tokens[i] = static_cast<uint32_t>((context * 1'000'003 + i * 7) & 0xffffff);
  }
  return tokens;
}

uint64_t object_key(const Session& session, uint32_t end_tokens, FillKind kind) {
  const uint32_t units = end_tokens / session.layout().unit_tokens;
  return session.chain()[units - 1].word(0) ^ (kind == FillKind::kSpan ? 0 : 0x5555);
}

client::SessionOptions session_options(const model::Layout& layout,
                                       const std::string& namespace_name,
                                       const std::string& tenant) {
  client::SessionOptions options;
  options.layout = layout;
  options.namespace_name = namespace_name;
  options.tenant = tenant;
  options.max_tokens = 4096;
  options.max_load_pages = 4096;
  options.staging_bytes = 1 << 20;
  return options;
}

std::unique_ptr<Session> open_session(client::Client& client,
                                      const client::SessionOptions& options) {
  auto opened = client.open_session(options);
  if (!opened.ok()) std::fprintf(stderr, "open_session: %s\n", opened.error().text.c_str());
  QUIRE_CHECK(opened.ok());
  return std::move(opened).value();
}

model::Result<model::CommitResult> commit_object(Session& session, FillKind kind,
                                                 uint32_t end_tokens, uint64_t groups,
                                                 model::CheckpointReason reason) {
  const client::Fill fill =
      QUIRE_TRY(session.begin_fill(kind, end_tokens, {.groups = groups, .reason = reason}));
  if (fill.duplicate) {
    model::CommitResult result{};
    result.visible = result.duplicate = 1;
    return result;
  }
  const uint64_t key = object_key(session, end_tokens, kind);
  for (const model::PlannedPage& page : fill.plan.pages) {
    fill_page(std::span(fill.staging + page.staging_offset, page.bytes), key, page.group,
              content_version(session.layout(), page.group));
  }
  return session.commit(fill);
}

model::Result<void> commit_context(Session& session, uint32_t tokens) {
  const model::Layout& layout = session.layout();
  for (uint32_t end = layout.block_tokens; end <= tokens; end += layout.block_tokens) {
    QUIRE_TRY(commit_object(session, FillKind::kSpan, end));
  }
  const uint32_t checkpoint = model::last_resume_point(layout, tokens);
  if (model::needs_checkpoint(layout) && checkpoint > 0) {
    QUIRE_TRY(commit_object(session, FillKind::kCheckpoint, checkpoint));
  }
  return {};
}

bool check_content(const Session& session, const client::PageView& page, uint64_t key) {
  const std::span<const std::byte> bytes(page.data, page.bytes);
  return check_page(bytes, key, page.group, content_version(session.layout(), page.group)) ||
         check_page(bytes, key, page.group);
}

int check_hit(Session& session, const model::MatchResult& match) {
  const auto loaded = session.load(match.lease);
  if (!loaded.ok()) return -1;
  const model::Layout& layout = session.layout();
  const size_t span_pages = loaded->pages.size() - loaded->checkpoint_count;
  const size_t per_span = loaded->block_count == 0 ? 1 : span_pages / loaded->block_count;
  for (size_t i = 0; i < loaded->pages.size(); ++i) {
    const client::PageView& page = loaded->pages[i];
    const bool span = i < span_pages;
    const auto end =
        span ? static_cast<uint32_t>(i / per_span + 1) * layout.block_tokens : match.exact_tokens;
    const uint64_t key = object_key(session, end, span ? FillKind::kSpan : FillKind::kCheckpoint);
    if (page.bytes != layout.groups[page.group].page_bytes) return -1;
    if (!check_content(session, page, key)) return -1;
    if (!client::verify_page(page)) return -1;
  }
  return static_cast<int>(loaded->pages.size());
}

}  // namespace quire::tests
