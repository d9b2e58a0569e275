#include "tiering/rebuild/rebuild_report.h"

#include <utility>

namespace quire::tiering {

std::string describe(const RebuildReport& report) {
  const std::pair<const char*, uint64_t> fields[] = {
      {"spans", report.spans},
      {"checkpoints", report.checkpoints},
      {"runs", report.runs},
      {"roots", report.roots},
      {"files", report.files},
      {"regions", report.regions},
      {"headers", report.headers},
      {"damaged", report.damaged},
      {"foreign", report.foreign},
      {"misplaced", report.misplaced},
      {"left_over", report.left_over},
      {"unreadable_bytes", report.unreadable_bytes},
      {"older_copies", report.older_copies},
      {"without_layout", report.without_layout},
      {"misfits", report.misfits},
      {"stale", report.stale},
      {"orphans", report.orphans},
  };
  std::string text;
  for (const auto& [name, value] : fields) text += name + (" " + std::to_string(value)) + "\n";
  return text;
}

}  // namespace quire::tiering
