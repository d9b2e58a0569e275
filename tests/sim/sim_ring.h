// A client's side of an attachment: the rings and areas that its process mapped. What the client
// library does with threads and descriptors, one call at a time. The mappings are the client's
// own: they stay readable after the daemon is gone (law 7).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "model/fd_guard.h"
#include "model/session_shm.h"
#include "server/rings/session.h"

namespace quire::tests {

inline model::Errc code_of(const model::Completion& completion) {
  return static_cast<model::Errc>(completion.code);
}

class SimRing {
 public:
  // Maps what the daemon would have sent, and closes that end of it.
  explicit SimRing(server::Attachment& attachment);

  // The session ended; nothing more will complete.
  bool is_closed() const;
  uint32_t free_submissions() const;
  void submit(const model::Submission& submission);
  // Rings the doorbell when the daemon sleeps. Precondition: it lives and the session is open.
  void ring();
  std::optional<model::Completion> take();
  bool has_completion() const;
  // An answer that was not looked at yet, whether it was taken or not: in order, each once. Null:
  // none. Precondition: take() takes no more than what was looked at.
  const model::Completion* look_ahead();
  // Numbers of submissions, as the ring counts them: the next one to be sent, and the first that
  // the daemon did not take.
  uint32_t next_number() const { return tail_; }
  uint32_t first_untaken() const;
  // An index that no client library writes.
  void scribble();

  void set_hashes(std::span<const model::Hash256> chain);
  std::span<std::byte> staging() { return {staging_.data(), staging_.bytes()}; }
  const model::PageDescriptor* descriptors() const;
  const model::ResumePosition* positions(uint32_t index) const;
  uint32_t load_ready(uint8_t slot) const;
  const server::LaneShape& shape() const { return shape_; }

 private:
  model::ControlHeader& control() const;
  const model::ReplyHeader& reply() const;
  const model::Completion& completion_at(uint32_t number) const;

  server::Attachment* attachment_;  // in place of the doorbell
  server::LaneShape shape_;
  model::Mapping control_;
  model::Mapping staging_;
  model::Mapping reply_;
  uint32_t tail_ = 0;  // of submissions
  uint32_t head_ = 0;  // of completions
  uint32_t seen_ = 0;  // of completions: those before were looked at
};

}  // namespace quire::tests
