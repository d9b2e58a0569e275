// What the fault tests of the SSD tier share: a rig whose device can be told to fail, a reader that
// judges every byte it is given, and an audit of the accounts.
#pragma once

#include <functional>
#include <string>

#include "tests/ssd/ssd_rig.h"
#include "tests/support/faulty_engine.h"
#include "tests/support/patience.h"

namespace quire::tests {

using OptionsChange = std::function<void(server::Options&)>;

// A daemon whose engine is a FaultyEngine, without faults at each start; the other seams are given.
class FaultySsd {
 public:
  explicit FaultySsd(const OptionsChange& change = {}, server::DaemonSeams seams = {});

  SsdRig& rig() { return rig_; }
  TestDaemon& daemon() { return rig_.daemon(); }
  // On the core thread, where the engine lives.
  void with_engine(const std::function<void(FaultyEngine&)>& function);
  void add_fault(const Fault& fault);
  void clear_faults();
  uint64_t faults_acted();
  size_t held_count();
  void release_held(size_t count = SIZE_MAX);
  void release_on_core(size_t count) { engine_->release_held(count); }  // in eventually()
  void release_oldest_on_core() { engine_->release_oldest(); }
  size_t held_on_core() const { return engine_->held_count(); }
  uint64_t refused_on_core(tiering::IoKind kind) const { return engine_->refused_count(kind); }
  bool all_held_on_core() const { return engine_->in_flight() == engine_->held_count(); }
  // Waits until so many operations are held back.
  bool wait_for_held(size_t count);

 private:
  FaultyEngine* engine_ = nullptr;  // the present daemon's
  SsdRig rig_;
};

// For runs by the dozen: memory instead of a disk, and no page touched before it is used.
class MemoryDirectory {
 public:
  MemoryDirectory() : directory_(memory_directory()) {}
  OptionsChange use(const std::string& engine = "auto") const;
  std::string ssd_path() const { return directory_ / "ssd"; }

 private:
  ScratchDirectory directory_;
};

// On memory, for tests of what takes too long: there only what a fault holds back does, however
// busy the machine's disk is.
class MemorySsd : private MemoryDirectory, public FaultySsd {
 public:
  explicit MemorySsd(uint32_t hang_ms = kPatienceMs);
};

// A client that touches only the pages it is given.
std::unique_ptr<client::Client> connect_lazily(TestDaemon& daemon);

// What asking for a context gave.
struct Hit {
  uint32_t announced_tokens = 0;
  uint32_t tokens_ssd = 0;
  uint32_t blocks = 0;  // whole blocks delivered
  bool checkpoint = false;
  model::Errc code = model::Errc::kOk;  // of the load, or LoadedPages::limited_by
  std::string wrong;                    // empty: every byte right, nothing half delivered
};
// Empty when what was delivered is what law 1, 2 and 15 allow: right bytes, whole blocks from the
// first on, the checkpoint whole and only behind all of them.
std::string judge_pages(const client::Session& session, const model::MatchResult& match,
                        const client::LoadedPages& pages);
Hit try_hit(SsdRig& rig, client::Client& client, uint64_t context, uint32_t tokens,
            const model::Layout& layout = small_hybrid_layout(),
            const client::LoadOptions& options = {});

// Nothing is under way; the invariants of cache and tier hold; RAM slots in use are those of the
// resident objects, and slots on the device those of the copies. Empty, or what is wrong.
std::string audit(SsdRig& rig);
// A context that was not there before is committed and comes back, from RAM.
bool serves_ram(SsdRig& rig, client::Client& client, uint64_t context);
// A load that was submitted: waits until it has ended well, and says what is wrong with what came;
// empty when nothing is.
std::string finish_load(client::Session& session, const model::MatchResult& match,
                        client::RequestId request);
// Waits until the state is this one.
bool wait_for_state(SsdRig& rig, tiering::TierMode state);
// The node of a context's object; none when it is absent. On the core thread.
model::NodeId find_node(server::Daemon& daemon, const client::Session& session,
                        model::FillKind kind, uint32_t end_tokens);

}  // namespace quire::tests
