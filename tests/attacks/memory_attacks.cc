// Attacks on memory: taking it, keeping it, asking for what cannot be had.
#include <poll.h>

#include <array>
#include <memory>
#include <optional>

#include "tests/attacks/attack.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/patient_client.h"
#include "tests/support/raw_client.h"
#include "tests/support/raw_writer.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests {

using client::Client;
using client::Session;
using model::FillKind;

namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint32_t kForeverMs = 0xffffffff;
constexpr uint32_t kBlock = 4;  // tokens
constexpr uint32_t kSegmentIds = 64;

model::Layout layout_of(uint64_t page_bytes, uint32_t groups) {
  model::Layout layout = small_append_layout();
  layout.name = "attack";
  layout.groups[0].page_bytes = page_bytes;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = page_bytes}};
  for (uint32_t i = 1; i < groups; ++i) {
    layout.groups.push_back(layout.groups[0]);
    layout.groups[i].name += std::to_string(i);
  }
  return layout;
}

std::unique_ptr<Client> insist(AttackGround& ground) {
  for (;;) {
    auto client = Client::connect(patient_client(ground.socket_path(), "attacker"));
    if (client.ok()) return std::move(client).value();
    ::poll(nullptr, 0, 1);
  }
}

std::unique_ptr<Session> session_of(Client& client, const model::Layout& layout, uint64_t context,
                                    uint32_t blocks) {
  auto options = session_options(layout);
  options.max_tokens = (blocks + 1) * kBlock;
  options.staging_bytes = std::max<uint64_t>(options.staging_bytes, 2 * kMiB);
  for (;;) {
    auto session = client.open_session(options);
    if (session.ok() &&
        (*session)->append_tokens(context_tokens(blocks * kBlock + 1, context)).ok()) {
      return std::move(session).value();
    }
    ::poll(nullptr, 0, 1);
  }
}

void commit_blocks(Client& client, const model::Layout& layout, uint64_t context, uint32_t blocks) {
  const auto session = session_of(client, layout, context, blocks);
  for (uint32_t block = 1; block <= blocks; ++block) {
    (void)commit_object(*session, FillKind::kSpan, block * kBlock);
  }
}

// Maps a segment that it has, as the library does. nullopt: it has none of this number.
std::optional<model::Mapping> map_segment(RawClient& raw, uint32_t id) {
  raw.send(model::FrameType::kMapSegment, model::struct_bytes(model::MapSegmentRequest{id, 0}));
  std::vector<model::FdGuard> descriptors;
  const auto reply = model::read_struct<model::MapSegmentReply>(raw.receive(&descriptors));
  if (!reply.ok() || descriptors.size() != 1) return std::nullopt;
  auto mapping = model::Mapping::map_shared(descriptors[0].get(), reply->info.bytes, false);
  if (!mapping.ok()) return std::nullopt;
  return std::move(mapping).value();
}

// All the RAM that can be had, mapped; it says of each segment at once that it unmapped it.
void keep_every_segment(AttackGround& ground) {
  const auto client = insist(ground);
  RawClient raw(ground.socket_path());
  std::vector<model::Mapping> kept;
  const model::Layout layout = layout_of(kMiB, 1);
  for (uint64_t context = 1;; ++context) {
    commit_blocks(*client, layout, context, 128);
    for (uint32_t id = 0; id < kSegmentIds && kept.size() < kSegmentIds; ++id) {
      auto mapping = map_segment(raw, id);
      if (!mapping) continue;
      kept.push_back(std::move(*mapping));
      raw.send(model::FrameType::kUnmappedSegment,
               model::struct_bytes(model::SegmentRetiredEvent{id, 0}));
    }
    ground.ready();
  }
}

// All the RAM that can be had, mapped over a connection on which nothing is ever answered.
void answer_for_no_segment(AttackGround& ground) {
  // Held until the process is killed.
  static std::vector<model::Mapping> kept;
  static RawClient raw(ground.socket_path());
  const auto client = insist(ground);
  for (uint64_t context = 1; context <= 2; ++context) {
    commit_blocks(*client, layout_of(kMiB, 1), context, 128);
  }
  for (uint32_t id = 0; id < kSegmentIds; ++id) {
    if (auto mapping = map_segment(raw, id)) kept.push_back(std::move(*mapping));
  }
  QUIRE_CHECK(kept.size() == 3);
}

// Wants a page, and gets no segment for it but one of somebody else's.
void ask_for_a_segment(AttackGround& ground) {
  const auto client = insist(ground);
  const model::Layout layout = layout_of(kMiB, 1);
  ground.ready();
  for (uint64_t context = 1;; ++context) commit_blocks(*client, layout, context, 1);
}

bool shows_a_retired_segment(std::string_view status) {
  return status.find("\"segments_retiring\":0") == std::string_view::npos;
}

// Three pages of 60 MiB of two segments that it may have.
void begin_what_never_fits(AttackGround& ground) {
  const auto client = insist(ground);
  commit_blocks(*client, layout_of(kMiB, 1), 1, 128);
  RawClient raw(ground.socket_path());  // no library would reserve staging memory for it
  RawSession session = raw.open_session(layout_of(60 * kMiB, 3));
  model::Submission begin{};
  begin.verb = static_cast<uint16_t>(model::Verb::kBeginFill);
  begin.args.begin_fill.end_units = 1;
  for (;;) {
    session.submit(begin);
    (void)session.wait_completion();
    ground.ready();
  }
}

// More than its RAM, and it wants all of it at once, many times, whatever it takes.
void load_what_never_fits(AttackGround& ground) {
  constexpr uint32_t kBlocks = 200;
  constexpr uint32_t kSessions = 32;
  const auto client = insist(ground);
  const model::Layout layout = layout_of(kMiB, 1);
  for (uint64_t context = 1; context <= 2; ++context) {
    commit_blocks(*client, layout, context, kBlocks);
  }
  std::vector<std::unique_ptr<Session>> sessions;
  for (uint32_t i = 0; i < kSessions; ++i) {
    sessions.push_back(session_of(*client, layout, 1 + i % 2, kBlocks));
  }
  for (;;) {
    for (const auto& session : sessions) {
      std::array<model::Completion, 64> done;
      const auto match = session->match(kBlocks * kBlock + 1);
      for (uint32_t i = 0; match.ok() && match->lease != 0 && i < 16; ++i) {
        (void)session->submit_load(match->lease, {.deadline_ms = kForeverMs});
      }
      session->flush();
      (void)session->poll_completions(done);
    }
    ground.ready();
  }
}

constexpr uint32_t kLoadsOfALease = 16;
constexpr uint32_t kLeases = 8;  // of a session

// Submits all the loads that a session may have, and returns their leases.
std::vector<uint64_t> submit_loads(RawWriter& writer, uint32_t units) {
  std::vector<uint64_t> leases;
  for (uint32_t i = 0; i < kLeases; ++i) {
    writer.submit_match(units, units * kBlock);
    leases.push_back(writer.session().wait_completion().result.match.lease);
    for (uint32_t load = 0; load < kLoadsOfALease; ++load) writer.submit_load(leases.back());
  }
  return leases;
}

void finish_loads(RawWriter& writer, const std::vector<uint64_t>& leases) {
  for (uint32_t i = 0; i < kLeases * kLoadsOfALease; ++i) writer.session().wait_completion();
  for (const uint64_t lease : leases) {
    writer.submit_release(lease);
    writer.session().wait_completion();
  }
}

// 4,096 loads of 2,500 objects each, again and again, of one context and then of another: RAM
// cannot hold both, so each has to be read.
void keep_thousands_of_loads_under_way(AttackGround& ground) {
  constexpr uint32_t kLoadedUnits = 2500;
  constexpr size_t kSessions = 32;  // of each context
  constexpr RawShape kShape{.ring_entries = 256, .max_units = kLoadedUnits, .max_load_pages = 8192};
  RawClient client(ground.socket_path());
  std::vector<RawWriter> writers;
  for (size_t i = 0; i < 2 * kSessions; ++i) {
    writers.emplace_back(client, layout_of(64 << 10, 1), kShape, 1 + i % 2);
  }
  for (size_t context = 0; context < 2; ++context) writers[context].commit_chain(kLoadedUnits);
  for (size_t context = 0;; context = 1 - context) {
    std::vector<std::vector<uint64_t>> leases(writers.size());
    for (size_t i = context; i < writers.size(); i += 2) {
      leases[i] = submit_loads(writers[i], kLoadedUnits);
    }
    ground.ready();
    for (size_t i = context; i < writers.size(); i += 2) finish_loads(writers[i], leases[i]);
  }
}

}  // namespace

std::vector<Attack> memory_attacks() {
  // Lives as long as the attack that is made of it.
  const auto with_ssd = [](std::string_view name, void (*run)(AttackGround&)) {
    const auto directory = std::make_shared<ScratchDirectory>();
    return Attack{.name = name,
                  .run = [directory, run](AttackGround& ground) { run(ground); },
                  .flags = {"--ssd_path=" + (*directory / "ssd"), "--ssd_bytes=1GiB",
                            "--ssd_region_bytes=16MiB"}};
  };
  return {{"SegmentsKeptAndDenied", keep_every_segment},
          {.name = "SegmentsNeverAnsweredFor",
           .run = answer_for_no_segment,
           .accomplice = ask_for_a_segment,
           .shows = shows_a_retired_segment},
          {"FillThatNeverFits", begin_what_never_fits},
          with_ssd("LoadsThatNeverFit", load_what_never_fits),
          with_ssd("LoadsByTheThousand", keep_thousands_of_loads_under_way)};
}

}  // namespace quire::tests
