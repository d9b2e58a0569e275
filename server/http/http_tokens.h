// Who may read over HTTP: the tokens of --http_token_file, one a line with its role.
//
//   metrics TOKEN     /metrics and /history: what a Prometheus needs
//   reader TOKEN      everything, /status and its names among it; HTTP changes nothing
//
// Empty lines and those that begin with # say nothing. Threads: any; immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace quire::server {

enum class HttpRole : uint8_t { kMetrics, kReader };

class HttpTokens {
 public:
  static constexpr size_t kMaxTokens = 64;
  static constexpr size_t kMinTokenBytes = 16;  // 96 bits where it is random and base64
  static constexpr size_t kMaxTokenBytes = 256;
  static constexpr size_t kMaxFileBytes = 64 << 10;

  // kIoError: it cannot be read. kPermissionDenied: others may read it, or whoever owns it is
  // neither root nor the daemon's user. kInvalidArgument names the line.
  static model::Result<HttpTokens> read(const std::string& path);
  // Of the file's text. `path`: what errors name.
  static model::Result<HttpTokens> parse(std::string_view text, const std::string& path);

  // Of a header "Authorization: Bearer TOKEN"; none: no such token. It takes the same time whatever
  // the header says, but for its length.
  std::optional<HttpRole> role_of(std::string_view authorization) const;

 private:
  struct Token {
    std::string text;
    HttpRole role;
  };
  std::vector<Token> tokens_;
};

}  // namespace quire::server
