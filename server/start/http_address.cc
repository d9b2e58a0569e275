#include "server/start/http_address.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <string_view>

namespace quire::server {

using model::Errc;
using model::make_error;

namespace {

model::Error wrong_address(const std::string& text) {
  return make_error(Errc::kInvalidArgument,
                    "--http_address must be an address and a port, for example 127.0.0.1:9470 or "
                    "[::1]:9470; it is \"" +
                        text + '"');
}

// 127.0.0.0/8, ::1, and the former written as IPv6.
bool is_loopback(const in_addr& address) { return ntohl(address.s_addr) >> 24 == 127; }
bool is_loopback(const in6_addr& address) {
  return IN6_IS_ADDR_LOOPBACK(&address) ||
         (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
}

}  // namespace

model::Result<HttpAddress> HttpAddress::parse(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return wrong_address(text);
  const bool bracketed = text.front() == '[' && text[colon - 1] == ']';
  HttpAddress address;
  address.host = bracketed ? text.substr(1, colon - 2) : text.substr(0, colon);
  const char* end = text.data() + text.size();
  const auto port = std::from_chars(text.data() + colon + 1, end, address.port);
  if (port.ec != std::errc{} || port.ptr != end) return wrong_address(text);
  in_addr four{};
  in6_addr six{};
  if (!bracketed && ::inet_pton(AF_INET, address.host.c_str(), &four) == 1) {
    address.loopback = is_loopback(four);
  } else if (bracketed && ::inet_pton(AF_INET6, address.host.c_str(), &six) == 1) {
    address.loopback = is_loopback(six);
  } else {
    return wrong_address(text);
  }
  return address;
}

model::Result<void> check_http(const std::string& address, const std::string& token_file) {
  if (address.empty()) return {};
  const HttpAddress parsed = QUIRE_TRY(HttpAddress::parse(address));
  if (parsed.loopback || !token_file.empty()) return {};
  return make_error(Errc::kInvalidArgument,
                    "--http_address " + address +
                        " can be reached from other machines, and nobody would have to say who he "
                        "is: listen on 127.0.0.1, or give --http_token_file");
}

}  // namespace quire::server
