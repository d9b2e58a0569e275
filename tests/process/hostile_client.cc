#include "tests/process/hostile_client.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "tests/support/small_layout.h"

namespace quire::tests {

using model::Completion;
using model::FdGuard;
using model::SessionDescriptor;
using model::Submission;
using model::Verb;

namespace {

constexpr uint32_t kRingEntries = 8;
constexpr uint32_t kUnits = 64;
constexpr uint64_t kStagingBytes = 1 << 16;
constexpr uint64_t kPage = 4096;
constexpr int kCommits = 6;
constexpr int kAnyVerbs = 60;

Submission submission_of(Verb verb) {
  Submission submission{};
  submission.verb = static_cast<uint16_t>(verb);
  submission.deadline_ms = 20;
  return submission;
}

std::string proc_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

void check_cannot_change_file(int fd, uint64_t bytes, ChildChecks& checks) {
  const auto size = static_cast<off_t>(bytes);
  const char byte = 'x';
  checks.expect(::ftruncate(fd, 0) != 0, "ftruncate to nothing fails");
  checks.expect(::ftruncate(fd, 2 * size) != 0, "ftruncate to more fails");
  checks.expect(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size) != 0,
                "punching a hole fails");
  checks.expect(::fallocate(fd, 0, size, size) != 0, "growing fails");
  checks.expect(::pwrite(fd, &byte, 1, 0) < 0, "pwrite fails");
  checks.expect(::write(fd, &byte, 1) < 0, "write fails");
  void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  checks.expect(mapped == MAP_FAILED, "a writable mapping fails");
  if (mapped != MAP_FAILED) ::munmap(mapped, bytes);
}

void check_cannot_change_mapping(int fd, uint64_t bytes, ChildChecks& checks) {
  void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  checks.expect(mapped != MAP_FAILED, "a mapping for reading works");
  if (mapped == MAP_FAILED) return;
  checks.expect(::mprotect(mapped, bytes, PROT_READ | PROT_WRITE) != 0, "mprotect fails");
  checks.expect(::madvise(mapped, bytes, MADV_REMOVE) != 0, "MADV_REMOVE fails");
  const auto first = *static_cast<const volatile char*>(mapped);
  const char other = static_cast<char>(first + 1);
  // The way in of a debugger, which ignores the mapping's protection.
  const FdGuard memory(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  if (memory.valid()) {
    const auto address = static_cast<off_t>(reinterpret_cast<uintptr_t>(mapped));
    checks.expect(::pwrite(memory.get(), &other, 1, address) < 0, "/proc/self/mem fails");
  }
  void* copy = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (copy != MAP_FAILED) {
    *static_cast<volatile char*>(copy) = other;
    ::munmap(copy, kPage);
  }
  checks.expect(*static_cast<const volatile char*>(mapped) == first, "a private copy is private");
  ::munmap(mapped, bytes);
}

}  // namespace

void check_cannot_write(int fd, uint64_t bytes, bool foreign, ChildChecks& checks) {
  check_cannot_change_file(fd, bytes, checks);
  check_cannot_change_mapping(fd, bytes, checks);
  checks.expect(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) != 0, "adding a seal fails");
  const FdGuard emptied(::open(proc_path(fd).c_str(), O_RDWR | O_TRUNC | O_CLOEXEC));
  checks.expect(!emptied.valid(), "opening it to be emptied fails");
  // Mode 0400 keeps other uids out; the owner and root come in and meet the seals.
  const FdGuard reopened(::open(proc_path(fd).c_str(), O_RDWR | O_CLOEXEC));
  checks.expect(!foreign || !reopened.valid(), "another uid cannot open it for writing");
  if (!reopened.valid()) return;
  check_cannot_change_file(reopened.get(), bytes, checks);
  check_cannot_change_mapping(reopened.get(), bytes, checks);
}

void check_cannot_resize(int fd, uint64_t bytes, ChildChecks& checks) {
  const auto size = static_cast<off_t>(bytes);
  checks.expect(::ftruncate(fd, 0) != 0, "writable memory: ftruncate to nothing fails");
  checks.expect(::ftruncate(fd, 2 * size) != 0, "writable memory: ftruncate to more fails");
  checks.expect(::fallocate(fd, 0, size, size) != 0, "writable memory: growing fails");
  checks.expect(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) != 0, "writable memory: sealing fails");
}

// Small numbers find more than large ones: they are indexes and identifiers.
uint64_t HostileClient::any_number() {
  switch (random(4)) {
    case 0:
      return random_();
    case 1:
      return random(70);
    case 2:
      return random(17) * kPage;
    default:
      return uint64_t{1} << random(64);
  }
}

Completion HostileClient::ask(RawSession& session, const Submission& submission) {
  session.submit(submission);
  const bool answered = eventually([&] {
    return replies_->completion_tail.value.load(std::memory_order_acquire) != answers_ ||
           replies_->closed.value.load(std::memory_order_acquire) != 0;
  });
  QUIRE_CHECK(answered);
  if (replies_->completion_tail.value.load(std::memory_order_acquire) == answers_) {
    Completion ended{};
    ended.code = static_cast<int32_t>(model::Errc::kClosed);
    return ended;
  }
  ++answers_;
  return session.wait_completion();
}

void HostileClient::write_hashes(RawSession& session) {
  const auto geometry = model::control_geometry(kRingEntries, kUnits);
  for (uint64_t i = 0; i < kUnits * sizeof(model::Hash256); i += 8) {
    const uint64_t value = random_();
    std::memcpy(session.control() + geometry.hashes_offset + i, &value, 8);
  }
}

void HostileClient::disturb_staging(RawSession& session) {
  for (int i = 0; i < 200; ++i) {
    const uint64_t value = random_();
    std::memcpy(session.staging() + random(kStagingBytes / 8) * 8, &value, 8);
  }
  // Holes are its own to make: the daemon must read zeroes, not stumble.
  const int fd = session.staging_fd();
  ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kStagingBytes);
  ::madvise(session.staging(), kStagingBytes, MADV_REMOVE);
}

void HostileClient::commit_garbage(RawSession& session) {
  write_hashes(session);
  for (uint32_t unit = 1; unit <= kCommits; ++unit) {
    Submission begin = submission_of(Verb::kBeginFill);
    begin.args.begin_fill.end_units = unit;
    const Completion begun = ask(session, begin);
    if (begun.code != 0) return;
    Submission commit = submission_of(Verb::kCommit);
    commit.args.commit.fill = begun.result.begin_fill.fill;
    commit.args.commit.staging_offset = random(kStagingBytes / kPage) * kPage;
    session.submit(commit);  // its bytes change while it is copied
    disturb_staging(session);
    ask(session, submission_of(Verb::kNoop));
    if (replies_->closed.value.load() != 0) return;
    ++answers_;
    session.wait_completion();
  }
}

void HostileClient::send_any_verb(RawSession& session) {
  Submission submission = submission_of(static_cast<Verb>(random(9)));
  for (uint64_t& word : submission.args.words) word = any_number();
  if (random(8) == 0) write_hashes(session);
  ask(session, submission);
}

bool HostileClient::play_round() {
  RawClient client(socket_path_);
  RawSession session = client.open_session(small_append_layout());
  const auto replies =
      model::Mapping::map_shared(session.fd(SessionDescriptor::kReply), session.reply().reply_bytes,
                                 false, session.reply().reply_offset);
  QUIRE_CHECK(replies.ok());
  replies_ = reinterpret_cast<const model::ReplyHeader*>(replies->data());
  answers_ = 0;
  commit_garbage(session);
  for (int i = 0; i < kAnyVerbs; ++i) send_any_verb(session);
  session.scribble(random_());
  return session.wait_closed();
}

}  // namespace quire::tests
