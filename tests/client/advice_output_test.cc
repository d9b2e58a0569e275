#include "client/quirectl/advice_output.h"

#include <gtest/gtest.h>

namespace quire::client::advice_output_test {
namespace {

using model::Errc;

constexpr std::string_view kAdvice =
    R"({"tier":"ram","window":"1h","policy":"lru","prompt_tokens":1000,"hit_tokens":250,)"
    R"("hit_percent":25.0,"ceiling_tokens":600,"ceiling_percent":60,"sample":1,"rows":[)"
    R"({"policy":"arc","size":"-50%","hit_tokens":200,"hit_percent":2E1,"error_points":1,"now":false},)"
    R"({"policy":"arc","size":"0%","hit_tokens":300,"hit_percent":30.04,"error_points":2,"now":false},)"
    R"({"policy":"lru","size":"-50%","hit_tokens":90,"hit_percent":9,"error_points":0.5,"now":false},)"
    R"({"policy":"lru","size":"0%","hit_tokens":250,"hit_percent":25,"error_points":0.25,"now":true}]})";

TEST(AdviceOutput, IsALineAPolicyAndAColumnASize) {
  EXPECT_EQ(advice_table(kAdvice).value(),
            "ram, last 1h: 1000 prompt tokens, hit 25.0 %, ceiling 60.0 % (an infinite cache)\n"
            "would hit, %        -50%     now   +- now\n"
            "arc                 20.0    30.0      2.0\n"
            "lru *                9.0    25.0      0.2\n"
            "* in charge now\n");
}

TEST(AdviceOutput, AdvisedIsWhoHitsMostAtTheOwnSize) {
  EXPECT_EQ(advised_policy(kAdvice).value().name, "arc");
}

TEST(AdviceOutput, NothingAskedForYetIsSaid) {
  constexpr std::string_view kNothing =
      R"({"tier":"ssd","window":"15m","policy":"lru","prompt_tokens":0,"hit_percent":0,)"
      R"("ceiling_percent":0,"rows":[]})";
  EXPECT_NE(advice_table(kNothing).value().find("nothing was asked for"), std::string::npos);
  EXPECT_EQ(advised_policy(kNothing).value().name, "");
}

TEST(AdviceOutput, WhatIsNoAdviceIsRefused) {
  for (const std::string_view text : {"", "[]", "{}", R"({"tier":1})", R"({"tier":"ram"})"}) {
    EXPECT_EQ(advice_table(text).code(), Errc::kMalformedFrame) << text;
    EXPECT_EQ(advised_policy(text).code(), Errc::kMalformedFrame) << text;
  }
}

constexpr std::string_view kCheckpointAdvice =
    R"({"window":"1h","policy":"turn_ends","covered_us":3600000000,"prompts":3,)"
    R"("prompt_tokens":1000,"exact_tokens":400,"exact_percent":40,"written_bytes":1048576,)"
    R"("written_bytes_per_hour":1048576,"rows":[)"
    R"({"policy":"none","exact_tokens":0,"exact_percent":0,"written_bytes":0,)"
    R"("written_bytes_per_hour":0},)"
    R"({"policy":"turn_ends","exact_tokens":400,"exact_percent":4E1,"written_bytes":1048576,)"
    R"("written_bytes_per_hour":1048576},)"
    R"({"policy":"every:1024","exact_tokens":612,"exact_percent":61.2,"written_bytes":1,)"
    R"("written_bytes_per_hour":20971520}]})";

TEST(AdviceOutput, OfCheckpointsItIsALineAPolicyWithWhatItBringsAndCosts) {
  EXPECT_EQ(checkpoint_advice_table(kCheckpointAdvice).value(),
            "checkpoints, last 1h: 1000 prompt tokens, resumed 40.0 %, 1.0 MiB written an hour\n"
            "                would resume, %  would write, MiB/h\n"
            "none                        0.0                 0.0\n"
            "turn_ends *                40.0                 1.0\n"
            "every:1024                 61.2                20.0\n"
            "* asked for now\n");
}

TEST(AdviceOutput, CheckpointAdviceThatIsNoneIsRefused) {
  EXPECT_EQ(checkpoint_advice_table("[]").code(), Errc::kMalformedFrame);
  EXPECT_EQ(checkpoint_advice_table(R"({"window":"1h"})").code(), Errc::kMalformedFrame);
  EXPECT_EQ(checkpoint_advice_table(kAdvice).code(), Errc::kMalformedFrame) << "of a tier";
}

}  // namespace
}  // namespace quire::client::advice_output_test
