// The status page: one file without any other, made of server/http/page when the daemon is built.
// It holds no figure; its script reads /status, /history, /ghosts and /prices.
#pragma once

#include <string_view>

namespace quire::server {

extern const std::string_view kStatusPage;

}  // namespace quire::server
