// Attacks on the socket: floods of frames.
#include <poll.h>

#include "model/wire.h"
#include "tests/attacks/attack.h"
#include "tests/attacks/attack_client.h"
#include "tests/support/raw_client.h"

namespace quire::tests {

namespace {

std::string many_frames(model::FrameType type, std::string_view payload, size_t count) {
  std::string frames;
  for (size_t i = 0; i < count; ++i) {
    frames += frame_bytes(static_cast<uint16_t>(type), model::kProtocolVersion, payload);
  }
  return frames;
}

// As fast as the daemon takes them, reading the answers or not.
void flood(AttackGround& ground, const std::string& frames, bool read_answers) {
  for (;;) {
    AttackClient client = AttackClient::insist(ground.socket_path());
    size_t at = 0;
    for (bool alive = true; alive;) {
      size_t sent = 0;
      alive = client.send_some(std::string_view(frames).substr(at), sent);
      at = (at + sent) % frames.size();
      if (read_answers) alive = client.drain() && alive;
      ground.ready();
      if (sent > 0) continue;
      pollfd writable{client.fd(), static_cast<short>(read_answers ? POLLOUT | POLLIN : POLLOUT),
                      0};
      ::poll(&writable, 1, -1);
    }
  }
}

// An acknowledgement of a segment that is not retiring is answered by nothing.
void flood_with_frames_that_need_no_reply(AttackGround& ground) {
  const model::SegmentRetiredEvent unknown{.segment = 12345};
  flood(ground, many_frames(model::FrameType::kUnmappedSegment, model::struct_bytes(unknown), 4096),
        /*read_answers=*/true);
}

void flood_with_status(AttackGround& ground) {
  flood(ground, many_frames(model::FrameType::kStatus, "", 13005), /*read_answers=*/true);
}

}  // namespace

std::vector<Attack> socket_attacks() {
  return {{"SilentFrameFlood", flood_with_frames_that_need_no_reply},
          {"StatusFlood", flood_with_status}};
}

}  // namespace quire::tests
