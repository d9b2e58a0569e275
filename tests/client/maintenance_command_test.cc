// quirectl verify, scrub and rebuild.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/quirectl/daemon_command.h"
#include "tests/client/client_fixture.h"

namespace quire::client::maintenance_command_test {
namespace {

class MaintenanceCommand : public ClientFixture {
 protected:
  MaintenanceCommand() { line_.socket_path = path_; }
  template <typename Request>
  Request last_request(model::FrameType type) {
    const Frame frame = daemon_->last_frame();
    EXPECT_EQ(frame.header.type, static_cast<uint16_t>(type));
    return model::read_struct<Request>(frame.payload).value();
  }

  DaemonCommandLine line_;
  std::ostringstream out_, err_;
};

TEST_F(MaintenanceCommand, VerifyOfMemoryFailsWhenItsPassIsStopped) {
  start({.json = R"({"running":false,"passes":3,"bad":0})"});
  EXPECT_EQ(run_verify(line_, out_, err_), kExitFailed);
  EXPECT_NE(err_.str().find("stopped"), std::string::npos) << err_.str();
  EXPECT_EQ(last_request<model::VerifyRequest>(model::FrameType::kVerify).scope,
            static_cast<uint8_t>(model::VerifyScope::kMemoryStatus));
}

TEST_F(MaintenanceCommand, VerifyOfHeadersFailsWhenItsScrubIsStopped) {
  start({.json = R"({"running":false,"passes":3,"bad":1,"unreadable":0})"});
  line_.verify_headers = true;
  EXPECT_EQ(run_verify(line_, out_, err_), kExitFailed);
  EXPECT_EQ(out_.str(), "");
  EXPECT_NE(err_.str().find("stopped"), std::string::npos) << err_.str();
}

TEST_F(MaintenanceCommand, VerifyOfHeadersBelievesNoOtherAnswer) {
  start({.json = R"({"running":1,"passes":"x"})"});
  line_.verify_headers = true;
  EXPECT_EQ(run_verify(line_, out_, err_), kExitFailed);
  EXPECT_EQ(out_.str(), "");
}

TEST_F(MaintenanceCommand, ScrubSendsItsActionAndRate) {
  start({.json = R"({"state":"running"})"});
  line_.output = "json";
  const auto run = [&](const char* action, uint64_t rate) {
    line_.scrub_action = action;
    line_.bytes_per_second = rate;
    EXPECT_EQ(run_scrub(line_, out_, err_), kExitOk);
    return last_request<model::ScrubRequest>(model::FrameType::kScrub);
  };
  const model::ScrubRequest started = run("start", 1 << 20);
  EXPECT_EQ(started.action, static_cast<uint8_t>(model::ScrubAction::kStart));
  EXPECT_EQ(started.bytes_per_second, 1u << 20);
  EXPECT_EQ(run("stop", 0).action, static_cast<uint8_t>(model::ScrubAction::kStop));
  EXPECT_EQ(run("status", 0).action, static_cast<uint8_t>(model::ScrubAction::kStatus));
  EXPECT_TRUE(out_.str().starts_with("{\"schema\":\"quire.scrub.v1\",\"state\":\"running\"}\n"));
}

TEST_F(MaintenanceCommand, ScrubRefusesWhatMakesNoSense) {
  line_.scrub_action = "stop";
  line_.bytes_per_second = 1;
  EXPECT_EQ(run_scrub(line_, out_, err_), kExitUsage);
  line_.scrub_action = "polish";
  EXPECT_EQ(run_scrub(line_, out_, err_), kExitUsage);
  EXPECT_EQ(out_.str(), "");
}

TEST_F(MaintenanceCommand, EvictTellsOnlyWithoutYes) {
  start({.json = R"({"running":false,"objects":2})"});
  EXPECT_EQ(run_evict(line_, out_, err_), kExitRefused);
  auto asked = last_request<model::EvictRequest>(model::FrameType::kEvict);
  EXPECT_EQ(asked.action, static_cast<uint8_t>(model::EvictAction::kPlan));
  EXPECT_EQ(asked.tier, static_cast<uint8_t>(model::TierId::kRam)) << "where none is named";
  EXPECT_EQ(asked.of_tenant + asked.of_namespace, 0);
  EXPECT_NE(err_.str().find("--yes"), std::string::npos);
  EXPECT_EQ(out_.str(), "running  false\nobjects  2\n");
  line_.yes = true;
  line_.scope_tier = "ssd";
  line_.scope_domain = "uid:7";
  line_.of_tenant = line_.of_namespace = true;
  line_.namespace_name = "m";
  line_.unused_seconds = UINT64_MAX;
  EXPECT_EQ(run_evict(line_, out_, err_), kExitOk);
  asked = last_request<model::EvictRequest>(model::FrameType::kEvict);
  EXPECT_EQ(asked.action, static_cast<uint8_t>(model::EvictAction::kGo));
  EXPECT_EQ(asked.tier, static_cast<uint8_t>(model::TierId::kSsd));
  EXPECT_EQ(model::from_wire_name(asked.domain).value(), "uid:7");
  EXPECT_EQ(asked.of_tenant, 1) << "the one that has no name";
  EXPECT_EQ(asked.of_namespace, 1);
  EXPECT_EQ(model::from_wire_name(asked.namespace_name).value(), "m");
  EXPECT_GT(asked.unused_us, UINT64_MAX / 2) << "no overflow makes it young";
}

TEST_F(MaintenanceCommand, FlushThatLeavesSomethingIsDegraded) {
  start({.json = R"({"running":false,"complete":false})"});
  EXPECT_EQ(run_flush(line_, out_, err_), kExitDegraded);
  EXPECT_EQ(out_.str(), "running   false\ncomplete  false\n");
  EXPECT_EQ(last_request<model::FlushRequest>(model::FrameType::kFlush).action,
            static_cast<uint8_t>(model::FlushAction::kStart));
}

TEST_F(MaintenanceCommand, FlushBelievesNoAnswerThatSaysNotWhetherItIsComplete) {
  start({.json = R"({"running":false})"});
  EXPECT_EQ(run_flush(line_, out_, err_), kExitFailed);
  EXPECT_EQ(out_.str(), "");
}

TEST_F(MaintenanceCommand, KeptIsDroppedOnlyWithYes) {
  start({.json = R"({"runs":2,"dropping":false})"});
  EXPECT_EQ(run_kept(line_, out_, err_), kExitOk);
  EXPECT_EQ(last_request<model::KeptRequest>(model::FrameType::kKept).action, 0);
  EXPECT_EQ(out_.str(), "runs      2\ndropping  false\n");
  line_.kept_action = "drop";
  line_.kept_reason = "no_layout";
  EXPECT_EQ(run_kept(line_, out_, err_), kExitRefused);
  EXPECT_EQ(last_request<model::KeptRequest>(model::FrameType::kKept).action, 0);
  EXPECT_NE(err_.str().find("--yes"), std::string::npos);
  line_.yes = true;
  EXPECT_EQ(run_kept(line_, out_, err_), kExitOk);
  const auto dropped = last_request<model::KeptRequest>(model::FrameType::kKept);
  EXPECT_EQ(dropped.action, static_cast<uint8_t>(model::KeptAction::kDrop));
  EXPECT_EQ(model::from_wire_name(dropped.reason).value(), "no_layout");
}

TEST_F(MaintenanceCommand, KeptRefusesWhatMakesNoSense) {
  line_.yes = true;
  EXPECT_EQ(run_kept(line_, out_, err_), kExitUsage);
  line_.kept_action = "eat";
  EXPECT_EQ(run_kept(line_, out_, err_), kExitUsage);
  EXPECT_EQ(out_.str(), "");
}

TEST_F(MaintenanceCommand, PolicyIsShownAndSet) {
  start({.json = R"({"known":"arc, lru","switching":false,"saving":false})"});
  EXPECT_EQ(run_policy(line_, out_, err_), kExitOk);
  EXPECT_EQ(last_request<model::PolicyRequest>(model::FrameType::kPolicy).action, 0);
  EXPECT_EQ(out_.str(), "known      arc, lru\nswitching  false\nsaving     false\n");
  line_.scope_tier = "ssd";
  line_.policy = "arc";
  line_.scope_domain = "uid:7";
  EXPECT_EQ(run_policy(line_, out_, err_), kExitOk);
  const auto set = last_request<model::PolicyRequest>(model::FrameType::kPolicy);
  EXPECT_EQ(set.action, static_cast<uint8_t>(model::PolicyAction::kSet));
  EXPECT_EQ(set.tier, static_cast<uint8_t>(model::TierId::kSsd));
  EXPECT_EQ(model::from_wire_name(set.policy).value(), "arc");
  EXPECT_EQ(model::from_wire_name(set.domain).value(), "uid:7");
}

TEST_F(MaintenanceCommand, QuotaIsShownSetAndCleared) {
  start({.json = R"({"saving":false})"});
  EXPECT_EQ(run_quota(line_, out_, err_), kExitOk);
  EXPECT_EQ(last_request<model::QuotaRequest>(model::FrameType::kQuota).action, 0);
  line_.scope_tier = "ram";
  line_.scope_domain = "uid:7";
  line_.of_tenant = true;
  line_.guaranteed_bytes = 5;
  EXPECT_EQ(run_quota(line_, out_, err_), kExitOk);
  const auto set = last_request<model::QuotaRequest>(model::FrameType::kQuota);
  EXPECT_EQ(set.action, static_cast<uint8_t>(model::QuotaAction::kSet));
  EXPECT_EQ(model::from_wire_name(set.domain).value(), "uid:7");
  EXPECT_EQ(set.of_tenant, 1) << "the one that has no name";
  EXPECT_EQ(set.guaranteed_bytes, 5u);
  EXPECT_EQ(set.burst_bytes, UINT64_MAX);
  EXPECT_EQ(run_clear_quota(line_, out_, err_), kExitOk);
  EXPECT_EQ(last_request<model::QuotaRequest>(model::FrameType::kQuota).action,
            static_cast<uint8_t>(model::QuotaAction::kClear));
}

TEST_F(MaintenanceCommand, PinIsShownSetAndCleared) {
  start({.json = R"({"saving":false,"moving":false})"});
  EXPECT_EQ(run_pin(line_, out_, err_), kExitOk);
  EXPECT_EQ(last_request<model::PinRequest>(model::FrameType::kPin).action,
            static_cast<uint8_t>(model::PinAction::kShow));
  line_.scope_domain = "uid:7";
  line_.of_tenant = line_.of_namespace = true;
  line_.namespace_name = "m";
  line_.budget_bytes = 5;
  line_.for_seconds = 7200;
  EXPECT_EQ(run_pin(line_, out_, err_), kExitOk);
  const auto set = last_request<model::PinRequest>(model::FrameType::kPin);
  EXPECT_EQ(set.action, static_cast<uint8_t>(model::PinAction::kSet));
  EXPECT_EQ(model::from_wire_name(set.domain).value(), "uid:7");
  EXPECT_EQ(set.of_tenant, 1) << "the one that has no name";
  EXPECT_EQ(model::from_wire_name(set.namespace_name).value(), "m");
  EXPECT_EQ(set.budget_bytes, 5u);
  EXPECT_EQ(set.for_seconds, 7200u);
  EXPECT_EQ(run_unpin(line_, out_, err_), kExitOk);
  const auto cleared = last_request<model::PinRequest>(model::FrameType::kPin);
  EXPECT_EQ(cleared.action, static_cast<uint8_t>(model::PinAction::kClear));
  EXPECT_EQ(model::from_wire_name(cleared.namespace_name).value(), "m");
  line_ = {};
  line_.socket_path = path_;
  EXPECT_EQ(run_unpin(line_, out_, err_), kExitUsage) << "which?";
  line_.unpin_all = true;
  EXPECT_EQ(run_unpin(line_, out_, err_), kExitOk);
  EXPECT_EQ(last_request<model::PinRequest>(model::FrameType::kPin).action,
            static_cast<uint8_t>(model::PinAction::kClearAll));
}

TEST_F(MaintenanceCommand, PolicyAdviceIsOfATierAndAWindow) {
  start({.json = R"({"tier":"ssd","window":"24h"})"});
  line_.scope_tier = "ssd";
  line_.advice_window = "24h";
  line_.output = "json";
  EXPECT_EQ(run_advise(line_, out_, err_), kExitOk);
  const auto asked = last_request<model::PolicyRequest>(model::FrameType::kPolicy);
  EXPECT_EQ(asked.action, static_cast<uint8_t>(model::PolicyAction::kAdvise));
  EXPECT_EQ(asked.tier, static_cast<uint8_t>(model::TierId::kSsd));
  EXPECT_EQ(asked.window, static_cast<uint8_t>(model::AdviceWindow::kDay));
  EXPECT_EQ(out_.str(), "{\"schema\":\"quire.advice.v1\",\"tier\":\"ssd\",\"window\":\"24h\"}\n");
}

TEST_F(MaintenanceCommand, PolicyBelievesNoAnswerThatSaysNothingOfTheSwitch) {
  start({.json = R"({"known":"arc, lru"})"});
  line_.scope_tier = "ram";
  line_.policy = "arc";
  EXPECT_EQ(run_policy(line_, out_, err_), kExitFailed);
  EXPECT_NE(err_.str().find("switching"), std::string::npos) << err_.str();
}

TEST_F(MaintenanceCommand, WithoutADaemonItIsTheExitCodeOfThat) {
  line_.scrub_action = "status";
  EXPECT_EQ(run_scrub(line_, out_, err_), kExitCannotConnect);
  EXPECT_EQ(run_verify(line_, out_, err_), kExitCannotConnect);
}

// A script in the place of quired.
class RebuildCommand : public testing::Test {
 protected:
  RebuildCommand() {
    directory_ = std::filesystem::temp_directory_path() /
                 ("quire_rebuild_" + std::to_string(::getpid()) + "_" +
                  testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
    options_.ssd_path = "/some where";
    options_.quired = directory_ / "quired";
  }
  ~RebuildCommand() override { std::filesystem::remove_all(directory_); }
  void write_quired(const std::string& body) {
    std::ofstream(options_.quired) << "#!/bin/sh\n" << body << '\n';
    std::filesystem::permissions(options_.quired, std::filesystem::perms::owner_all);
  }

  std::filesystem::path directory_;
  RebuildOptions options_;
  std::ostringstream err_;
};

TEST_F(RebuildCommand, WithoutYesItIsADryRunWhoseOutputPasses) {
  write_quired("echo \"$#:$1:$2\"");
  testing::internal::CaptureStdout();
  EXPECT_EQ(run_rebuild(options_, err_), kExitOk);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "2:--ssd_path=/some where:--rebuild_dry_run\n");
  EXPECT_NE(err_.str().find("--yes"), std::string::npos);
}

TEST_F(RebuildCommand, WithYesItRebuildsAndItsExitCodePasses) {
  write_quired("[ \"$2\" = --rebuild ] && exit 7");
  options_.yes = true;
  EXPECT_EQ(run_rebuild(options_, err_), 7);
  EXPECT_EQ(err_.str(), "");
}

TEST_F(RebuildCommand, NoQuiredIsNotFound) {
  EXPECT_EQ(run_rebuild(options_, err_), kExitNotFound);
  EXPECT_NE(err_.str().find("cannot run"), std::string::npos);
}

TEST_F(RebuildCommand, AnUnrunnableQuiredIsAFailure) {
  write_quired("exit 0");
  std::filesystem::permissions(options_.quired, std::filesystem::perms::owner_read);
  EXPECT_EQ(run_rebuild(options_, err_), kExitFailed);
}

TEST_F(RebuildCommand, ASignalIsAFailureThatNamesIt) {
  write_quired("kill -TERM $$");
  EXPECT_EQ(run_rebuild(options_, err_), kExitFailed);
  EXPECT_NE(err_.str().find("signal 15"), std::string::npos);
}

// Found in PATH when it is not beside this program.
TEST_F(RebuildCommand, IsSearchedForInThePath) {
  write_quired("exit 9");
  options_.quired.clear();
  const std::string before = ::getenv("PATH");
  ::setenv("PATH", (directory_.string() + ":" + before).c_str(), 1);
  const auto own = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "quired";
  if (!std::filesystem::exists(own)) {
    EXPECT_EQ(run_rebuild(options_, err_), 9);
  }
  ::setenv("PATH", before.c_str(), 1);
}

}  // namespace
}  // namespace quire::client::maintenance_command_test
