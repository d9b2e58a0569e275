#include "tests/ssd/crash_workload.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "server/core.h"
#include "tests/ssd/hit_check.h"
#include "tests/support/patience.h"
#include "tests/support/patient_client.h"
#include "tests/support/ssd_status.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests {

namespace {

struct Context {
  uint64_t number = 0;
  uint32_t tokens = 0;
  bool hybrid = false;

  model::Layout layout(CrashContent content) const {
    if (content == CrashContent::kEncoded) return small_packing_layout();
    return hybrid ? small_hybrid_layout() : small_append_layout();
  }
};
constexpr Context kContexts[] = {
    {1, 16, false}, {2, 16, true}, {3, 24, false}, {4, 8, true}, {5, 16, false}};

// Not a TestDaemon: one that is killed would leave its folder behind. All is beside ssd_path.
class Workload {
 public:
  Workload(const std::string& ssd_path, const server::DaemonSeams& seams,
           const std::function<void(const std::string&)>& tell, CrashContent content)
      : content_(content), tell_(tell) {
    server::Options options = crash_options(ssd_path);
    options.socket_path = ssd_path + ".sock";
    auto created = server::Daemon::create(options, seams);
    QUIRE_CHECK(created.ok());
    daemon_ = std::move(created).value();
    thread_ = std::thread([this] { daemon_->run(); });
    auto connected = client::Client::connect(patient_client(options.socket_path));
    QUIRE_CHECK(connected.ok());
    client_ = std::move(connected).value();
  }
  ~Workload() {
    client_.reset();
    daemon_->stop();
    thread_.join();
  }

  void commit(const Context& context) {
    auto session = open_session(*client_, session_options(context.layout(content_)));
    QUIRE_CHECK(session->append_tokens(context_tokens(context.tokens + 1, context.number)).ok());
    QUIRE_CHECK(commit_context(*session, context.tokens + 1).ok());
  }
  uint64_t encoded_count() {
    uint64_t count = 0;
    on_core([&](server::Daemon& d) { count = ssd_status(d).demoter.encoded_objects; });
    return count;
  }
  void settle() {
    const auto start = std::chrono::steady_clock::now();
    bool settled = false;
    while (!settled) {
      QUIRE_CHECK(std::chrono::steady_clock::now() - start < kPatience);
      on_core([&](server::Daemon& d) {
        settled = inspect(d).counters().all_on_ssd() && d.tiers()->idle();
      });
      std::this_thread::yield();
    }
  }
  void tell(const std::string& what, uint64_t context) {
    tell_(what + " " + std::to_string(context));
  }
  // Everything goes, from RAM and SSD; its slots are free some time later.
  void drop_all() {
    on_core([](server::Daemon& d) {
      meddle(d).evict();
      meddle(d).empty_ssd();
    });
  }

 private:
  void on_core(const std::function<void(server::Daemon&)>& function) {
    std::promise<void> done;
    daemon_->core().call([&] {
      function(*daemon_);
      done.set_value();
    });
    done.get_future().wait();
  }

  const CrashContent content_;
  std::unique_ptr<server::Daemon> daemon_;
  std::thread thread_;
  std::unique_ptr<client::Client> client_;
  const std::function<void(const std::string&)>& tell_;
};

// "": as it should be.
std::string check_context(client::Client& client, const Context& context, bool durable,
                          CrashContent content) {
  const int tokens = loaded_tokens(client, context.number, context.tokens, context.layout(content));
  const std::string what = "context " + std::to_string(context.number);
  if (tokens < 0) return what + " has wrong bytes; ";
  if (durable && tokens < static_cast<int>(context.tokens)) {
    return what + " was durable and has " + std::to_string(tokens) + " tokens; ";
  }
  return {};
}

std::string check_status(const SsdStatus& status) {
  std::string wrong;
  const auto expect_none = [&](const char* what, uint64_t count) {
    if (count > 0) wrong += std::to_string(count) + " " + what + "; ";
  };
  expect_none("objects that the manifest names are not on the device", status.loader.corrupt);
  expect_none("reads failed", status.loader.read_failures);
  expect_none("orphans", status.restored.orphans);
  expect_none("records rejected", status.restored.rejected);
  for (size_t i = 0; i < tiering::kKeptReasons; ++i) {
    const std::string reason(kept_reason_name(static_cast<tiering::KeptReason>(i)));
    expect_none(("objects are kept: " + reason).c_str(), status.kept[i].objects);
  }
  if (status.state != tiering::TierMode::kOk) wrong += "the tier is degraded: " + status.reason;
  return wrong;
}

}  // namespace

server::Options crash_options(const std::string& ssd_path) {
  server::Options options = small_options();
  options.population = allocator::Population::kLazy;
  options.ssd_path = ssd_path;
  options.ssd_bytes = kCrashBytes;
  options.ssd_region_bytes = 1ull << 20;
  options.ssd_write_delay_ms = 1;
  options.log_level = "error";
  return options;
}

void run_crash_workload(const std::string& ssd_path, const server::DaemonSeams& seams,
                        const std::function<void(const std::string&)>& tell, CrashContent content) {
  Workload work(ssd_path, seams, tell, content);
  for (const size_t i : {0, 1}) {
    work.commit(kContexts[i]);
    work.settle();
    work.tell("durable", kContexts[i].number);
  }
  for (const size_t i : {0, 1}) work.tell("dropping", kContexts[i].number);
  work.drop_all();
  // Together with what is erased, and then into the slots of that.
  for (const size_t i : {2, 3, 4}) {
    work.commit(kContexts[i]);
    work.settle();
    work.tell("durable", kContexts[i].number);
  }
  QUIRE_CHECK((work.encoded_count() > 0) == (content == CrashContent::kEncoded));
}

void note_told(std::set<uint64_t>& durable, const std::string& line) {
  const size_t space = line.find(' ');
  const uint64_t context = std::stoull(line.substr(space + 1));
  if (line.starts_with("durable")) durable.insert(context);
  if (line.starts_with("dropping")) durable.erase(context);
}

namespace {

// On this thread alone: the kernel's call, not the C library's, which is for all of them.
void set_own_uid(uid_t uid) { QUIRE_CHECK(::syscall(SYS_setresuid, -1, uid, -1) == 0); }

void change(server::Options& options, ChangedStart how) {
  switch (how) {
    case ChangedStart::kSegments:
      options.ram_bytes = options.segment_bytes = 128ull << 20;
      return;
    case ChangedStart::kRegions:
      options.ssd_region_bytes = 2ull << 20;
      return;
    case ChangedStart::kMoreBytes:
      options.ssd_bytes = 64ull << 20;
      return;
    case ChangedStart::kFewerBytes:
      options.ssd_bytes = 2ull << 20;
      return;
    case ChangedStart::kEngine:
      options.ssd_engine = "pread";
      return;
    case ChangedStart::kCodec:
      options.ssd_codec = "off";
      return;
    case ChangedStart::kFewNodes:
      options.max_nodes = 1024;
      return;
    case ChangedStart::kOtherLayout:
    case ChangedStart::kOtherUser:
      return;
  }
}

// A client that is here first, of another layout with the same name or of another user.
void write_first(TestDaemon& daemon, ChangedStart how) {
  constexpr uint32_t kTokens = 8;
  model::Layout layout = small_append_layout();
  if (how == ChangedStart::kOtherLayout) layout.groups[0].page_bytes = 8192;
  const bool other_user = how == ChangedStart::kOtherUser && ::geteuid() == 0;
  if (other_user) set_own_uid(4242);
  auto client = daemon.connect();
  if (other_user) set_own_uid(0);
  auto session = open_session(*client, session_options(layout));
  QUIRE_CHECK(session->append_tokens(context_tokens(kTokens + 1, 77)).ok());
  QUIRE_CHECK(commit_context(*session, kTokens + 1).ok());
  QUIRE_CHECK(daemon.eventually([](server::Daemon& d) {
    const CacheCounters counters = inspect(d).counters();
    return counters.ssd_spans == counters.spans && d.tiers()->idle();
  }));
}

}  // namespace

std::string start_changed(const std::string& ssd_path, ChangedStart how) {
  server::Options options = crash_options(ssd_path);
  options.ssd_bytes = kRoomForOthers;
  change(options, how);
  TestDaemon daemon(options);
  std::string wrong;
  daemon.on_core([&](server::Daemon& d) {
    if (d.tiers() == nullptr) wrong = "the tier did not open with changed flags";
  });
  const bool writes = how == ChangedStart::kOtherLayout || how == ChangedStart::kOtherUser;
  if (wrong.empty() && writes) write_first(daemon, how);
  return wrong;
}

std::string check_after_crash(const std::string& ssd_path, const std::set<uint64_t>& durable,
                              CrashContent content, uint64_t ssd_bytes) {
  server::Options options = crash_options(ssd_path);
  options.ssd_bytes = ssd_bytes;
  TestDaemon daemon(options);
  std::string wrong;
  daemon.on_core([&](server::Daemon& d) {
    if (d.tiers() == nullptr) wrong = "the tier did not open";
  });
  if (!wrong.empty()) return wrong;
  const auto client = daemon.connect();
  for (const Context& context : kContexts) {
    wrong += check_context(*client, context, durable.contains(context.number), content);
  }
  daemon.on_core([&](server::Daemon& d) {
    wrong += check_status(ssd_status(d));
    d.ssd_tier()->check_invariants();
    const CacheCounters counters = inspect(d).counters();
    if (ssd_status(d).space.used_slots != counters.ssd_spans + counters.ssd_checkpoints) {
      wrong += "slots and objects differ in number";
    }
  });
  return wrong;
}

}  // namespace quire::tests
