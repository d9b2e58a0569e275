#include "tests/sim/sim_pressure.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "model/check.h"
#include "tests/sim/sim_judge.h"
#include "tests/sim/sim_session.h"

namespace quire::tests {

using model::Errc;
using model::FillKind;
using model::Submission;
using model::Verb;

namespace {

// Deadlines of two seconds come first, so that it is the daemon who says that it was too long.
constexpr uint32_t kTurnsOfAnAnswer = 2500;
constexpr uint64_t kMaxObjects = 400;
constexpr uint64_t kUsedAgain = 4;  // one object of so many that are written is used anew
constexpr uint32_t kTurnsOfASwitch = 200;

}  // namespace

SimPressure::SimPressure(SimStage* stage, uint32_t root)
    : stage_(stage), root_(root), process_(stage->core->connect(stage->world->roots[root].domain)) {
  domain_ = process_->domain;
  attachment_ = stage->core->open(*process_, SimSession::shape(), {.root = root}).attachment;
  QUIRE_CHECK(attachment_ != nullptr);
  ring_.emplace(*attachment_);
  for (const model::PlannedPage& page :
       model::plan_pages(layout(), FillKind::kSpan, layout().block_tokens, 0).pages) {
    span_bytes_ += (page.bytes + 4095) / 4096 * 4096;
  }
}

// Others are gone: what it holds goes in the turns of the end.
SimPressure::~SimPressure() {
  stage_->core->disconnect(std::move(process_));
  for (uint32_t i = 0; i < 100 && stage_->core->process_count() > 0; ++i) turn();
}

const model::Layout& SimPressure::layout() const { return stage_->world->layout_of(root_); }

void SimPressure::turn() {
  stage_->clock->advance(std::chrono::milliseconds(1));
  stage_->core->turn();
}

SimChain SimPressure::chain_of(uint64_t object) const {
  SimChain chain(layout().units_per_block());
  for (size_t u = 0; u < chain.size(); ++u) {
    const std::array<uint64_t, 2> name{0x7072657373ull + object, u};
    std::memcpy(chain[u].bytes.data(), name.data(), sizeof(name));
  }
  return chain;
}

// Without quotas and pins, for all tenants alike.
void SimPressure::use_lru() {
  cache::EvictionBoard& board = stage_->core->cache().board();
  stage_->core->cache().pins().clear_all();
  cache::ScopeRules& rules = stage_->core->cache().rules();
  std::vector<cache::ScopeName> names;
  for (const auto& [name, rule] : rules.all()) {
    if (rule.quota()) names.push_back(name);
  }
  for (const cache::ScopeName& name : names) QUIRE_CHECK(rules.set_quota(name, {}).ok());
  const std::string& domain = stage_->core->cache().names().domain_name(domain_);
  for (uint32_t i = 0; i < kTurnsOfASwitch; ++i) {
    if (rules.set_policy({model::TierId::kRam, domain, {}}, "lru").ok()) break;
    turn();  // another switch is under way
  }
  while (board.step(1 << 16)) {
  }
}

// Nothing: it waited for ever, and the judge knows.
std::optional<model::Completion> SimPressure::ask(Verb verb, Submission submission) {
  submission.verb = static_cast<uint16_t>(verb);
  ring_->submit(submission);
  ring_->ring();
  for (uint32_t i = 0; i < kTurnsOfAnAnswer; ++i) {
    turn();
    if (auto answer = ring_->take()) return answer;
  }
  stage_->judge->fail("a client that is alone has no answer to verb " +
                      std::to_string(submission.verb));
  return std::nullopt;
}

void SimPressure::write_staging(uint64_t object) {
  for (const model::PlannedPage& page :
       model::plan_pages(layout(), FillKind::kSpan, layout().block_tokens, 0).pages) {
    fill_sim_page(ring_->staging().subspan(page.staging_offset, page.bytes),
                  {.hash = chain_of(object).back(),
                   .root = root_,
                   .group = page.group,
                   .bytes = static_cast<uint32_t>(page.bytes)});
  }
}

bool SimPressure::write(uint64_t object) {
  ring_->set_hashes(chain_of(object));
  Submission begin{};
  begin.args.begin_fill.end_units = layout().units_per_block();
  const auto begun = ask(Verb::kBeginFill, begin);
  if (!begun) return false;
  if (static_cast<Errc>(begun->code) != Errc::kOk || begun->result.begin_fill.fill == 0) {
    stage_->judge->fail("a client that is alone begins object " + std::to_string(object) +
                        " and is told " +
                        std::string(model::errc_name(static_cast<Errc>(begun->code))));
    return false;
  }
  write_staging(object);
  Submission commit{};
  commit.args.commit.fill = begun->result.begin_fill.fill;
  const auto committed = ask(Verb::kCommit, commit);
  if (!committed) return false;
  if (committed->code == 0 && committed->result.commit.visible != 0) return true;
  stage_->judge->fail("a client that is alone commits, and it is not visible");
  return false;
}

// A match, which counts as a use.
bool SimPressure::is_there(uint64_t object) {
  ring_->set_hashes(chain_of(object));
  Submission match{};
  match.args.match.unit_count = layout().units_per_block();
  match.args.match.prompt_tokens = layout().block_tokens + 1;
  const auto found = ask(Verb::kMatch, match);
  if (!found || found->code != 0 || found->result.match.lease == 0) return false;
  const bool whole = found->result.match.span_tokens == layout().block_tokens;
  Submission release{};
  release.args.release.lease = found->result.match.lease;
  return ask(Verb::kRelease, release) && whole;
}

uint64_t SimPressure::half_of_memory() const {
  return stage_->core->pool().usage(domain_).segment_bytes / 2;
}

void SimPressure::run() {
  use_lru();
  constexpr uint64_t kHot = 1;  // object 0 is the session's tip, and stays for that
  uint64_t object = 0;
  for (; object < kMaxObjects; ++object) {
    if (!write(object)) return;
    const bool use = object > kHot && object % kUsedAgain == 0;
    if (use && !is_there(kHot) && !stage_->core->config().has_tier) {
      return stage_->judge->fail("an object that is used all the time was evicted");
    }
    if ((object + 1) * span_bytes_ > 3 * half_of_memory()) break;
  }
  // A tier pins what it writes, and its own policy says what goes from there.
  if (stage_->core->config().has_tier) return;
  const uint64_t fit = half_of_memory() / span_bytes_;
  for (uint64_t i = 0; i < fit && i <= object; ++i) {
    if (is_there(object - i)) continue;
    return stage_->judge->fail(std::to_string(fit) +
                               " objects fit in half of RAM, and that which " + std::to_string(i) +
                               " later ones were written after is gone");
  }
}

}  // namespace quire::tests
