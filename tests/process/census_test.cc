// `quirectl sessions` and `quirectl tenants` over a real daemon: who uses it, in three forms.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::census_test {

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Census : public testing::Test {
 protected:
  Output quirectl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "--socket=" + daemon_.socket_path());
    return run_program("quirectl", arguments);
  }
  DaemonProcess daemon_;
  const std::string own_ = "uid:" + std::to_string(::geteuid());
};

}  // namespace

TEST_F(Census, NobodyIsAList) {
  EXPECT_TRUE(
      contains(quirectl({"sessions", "-o", "json"}).text, R"("sessions_total":0,"sessions":[])"));
  EXPECT_TRUE(contains(quirectl({"tenants", "-o", "json"}).text,
                       R"({"schema":"quire.tenants.v1","tenants_total":0,"tenants":[]})"));
  EXPECT_EQ(quirectl({"sessions"}).exit_code, 0);
}

TEST_F(Census, SessionsSayWhoseTheyAreAndWhatTheyAskedForLast) {
  const auto client = daemon_.connect();
  const auto idle = committed_session(*client, 1, "quiet");
  const auto session = committed_session(*client, 2, "acme, \"east\"");
  const auto found = session->match(kPromptTokens, 0, {}, 7);
  ASSERT_TRUE(found.ok());
  const std::string json = quirectl({"sessions", "-o", "json"}).text;
  EXPECT_TRUE(contains(json, R"("sessions_total":2)")) << json;
  EXPECT_TRUE(contains(json, R"("domain":")" + own_ + R"(","tenant":"acme, \"east\"")")) << json;
  EXPECT_TRUE(contains(json, R"("prompt_tokens":)" + std::to_string(kPromptTokens))) << json;
  EXPECT_LT(json.find("acme"), json.find("quiet")) << "who was active last comes first";
  const std::string csv = quirectl({"-o", "csv", "sessions"}).text;
  EXPECT_TRUE(csv.starts_with("session,domain,tenant,namespace,processes,idle_ms,turns,")) << csv;
  EXPECT_TRUE(contains(csv, R"("acme, ""east""")")) << csv;
  const std::string table = quirectl({"sessions"}).text;
  EXPECT_TRUE(contains(table, "acme, \"east\"") && contains(table, "PROMPT")) << table;
}

TEST_F(Census, TenantsSayWhatTheyHold) {
  const auto client = daemon_.connect();
  const auto session = committed_session(*client, 1, "acme");
  const std::string json = quirectl({"tenants", "-o", "json"}).text;
  EXPECT_TRUE(contains(json, R"("tenants_total":1,"tenants":[{"domain":")" + own_ +
                                 R"(","tenant":"acme","sessions":1,"ram_bytes":)"))
      << json;
  EXPECT_FALSE(contains(json, R"("ram_bytes":0,)")) << json;
  EXPECT_TRUE(session->close().ok());
  EXPECT_TRUE(contains(quirectl({"tenants", "-o", "csv"}).text, own_ + ",acme,0,"))
      << "what it holds outlives its sessions";
}

TEST_F(Census, StatusIsOneScreenWithTenantsAndHitRate) {
  const auto client = daemon_.connect();
  const auto session = committed_session(*client, 1, "acme");
  for (uint64_t request = 1; request <= 2; ++request) {
    const auto found = session->match(kPromptTokens, 0, {}, request);
    ASSERT_TRUE(found.ok() && session->load(found->lease).ok());
  }
  const Output status = quirectl({"status"});
  EXPECT_EQ(status.exit_code, 0);
  EXPECT_TRUE(contains(status.text, " clients, 1 session, ")) << status.text;
  EXPECT_FALSE(contains(status.text, "hit rate   now -")) << "one turn ended: " << status.text;
  EXPECT_TRUE(contains(status.text, "acme")) << status.text;
  EXPECT_FALSE(contains(status.text, "\x1b")) << "no colour into a pipe";
  EXPECT_TRUE(contains(quirectl({"status", "--color", "always"}).text, "\x1b[32mok"));
  EXPECT_TRUE(contains(quirectl({"status", "--all"}).text, "daemon_epoch"));
  EXPECT_TRUE(contains(quirectl({"status", "-o", "csv"}).text, "\nclients.sessions,1\n"));
}

TEST_F(Census, TopDrawsAsOftenAsItIsTold) {
  const auto client = daemon_.connect();
  const auto session = committed_session(*client, 1, "acme");
  const Output top = quirectl({"top", "--count", "2", "--interval", "0.01"});
  EXPECT_EQ(top.exit_code, 0);
  const size_t first = top.text.find("rates ");
  EXPECT_NE(first, top.text.npos) << top.text;
  EXPECT_NE(top.text.find("rates ", first + 1), top.text.npos) << top.text;
  EXPECT_TRUE(contains(top.text, "SESSION") && contains(top.text, "acme")) << top.text;
  EXPECT_EQ(run_program("quirectl", {"--socket=/nowhere", "top", "-n", "1"}).exit_code, 3);
}

}  // namespace quire::tests::census_test
