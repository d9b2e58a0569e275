#include "tests/support/io_rig.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <random>

#include "model/check.h"

namespace quire::tests {
namespace {

using tiering::IoEngine;
using tiering::IoOp;

model::FdGuard open_in(const std::filesystem::path& directory, int flags) {
  std::string pattern = (directory / "quire-io-XXXXXX").string();
  const int fd = ::mkostemp(pattern.data(), flags & ~O_ACCMODE);
  if (fd < 0) return {};
  ::unlink(pattern.c_str());
  return model::FdGuard(fd);
}

bool install(std::span<sock_filter> program) {
  const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

bool filter_syscall(long number, uint32_t action) {
  std::array<sock_filter, 4> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  return install(program);
}

}  // namespace

model::FdGuard scratch_file(uint64_t bytes, int flags) {
  model::FdGuard file = open_in(std::filesystem::temp_directory_path(), flags);
  if (!file.valid()) file = open_in(std::filesystem::current_path(), flags);
  QUIRE_CHECK(file.valid());
  QUIRE_CHECK(::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0);
  return file;
}

PageMemory::PageMemory(uint64_t bytes) : bytes_(bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  QUIRE_CHECK(memory != MAP_FAILED);
  data_ = static_cast<std::byte*>(memory);
}

PageMemory::~PageMemory() { ::munmap(data_, bytes_); }

void fill_random(std::span<std::byte> memory, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (size_t at = 0; at < memory.size(); at += sizeof(uint64_t)) {
    const uint64_t word = random();
    std::memcpy(memory.data() + at, &word, std::min(sizeof word, memory.size() - at));
  }
}

std::vector<std::byte> random_bytes(uint64_t bytes, uint64_t seed) {
  std::vector<std::byte> result(bytes);
  fill_random(result, seed);
  return result;
}

bool wait_readable(int fd) {
  pollfd waited = {fd, POLLIN, 0};
  int result = 0;
  do {
    result = ::poll(&waited, 1, 60'000);
  } while (result < 0 && errno == EINTR);
  return result == 1;
}

bool is_readable_now(int fd) {
  pollfd asked = {fd, POLLIN, 0};
  return ::poll(&asked, 1, 0) == 1;
}

std::vector<IoOp*> wait_done(IoEngine& engine) {
  std::array<IoOp*, 16> done{};
  size_t count = 0;
  while ((count = engine.poll(done)) == 0) QUIRE_CHECK(wait_readable(engine.wake_fd()));
  return {done.begin(), done.begin() + static_cast<ptrdiff_t>(count)};
}

std::vector<IoOp*> finish(IoEngine& engine, size_t count) {
  engine.flush();
  std::vector<IoOp*> all;
  while (all.size() < count) {
    for (IoOp* op : wait_done(engine)) all.push_back(op);
  }
  return all;
}

IoOp run(IoEngine& engine, IoOp op) {
  QUIRE_CHECK(engine.submit(&op));
  QUIRE_CHECK(finish(engine, 1).front() == &op);
  return op;
}

int run_in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  QUIRE_CHECK(child >= 0);
  if (child == 0) ::_exit(body());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) QUIRE_CHECK(errno == EINTR);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool refuse_syscall(long number, int error) {
  return filter_syscall(number, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error));
}

bool refuse_open_with(int flag, int error) {
  constexpr uint32_t kFlags = offsetof(seccomp_data, args) + 2 * sizeof(uint64_t);  // low half
  std::array<sock_filter, 6> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kFlags),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, static_cast<uint32_t>(flag), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  return install(program);
}

bool has_filters() {
  return run_in_child([] { return refuse_syscall(SYS_getppid, EPERM) ? 0 : 1; }) == 0;
}

bool forbid_syscall(long number) { return filter_syscall(number, SECCOMP_RET_KILL_PROCESS); }

}  // namespace quire::tests
