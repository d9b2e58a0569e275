#include "client/quirectl/layout_plan.h"

#include <charconv>
#include <filesystem>
#include <limits>

#include "model/boundary.h"
#include "model/limits.h"
#include "model/page_plan.h"
#include "model/session_shm.h"

namespace quire::client {

namespace {

using model::Errc;
using model::FillKind;
using model::Layout;
using model::make_error;
using model::PagePlan;
using model::PlannedPage;
using model::Result;

// The daemon's tables (cache/tree, allocator): an object is a node of 64 bytes and a place in the
// index, of which six share 64 bytes; a page is an entry of 16.
constexpr uint64_t kNodeBytes = 64 + 64 / 6;
constexpr uint64_t kPageEntryBytes = 16;

void add_objects(const PagePlan& object, uint64_t count, bool is_span, SessionPlan& plan) {
  uint64_t bytes = 0;
  for (const PlannedPage& page : object.pages) {
    const uint64_t whole = model::align_up(page.bytes, model::kPageAlignment);
    PlannedGroup& group = plan.groups[page.group];
    (is_span ? group.span_pages : group.checkpoint_pages) += count;
    group.bytes += count * whole;
    bytes += whole;
  }
  (is_span ? plan.span_bytes : plan.checkpoint_bytes) += count * bytes;
  plan.ram_bytes += count * bytes;
  plan.ssd_bytes += count * (bytes + model::kPageAlignment);
  plan.table_bytes += count * (kNodeBytes + kPageEntryBytes * object.pages.size());
}

Result<void> check_context(const Layout& layout, uint32_t tokens) {
  if (tokens < layout.block_tokens) {
    return make_error(Errc::kInvalidArgument, "--context is " + std::to_string(tokens) +
                                                  " tokens; a block of layout '" + layout.name +
                                                  "' has " + std::to_string(layout.block_tokens));
  }
  if (tokens / layout.unit_tokens <= model::kMaxUnits) return {};
  return make_error(Errc::kInvalidArgument,
                    "--context is " + std::to_string(tokens) + " tokens; at most " +
                        std::to_string(model::kMaxUnits) + " units of " +
                        std::to_string(layout.unit_tokens) + " are supported");
}

}  // namespace

Result<SessionPlan> plan_session(const Layout& layout, const PlanQuestion& question) {
  QUIRE_TRY(check_context(layout, question.context_tokens));
  SessionPlan plan{.context_tokens = question.context_tokens};
  for (const model::Group& group : layout.groups) {
    plan.groups.push_back({group.name, group.kind, group.page_bytes});
  }
  plan.spans = question.context_tokens / layout.block_tokens;
  const PagePlan span = model::plan_pages(layout, FillKind::kSpan, layout.block_tokens, 0);
  add_objects(span, plan.spans, true, plan);
  plan.load_bytes = plan.span_bytes;
  const model::ComputedRange range{.end_tokens = question.context_tokens};
  uint64_t last_bytes = 0;
  for (const model::WantedCheckpoint& wanted :
       model::wanted_checkpoints(layout, range, question.checkpoints)) {
    const PagePlan object = model::plan_pages(layout, FillKind::kCheckpoint, wanted.tokens, 0);
    const uint64_t before = plan.checkpoint_bytes;
    add_objects(object, 1, false, plan);
    plan.checkpoints.push_back(wanted.tokens);
    last_bytes = plan.checkpoint_bytes - before;
  }
  plan.load_bytes += last_bytes;
  return plan;
}

uint64_t sessions_in(uint64_t capacity_bytes, uint64_t session_bytes) {
  return session_bytes == 0 ? 0 : capacity_bytes / session_bytes;
}

uint64_t load_ms(uint64_t bytes, uint64_t bandwidth) {
  if (bandwidth == 0) return 0;
  // Whole seconds apart: the product of the rest stays below 2^64 up to 16 PiB a second.
  const uint64_t rest = bytes % bandwidth;
  return bytes / bandwidth * 1000 + (rest * 1000 + bandwidth - 1) / bandwidth;
}

Result<uint32_t> parse_tokens_count(std::string_view text) {
  const auto wrong = [&] {
    return make_error(Errc::kInvalidArgument,
                      "--context must be a number of tokens such as 200000, 128K or 1M; it is \"" +
                          std::string(text) + "\"");
  };
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc{} || end - parsed.ptr > 1) return wrong();
  const char unit = parsed.ptr == end ? ' ' : *parsed.ptr;
  if (unit != ' ' && unit != 'K' && unit != 'k' && unit != 'M' && unit != 'm') return wrong();
  const int shift = unit == ' ' ? 0 : unit == 'K' || unit == 'k' ? 10 : 20;
  if (number == 0 || number > std::numeric_limits<uint32_t>::max() >> shift) return wrong();
  return static_cast<uint32_t>(number << shift);
}

Result<std::string> find_layout_file(const std::string& path,
                                     const std::vector<std::string>& directories) {
  std::error_code error;
  const bool is_name = path.find('/') == std::string::npos;
  if (!is_name || std::filesystem::exists(path, error)) return path;
  std::string places;
  for (const std::string& directory : directories) {
    const std::string file = directory + "/" + path + ".toml";
    if (std::filesystem::exists(file, error)) return file;
    places += ", " + file;
  }
  return make_error(Errc::kInvalidArgument,
                    "no layout file '" + path + "', nor a shipped one" + places);
}

}  // namespace quire::client
