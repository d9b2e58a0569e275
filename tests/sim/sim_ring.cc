#include "tests/sim/sim_ring.h"

#include <sys/epoll.h>

#include <atomic>
#include <cstring>

#include "model/check.h"

namespace quire::tests {

using model::Completion;
using model::SessionDescriptor;
using model::Submission;

namespace {

model::Mapping mapped(int fd, uint64_t bytes, bool writable, uint64_t offset = 0) {
  auto mapping = model::Mapping::map_shared(fd, bytes, writable, offset);
  QUIRE_CHECK(mapping.ok());
  return std::move(mapping).value();
}

}  // namespace

SimRing::SimRing(server::Attachment& attachment)
    : attachment_(&attachment), shape_(attachment.lane().shape()) {
  const auto descriptors =
      attachment.lane().client_descriptors(attachment.session().progress.client_fd());
  const auto fd = [&](SessionDescriptor which) { return descriptors[static_cast<size_t>(which)]; };
  control_ = mapped(fd(SessionDescriptor::kControl), shape_.control().bytes, true,
                    attachment.lane().control_offset());
  const server::StagingArea& area = *attachment.staging();
  staging_ = mapped(area.region.client_fd(), area.bytes, true);
  reply_ = mapped(fd(SessionDescriptor::kReply), shape_.reply().bytes, false,
                  attachment.lane().reply_offset());
  attachment.lane().close_client_descriptors();
}

model::ControlHeader& SimRing::control() const {
  return *reinterpret_cast<model::ControlHeader*>(control_.data());
}

const model::ReplyHeader& SimRing::reply() const {
  return *reinterpret_cast<const model::ReplyHeader*>(reply_.data());
}

bool SimRing::is_closed() const {
  return reply().closed.value.load(std::memory_order_acquire) != 0;
}

uint32_t SimRing::free_submissions() const {
  return shape_.ring_entries -
         (tail_ - reply().submission_head.value.load(std::memory_order_acquire));
}

void SimRing::submit(const Submission& submission) {
  QUIRE_CHECK(free_submissions() > 0);
  const uint64_t offset =
      model::control_geometry(shape_.ring_entries, shape_.max_units).submissions_offset;
  auto* slots = reinterpret_cast<Submission*>(control_.data() + offset);
  slots[tail_++ % shape_.ring_entries] = submission;
  control().submission_tail.value.store(tail_, std::memory_order_release);
}

void SimRing::ring() {
  if (reply().daemon_sleeping.value.load(std::memory_order_seq_cst) == 0) return;
  attachment_->on_event(EPOLLIN);
}

bool SimRing::has_completion() const {
  return reply().completion_tail.value.load(std::memory_order_acquire) != head_;
}

const Completion& SimRing::completion_at(uint32_t number) const {
  const uint64_t offset =
      model::reply_geometry(shape_.ring_entries, shape_.max_load_pages).completions_offset;
  const auto* slots = reinterpret_cast<const Completion*>(reply_.data() + offset);
  return slots[number % shape_.ring_entries];
}

const Completion* SimRing::look_ahead() {
  if (reply().completion_tail.value.load(std::memory_order_acquire) == seen_) return nullptr;
  return &completion_at(seen_++);
}

uint32_t SimRing::first_untaken() const {
  return reply().submission_head.value.load(std::memory_order_acquire);
}

std::optional<Completion> SimRing::take() {
  if (!has_completion()) return std::nullopt;
  const Completion completion = completion_at(head_++);
  control().completion_head.value.store(head_, std::memory_order_release);
  return completion;
}

void SimRing::scribble() {
  control().submission_tail.value.store(tail_ + shape_.ring_entries + 1, std::memory_order_release);
}

void SimRing::set_hashes(std::span<const model::Hash256> chain) {
  const uint64_t offset =
      model::control_geometry(shape_.ring_entries, shape_.max_units).hashes_offset;
  std::memcpy(control_.data() + offset, chain.data(), chain.size_bytes());
}

const model::PageDescriptor* SimRing::descriptors() const {
  const uint64_t offset =
      model::reply_geometry(shape_.ring_entries, shape_.max_load_pages).descriptors_offset;
  return reinterpret_cast<const model::PageDescriptor*>(reply_.data() + offset);
}

const model::ResumePosition* SimRing::positions(uint32_t index) const {
  return reinterpret_cast<const model::ResumePosition*>(descriptors() + index);
}

uint32_t SimRing::load_ready(uint8_t slot) const {
  return reply().load_ready[slot - 1].load(std::memory_order_acquire);
}

}  // namespace quire::tests
