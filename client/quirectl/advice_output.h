// The daemon's advice (`policy advise`) for people: a line a policy, a column a size.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace quire::client {

// kMalformedFrame when `json` is no advice.
model::Result<std::string> advice_table(std::string_view json);
struct AdvisedPolicy {
  std::string name;          // who would hit most at the tier's own size; empty: none is known
  double prompt_tokens = 0;  // that the advice is made of
};
// kMalformedFrame.
model::Result<AdvisedPolicy> advised_policy(std::string_view json);

// What it says, for who makes something else of it.
struct AdviceFigures {
  struct Row {
    std::string policy;
    std::string size;
    double percent = 0;  // of the prompt tokens would have hit
  };
  std::string window;
  double prompt_tokens = 0;
  double hit_percent = 0;  // in truth
  double ceiling_percent = 0;
  std::vector<Row> rows;  // sizes of a policy together, the smallest first
};
// kMalformedFrame.
model::Result<AdviceFigures> advice_figures(std::string_view json);

// The daemon's advice on checkpoints (Client::checkpoint_advice_json) for people: a line a policy,
// with what it would have resumed and written. kMalformedFrame: not what the daemon says.
model::Result<std::string> checkpoint_advice_table(std::string_view text);

}  // namespace quire::client
