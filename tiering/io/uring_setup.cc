#include "tiering/io/uring_setup.h"

#include <liburing.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace quire::tiering {

using model::Errc;
using model::make_error;
using model::Result;

namespace {

constexpr std::array<io_uring_op, 6> kAllowedOperations = {
    IORING_OP_READ,        IORING_OP_WRITE, IORING_OP_READ_FIXED,
    IORING_OP_WRITE_FIXED, IORING_OP_FSYNC, IORING_OP_FALLOCATE};
constexpr std::array<unsigned, 2> kAllowedUpdates = {IORING_REGISTER_FILES_UPDATE,
                                                     IORING_REGISTER_BUFFERS_UPDATE};

}  // namespace

model::Error setup_error(std::string_view what, int error) {
  const std::string text = std::string(what) + ": " + std::strerror(error);
  if (error == EPERM || error == EACCES || error == ENOSYS) {
    return make_error(Errc::kUnavailable,
                      text +
                          ": io_uring is refused here; allow it (sysctl kernel.io_uring_disabled"
                          "=0, and io_uring_setup, _enter and _register in the container's or "
                          "the unit's seccomp profile) or use the thread engine");
  }
  if (error == EINVAL) {
    return make_error(Errc::kUnavailable,
                      text +
                          ": this kernel's io_uring lacks it (Linux 5.19 has all that is "
                          "needed); use the thread engine");
  }
  if (error == ENOMEM || error == EMFILE || error == ENFILE) {
    return make_error(Errc::kResourceExhausted,
                      text +
                          ": raise the locked-memory or descriptor limit, lower the queue "
                          "depth, or use the thread engine");
  }
  return make_error(Errc::kIoError, text);
}

// Without the wishes a completion interrupts this thread, and an entry that
// is refused ends the system call that takes them: slower, no worse.
int open_ring(uint32_t queue_depth, ::io_uring* ring) {
  constexpr unsigned kWishes =
      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL;
  io_uring_params params = {};
  params.flags = IORING_SETUP_R_DISABLED | kWishes;
  int result = io_uring_queue_init_params(queue_depth, ring, &params);
  if (result == -EINVAL) {
    params = {};
    params.flags = IORING_SETUP_R_DISABLED;
    result = io_uring_queue_init_params(queue_depth, ring, &params);
  }
  return -result;
}

// By number: the shared library of liburing 2.3 does not export its wrappers of these two.
Result<void> restrict_and_enable(int ring_fd) {
  std::array<io_uring_restriction, kAllowedOperations.size() + kAllowedUpdates.size() + 2> rules{};
  io_uring_restriction* rule = rules.data();
  for (const io_uring_op operation : kAllowedOperations) {
    rule->opcode = IORING_RESTRICTION_SQE_OP;
    (rule++)->sqe_op = static_cast<uint8_t>(operation);
  }
  for (const unsigned update : kAllowedUpdates) {
    rule->opcode = IORING_RESTRICTION_REGISTER_OP;
    (rule++)->register_op = static_cast<uint8_t>(update);
  }
  // Registered files only, and no links, drains or forced workers.
  rule->opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  (rule++)->sqe_flags = IOSQE_FIXED_FILE;
  rule->opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
  (rule++)->sqe_flags = IOSQE_FIXED_FILE;
  int result = io_uring_register(static_cast<unsigned>(ring_fd), IORING_REGISTER_RESTRICTIONS,
                                 rules.data(), static_cast<unsigned>(rules.size()));
  if (result < 0) return setup_error("restrict the ring", -result);
  result =
      io_uring_register(static_cast<unsigned>(ring_fd), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  if (result < 0) return setup_error("enable the ring", -result);
  return {};
}

}  // namespace quire::tiering
