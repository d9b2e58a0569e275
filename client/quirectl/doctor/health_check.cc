#include "client/quirectl/doctor/health_check.h"

#include <algorithm>

#include "client/quirectl/meter/field_text.h"

namespace quire::client {

bool all_well(const HealthChecks& checks) {
  return std::all_of(checks.begin(), checks.end(), [](const auto& check) { return check.well; });
}

std::string health_table(const HealthChecks& checks, const Palette& palette) {
  std::string text;
  for (const HealthCheck& check : checks) {
    if (check.well) continue;
    text += palette.paint(Tone::kWarning, "hurts") + "  " +
            palette.paint(Tone::kStrong, check.topic) + ": " + check.what + '\n';
    if (!check.effect.empty()) text += "       costs: " + check.effect + '\n';
    if (!check.mend.empty()) text += "       mend:  " + check.mend + '\n';
  }
  for (const HealthCheck& check : checks) {
    if (!check.well) continue;
    text += palette.paint(Tone::kGood, "ok") + "     " + check.topic +
            (check.what.empty() ? "" : ": " + check.what) + '\n';
  }
  return text;
}

std::string health_json(const HealthChecks& checks) {
  std::string json = R"({"checks":[)";
  for (const HealthCheck& check : checks) {
    json += json.back() == '[' ? R"({"check":)" : R"(,{"check":)";
    append_json_text(json, check.topic);
    json += check.well ? R"(,"ok":true,"what":)" : R"(,"ok":false,"what":)";
    append_json_text(json, check.what);
    json += R"(,"effect":)";
    append_json_text(json, check.effect);
    json += R"(,"mend":)";
    append_json_text(json, check.mend);
    json += '}';
  }
  return json + "]}";
}

}  // namespace quire::client
