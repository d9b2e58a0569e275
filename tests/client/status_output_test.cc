#include "client/quirectl/status_output.h"

#include <gtest/gtest.h>

#include <sstream>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/status/status_command.h"
#include "tests/client/client_fixture.h"

namespace quire::client::status_output_test {
namespace {

TEST(StatusOutput, ShowsEveryKeyWithNestedObjectsIndented) {
  const auto table = status_table(
      R"({"epoch":7,"ram":{"used_bytes":10,"huge":true},"tiers":["ram","ssd"],"x":null,
          "clients":[{"pid":1},{"pid":22}],"none":[]})");
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(*table,
            "epoch    7\n"
            "ram\n"
            "  used_bytes  10 B\n"
            "  huge        true\n"
            "tiers    ram, ssd\n"
            "x        -\n"
            "clients\n"
            "  [0]\n"
            "    pid  1\n"
            "  [1]\n"
            "    pid  22\n"
            "none     none\n");
}

TEST(StatusOutput, ShowsEachTierWithWhateverItTells) {
  const auto table = status_table(
      R"({"tiers":[{"tier":"ram","state":"ok","used_bytes":5},
                   {"tier":"ssd","state":"read_only","reason":"ENOSPC","action":"free space",
                    "queue":{"reads":3}}]})");
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(*table,
            "tiers\n"
            "  [0]\n"
            "    tier        ram\n"
            "    state       ok\n"
            "    used_bytes  5 B\n"
            "  [1]\n"
            "    tier    ssd\n"
            "    state   read_only\n"
            "    reason  ENOSPC\n"
            "    action  free space\n"
            "    queue\n"
            "      reads  3\n");
}

TEST(StatusOutput, ShowsFractionsWithoutExponents) {
  const auto table = status_table(
      R"({"none":0.0,"half":0.5,"whole":1.0,"third":0.3333333333333333,"start":0.00000125,
          "large":1.5e15,"below":-2.5,"list":[0.0,0.25]})");
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(*table,
            "none   0\n"
            "half   0.5\n"
            "whole  1\n"
            "third  0.3333333333333333\n"
            "start  0.00000125\n"
            "large  1500000000000000\n"
            "below  -2.5\n"
            "list   0, 0.25\n");
}

TEST(StatusOutput, ProgressIsAPercentage) {
  EXPECT_EQ(*status_table(R"({"progress":0.06622257053291536})"), "progress  6.6 %\n");
  EXPECT_EQ(*status_table(R"({"progress":0.0,"ratio":0.5})"),
            "progress  0.0 %\n"
            "ratio     0.5\n");
}

TEST(StatusOutput, BytesAndTokensAreInUnitsAndNothingElseIs) {
  const auto table = status_table(
      R"({"bytes":1048576,"burst_bytes":18446744073709551615,"read_bytes_per_second":2048,
          "hit_tokens":27934208,"megabytes":1048576,"objects":1048576,"bytes_percent":1.5,
          "free_bytes":"none"})");
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(*table,
            "bytes                  1.00 MiB\n"
            "burst_bytes            no bound\n"
            "read_bytes_per_second  2.00 KiB/s\n"
            "hit_tokens             27.9 M\n"
            "megabytes              1048576\n"
            "objects                1048576\n"
            "bytes_percent          1.5\n"
            "free_bytes             none\n");
}

TEST(StatusOutput, RefusesWhatIsNoObject) {
  EXPECT_EQ(status_table("[1]").code(), model::Errc::kMalformedFrame);
  EXPECT_EQ(status_table("{").code(), model::Errc::kMalformedFrame);
}

class DaemonCommand : public ClientFixture {
 protected:
  DaemonCommandLine line() {
    DaemonCommandLine result;
    result.socket_path = path_;
    return result;
  }
  std::ostringstream out_, err_;
};

TEST_F(DaemonCommand, PingAnswersOk) {
  start();
  EXPECT_EQ(run_ping(line(), out_, err_), kExitOk);
  EXPECT_EQ(out_.str().substr(0, 3), "ok ");
}

TEST_F(DaemonCommand, NoDaemonIsItsOwnExitCode) {
  EXPECT_EQ(run_ping(line(), out_, err_), kExitCannotConnect);
  EXPECT_EQ(out_.str(), "");
  EXPECT_NE(err_.str().find("unavailable"), std::string::npos);
}

TEST_F(DaemonCommand, StatusAsJsonIsTheDaemonsText) {
  start();
  DaemonCommandLine as_json = line();
  as_json.output = "json";
  EXPECT_EQ(run_status(as_json, out_, err_), kExitOk);
  EXPECT_EQ(out_.str(), "{\"schema\":\"quire.status.1\"}\n");
}

}  // namespace
}  // namespace quire::client::status_output_test
