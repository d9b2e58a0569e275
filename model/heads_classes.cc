#include "model/heads_classes.h"

#include <algorithm>
#include <iterator>

namespace quire::model {

namespace {

using enum LayerRule;
using enum StateKind;

// clang-format off
constexpr HeadsClass kClasses[] = {
  // model_type           rule             layers hidden heads  kv  dim window period dtype, state, traits, shared
  {"llama",               kSame,               32,  4096,   32,   0,   0},
  {"mistral",             kSame,               32,  4096,   32,   8,   0,  4096},
  {"ministral",           kSame,               32,  4096,   32,   8,   0,  4096},
  {"ministral3",          kSame,               34,  4096,   32,   8, 128,     0, 0, "bfloat16"},
  {"mixtral",             kSame,               32,  4096,   32,   8,   0},
  {"phi3",                kSame,               32,  3072,   32,   0,   0},
  {"cohere",              kSame,               40,  8192,   64,   0,   0},
  {"gemma",               kSame,               28,  3072,   16,  16, 256},
  {"glm4",                kSame,               40,  4096,   32,   2, 128},
  {"glm4_moe",            kSame,               46,  4096,   96,   8,   0},
  {"granite",             kSame,               32,  4096,   32,   0,   0},
  {"olmo2",               kSame,               32,  4096,   32,   0,   0},
  {"starcoder2",          kSame,               30,  3072,   24,   2,   0},
  {"ernie4_5",            kSame,               18,  1024,   16,   2, 128,     0, 0, "bfloat16"},
  {"ernie4_5_moe",        kSame,               28,  2560,   20,   4,   0,     0, 0, "bfloat16"},
  {"minimax_m2",          kSame,               62,  3072,   48,   8, 128,     0, 0, "bfloat16"},
  {"qwen2",               kSwitchedTail,       32,  4096,   32,  32,   0,  4096},
  {"qwen3",               kSwitchedTail,       32,  4096,   32,  32, 128,  4096},
  {"qwen3_moe",           kSwitchedAll,        24,  2048,   32,   4,   0,  4096},
  {"qwen3_vl_text",       kSame,               32,  4096,   32,  32, 128},
  {"qwen3_vl_moe_text",   kSame,               24,  2048,   16,  16,   0},
  {"qwen3_next",          kPeriodicLinear,     48,  2048,   16,   2, 256,     0, 4, {}, kGatedDelta},
  {"qwen3_5_text",        kPeriodicLinear,     32,  4096,   16,   4, 256,     0, 4, {}, kGatedDelta},
  {"qwen3_5_moe_text",    kPeriodicLinear,     40,  2048,   16,   2, 256,     0, 4, {}, kGatedDelta},
  {"gemma2",              kPeriodicWindow,     26,  2304,    8,   4, 256,  4096, 2},
  {"gemma3",              kPeriodicWindow,     26,  2304,    8,   4, 256,  4096, 6, {}, kNone, kPeriodInFile},
  {"gemma3_text",         kPeriodicWindow,     26,  2304,    8,   4, 256,  4096, 6, {}, kNone, kPeriodInFile},
  {"gpt_oss",             kPeriodicWindow,     36,  2880,   64,   8,  64,   128, 2, "bfloat16"},
  {"cohere2",             kPeriodicWindow,     40,  8192,   64,   0,   0,  4096, 4, {}, kNone, kPeriodInFile},
  {"olmo3",               kPeriodicWindow,     32,  4096,   32,   0,   0,  4096, 4},
  {"gemma3n_text",        kPeriodicWindow,     35,  2048,    8,   2, 256,   512, 5, {}, kNone, kSharedRows, 15},
  {"gemma4_text",         kPeriodicWindow,     30,  2304,    8,   4, 256,   512, 6, {}, kNone, kGlobalHeads | kSharedRows},
  {"chatglm",             kSame,               28,  4096,   32,   0,   0},
  {"nemotron-nas",        kBlocks,             80,  8192,   64,   0,   0},
  {"mimo_v2_flash",       kFlags,              48,  4096,   64,   4, 192,   128, 6, {}, kNone, kWindowHeads | kDoubleWindowHeads | kShortValues},
  {"step3p7",             kListed,             45,  4096,   64,   8, 128,     0, 0, {}, kNone, kWindowHeads},
  {"step3p5",             kListed,             45,  4096,   64,   8, 128,     0, 0, {}, kNone, kWindowHeads},
  {"minimax_m3_vl",       kListed,             60,  6144,   64,   4, 128,     0, 0, {}, kNone, kIndexKeys},
  {"minimax_m3_vl_text",  kListed,             60,  6144,   64,   4, 128,     0, 0, {}, kNone, kIndexKeys},
  {"jamba",               kPeriodicFull,       32,  4096,   32,   8,   0,     0, 8, {}, kMamba1},
  {"falcon_h1",           kBothInEach,         32,  4096,   32,   8,   0,     0, 0, "bfloat16", kMamba2},
  {"nemotron_h",          kLetters,            52,  4096,   32,   8, 128,     0, 0, {}, kMamba2},
  {"kimi_linear",         kLinearLists,        27,  2304,   32,  32,   0,     0, 4, {}, kKda, kLatent},
  {"llama4_text",         kPeriodicChunk,      48,  5120,   40,   8, 128,  8192, 4, {}, kNone, kPeriodInFile},
};
// clang-format on

}  // namespace

std::span<const HeadsClass> heads_classes() { return kClasses; }

const HeadsClass* find_heads_class(std::string_view model_type) {
  const auto* found =
      std::find_if(std::begin(kClasses), std::end(kClasses),
                   [&](const HeadsClass& candidate) { return candidate.model_type == model_type; });
  return found == std::end(kClasses) ? nullptr : found;
}

}  // namespace quire::model
