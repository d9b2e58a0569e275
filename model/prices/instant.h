// Instants and dates as people write them (RFC 3339).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::prices {

// "2026-09-15T09:00:00+08:00", "...Z", with up to six digits behind the second. Microseconds of
// Unix time. The offset must be there: a book says which clock it means, and so must a question.
model::Result<int64_t> parse_instant(std::string_view text);
// "2026-08-16T16:00:00Z", with a fraction where it has one.
std::string instant_text(int64_t instant_us);
// "2026-10-01"
std::string date_text(std::chrono::sys_days day);

}  // namespace quire::prices
