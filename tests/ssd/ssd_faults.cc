#include "tests/ssd/ssd_faults.h"

#include <array>

#include "tests/support/patient_client.h"

namespace quire::tests {

using client::LoadedPages;
using client::Session;
using model::FillKind;
using model::NodeId;

FaultySsd::FaultySsd(const OptionsChange& change, server::DaemonSeams seams)
    : rig_({.wrap_engine =
                [this](std::unique_ptr<tiering::IoEngine> inner) {
                  auto engine = std::make_unique<FaultyEngine>(std::move(inner));
                  engine_ = engine.get();
                  return engine;
                },
            .manifest_env = seams.manifest_env,
            .clock = seams.clock,
            .adjust_demotion = seams.adjust_demotion},
           change) {}

void FaultySsd::with_engine(const std::function<void(FaultyEngine&)>& function) {
  daemon().on_core([&](server::Daemon&) { function(*engine_); });
}

void FaultySsd::add_fault(const Fault& fault) {
  with_engine([&](FaultyEngine& engine) { engine.add_fault(fault); });
}

void FaultySsd::clear_faults() {
  with_engine([](FaultyEngine& engine) { engine.clear_faults(); });
}

uint64_t FaultySsd::faults_acted() {
  uint64_t count = 0;
  with_engine([&](FaultyEngine& engine) { count = engine.faults_acted(); });
  return count;
}

size_t FaultySsd::held_count() {
  size_t count = 0;
  with_engine([&](FaultyEngine& engine) { count = engine.held_count(); });
  return count;
}

void FaultySsd::release_held(size_t count) {
  with_engine([&](FaultyEngine& engine) { engine.release_held(count); });
}

bool FaultySsd::wait_for_held(size_t count) {
  return daemon().eventually([&](server::Daemon&) { return engine_->held_count() >= count; });
}

OptionsChange MemoryDirectory::use(const std::string& engine) const {
  return [path = directory_ / "ssd", engine](server::Options& options) {
    options.ssd_path = path;
    options.ssd_engine = engine;
    options.population = allocator::Population::kLazy;
    options.log_level = "error";
    options.max_nodes = 1 << 14;
    options.ssd_write_delay_ms = 20;  // long runs: few operations
  };
}

MemorySsd::MemorySsd(uint32_t hang_ms)
    : FaultySsd([=, this](server::Options& options) {
        use()(options);
        options.ssd_hang_ms = hang_ms;
      }) {}

std::unique_ptr<client::Client> connect_lazily(TestDaemon& daemon) {
  client::ClientOptions options = patient_client(daemon.socket_path());
  options.populate_segments = false;
  auto connected = client::Client::connect(options);
  QUIRE_CHECK(connected.ok());
  return std::move(connected).value();
}

std::string judge_pages(const Session& session, const model::MatchResult& match,
                        const LoadedPages& loaded) {
  const model::Layout& layout = session.layout();
  const uint32_t asked = match.exact_tokens / layout.block_tokens;
  const size_t per_span =
      model::plan_pages(layout, FillKind::kSpan, layout.block_tokens, 0).pages.size();
  const size_t per_checkpoint =
      model::needs_checkpoint(layout)
          ? model::plan_pages(layout, FillKind::kCheckpoint, match.exact_tokens, 0).pages.size()
          : 0;
  const size_t span_pages = loaded.pages.size() - loaded.checkpoint_count;
  if (span_pages != loaded.block_count * per_span) return "a half span";
  if (loaded.block_count > asked) return "more blocks than asked for";
  if (loaded.checkpoint_count != 0 && loaded.checkpoint_count != per_checkpoint) {
    return "a half checkpoint";
  }
  const bool whole = loaded.block_count == asked && loaded.checkpoint_count == per_checkpoint;
  if (loaded.checkpoint_count != 0 && loaded.block_count != asked) return "a checkpoint too early";
  if (whole != (loaded.limited_by == model::Errc::kOk)) return "the reason does not fit";
  for (size_t i = 0; i < loaded.pages.size(); ++i) {
    const client::PageView& page = loaded.pages[i];
    const bool span = i < span_pages;
    const auto end =
        span ? static_cast<uint32_t>(i / per_span + 1) * layout.block_tokens : match.exact_tokens;
    const uint64_t key = object_key(session, end, span ? FillKind::kSpan : FillKind::kCheckpoint);
    if (page.bytes != layout.groups[page.group].page_bytes) return "a page of another size";
    if (!check_content(session, page, key)) {
      return "wrong bytes in page " + std::to_string(i);
    }
    if (!client::verify_page(page)) return "wrong checksum of page " + std::to_string(i);
  }
  return {};
}

Hit try_hit(SsdRig& rig, client::Client& client, uint64_t context, uint32_t tokens,
            const model::Layout& layout, const client::LoadOptions& options) {
  const auto reader = rig.session(client, context, tokens, layout);
  const auto match = reader->match(tokens + 1);
  QUIRE_CHECK(match.ok());
  Hit hit{.announced_tokens = match->exact_tokens,
          .tokens_ssd = match->tokens[model::TierId::kSsd]};
  if (match->exact_tokens == 0) return hit;
  const auto loaded = reader->load(match->lease, options);
  if (loaded.ok()) {
    hit.blocks = loaded->block_count;
    hit.checkpoint = loaded->checkpoint_count > 0;
    hit.code = loaded->limited_by;
    hit.wrong = judge_pages(*reader, *match, *loaded);
  } else {
    hit.code = loaded.code();
  }
  QUIRE_CHECK(reader->release(match->lease).ok());
  return hit;
}

namespace {

std::string audit_idle(server::Daemon& daemon) {
  daemon.cache().check_invariants();
  daemon.ssd_tier()->check_invariants();
  const uint64_t slots = inspect(daemon).ram_slot_count();
  const uint64_t pages = inspect(daemon).ram_page_count();
  if (slots != pages) {
    return std::to_string(slots) + " RAM slots for " + std::to_string(pages) + " pages";
  }
  const SsdStatus status = ssd_status(daemon);
  const CacheCounters counters = inspect(daemon).counters();
  const uint64_t copies = counters.ssd_spans + counters.ssd_checkpoints;
  // What is free in a sealed file stays taken.
  uint64_t kept = 0;
  for (const tiering::KeptCount& count : status.kept) kept += count.objects;
  const bool exact = status.sealed_files == 0 && kept == 0;
  if (exact ? status.space.used_slots != copies : status.space.used_slots < copies) {
    return std::to_string(status.space.used_slots) + " slots on the device for " +
           std::to_string(copies) + " copies";
  }
  if (status.stale_completions != 0) return "stale completions";
  const bool ok = status.state == tiering::TierMode::kOk;
  if (ok != status.reason.empty()) return "state and reason disagree: " + status.reason;
  if (ok != status.action.empty()) return "state and action disagree: " + status.action;
  return {};
}

}  // namespace

std::string audit(SsdRig& rig) {
  std::string wrong = "never idle";
  rig.daemon().eventually([&](server::Daemon& daemon) {
    const SsdStatus status = ssd_status(daemon);
    if (!daemon.tiers()->idle() || status.transfers != 0 || status.loads != 0) return false;
    wrong = audit_idle(daemon);
    return true;
  });
  return wrong;
}

bool serves_ram(SsdRig& rig, client::Client& client, uint64_t context) {
  constexpr uint32_t kTokens = 32;
  if (try_hit(rig, client, context, kTokens).announced_tokens != 0) return false;
  rig.commit(client, context, kTokens);
  const Hit hit = try_hit(rig, client, context, kTokens);
  return hit.announced_tokens == kTokens && hit.tokens_ssd == 0 && hit.checkpoint &&
         hit.wrong.empty();
}

std::string finish_load(Session& session, const model::MatchResult& match,
                        client::RequestId request) {
  std::array<model::Completion, 1> completion;
  if (!session.wait(kPatienceMs).ok()) return "no completion";
  if (*session.poll_completions(completion) != 1) return "no completion";
  const auto pages = session.take_pages(request, completion[0]);
  if (!pages.ok()) return pages.error().text;
  if (pages->limited_by != model::Errc::kOk) return "not the whole of it";
  return judge_pages(session, match, *pages);
}

bool wait_for_state(SsdRig& rig, tiering::TierMode state) {
  return rig.daemon().eventually(
      [&](server::Daemon& daemon) { return ssd_status(daemon).state == state; });
}

NodeId find_node(server::Daemon& daemon, const Session& session, FillKind kind,
                 uint32_t end_tokens) {
  const model::Hash256& key = session.chain()[end_tokens / session.layout().unit_tokens - 1];
  return inspect(daemon).find_anywhere(kind, key);
}

}  // namespace quire::tests
