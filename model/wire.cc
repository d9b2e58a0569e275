#include "model/wire.h"

#include <algorithm>

namespace quire::model {

Result<WireName> to_wire_name(std::string_view text) {
  if (text.size() > kMaxNameBytes) {
    return make_error(Errc::kInvalidArgument,
                      "name of " + std::to_string(text.size()) + " bytes; at most 63 are allowed");
  }
  if (text.find('\0') != std::string_view::npos) {
    return make_error(Errc::kInvalidArgument, "a name must not contain a zero byte");
  }
  WireName name{};
  // The rest is zero: no byte of this process goes along with a name.
  std::copy(text.begin(), text.end(), name.begin());
  return name;
}

Result<std::string_view> from_wire_name(const WireName& name) {
  const auto end = std::find(name.begin(), name.end(), '\0');
  if (end == name.end()) {
    return make_error(Errc::kMalformedFrame, "name field without a terminating zero");
  }
  return std::string_view(name.data(), static_cast<size_t>(end - name.begin()));
}

std::string version_refusal(uint16_t peer_version) {
  const std::string ours = "this daemon speaks protocol version " +
                           std::to_string(kProtocolVersion) + ", the client " +
                           std::to_string(peer_version) + ": ";
  return ours + (peer_version < kProtocolVersion
                     ? "update libquire in the engine to this daemon's release"
                     : "update quired to the client's release");
}

ReplyStatus make_status(Errc code, std::string_view text) {
  ReplyStatus status;
  status.code = static_cast<int32_t>(code);
  const size_t length = std::min(text.size(), status.text.size() - 1);
  std::copy_n(text.begin(), length, status.text.begin());
  return status;
}

Result<void> check_status(const ReplyStatus& status) {
  if (status.code == static_cast<int32_t>(Errc::kOk)) return {};
  // The bytes are the other side's: the zero may be missing.
  const auto end = std::find(status.text.begin(), status.text.end(), '\0');
  return make_error(static_cast<Errc>(status.code), std::string(status.text.begin(), end));
}

}  // namespace quire::model
