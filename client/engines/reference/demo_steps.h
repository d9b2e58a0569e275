// The steps of the demo, each with engine processes of its own against one running daemon.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/engines/reference/child_process.h"
#include "client/quire.h"
#include "model/result.h"

namespace quire::client {

// By which name the demo's sessions are billed (configs/prices/deepseek.toml).
inline constexpr const char* kDemoModel = "deepseek-v4-flash";

struct DemoSettings {
  std::string socket_path;
  uint32_t threads = 2;
  std::vector<uint32_t> document;
};

// What the last lines of the demo need to know.
struct DemoVerdict {
  bool logits_equal = true;
  bool whole_hit = true;  // every hit was all but the last unit
};

// Cold: an engine computes document + question and commits it. Prints time to first token.
model::Result<double> show_cold(const DemoSettings& settings);
// Another process asks another question about the same document; compared with a computation
// without Quire.
model::Result<void> show_warm(const DemoSettings& settings, double cold_s, DemoVerdict& verdict);
// A decode process follows a prefill process page by page.
model::Result<void> show_handover(const DemoSettings& settings, DemoVerdict& verdict);
// Two ranks fill and resume one session, each its own groups.
model::Result<void> show_ranks(const DemoSettings& settings, DemoVerdict& verdict);
// The daemon is killed (SIGKILL) while a prefill is under way, and started again by `restart`: the
// engine lives on, and the document is resumed from SSD.
model::Result<void> show_crash(const DemoSettings& settings,
                               const std::function<model::Result<void>()>& restart,
                               DemoVerdict& verdict);
// Resident bytes by group against storing every group at every token.
model::Result<void> show_resident(const DemoSettings& settings);

}  // namespace quire::client
