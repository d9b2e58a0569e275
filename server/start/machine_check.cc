#include "server/start/machine_check.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "allocator/available_memory.h"
#include "model/fd_guard.h"
#include "server/start/table_caps.h"
#include "tiering/disk/ssd_directory.h"

namespace quire::server {

using allocator::HugePages;
using model::Errc;
using model::make_error;

namespace {

using Findings = std::vector<Finding>;

constexpr uint64_t kHugePageBytes = 2ull << 20;
constexpr uint64_t kFilesOfAClient = 5;  // socket, pidfd; one session with one attachment
constexpr uint64_t kOwnFiles = 128;      // of the listener, the log, the SSD tier
constexpr uint64_t kFilesOfASegment = 2;
constexpr int kCapabilityIpcLock = 14;
// Of threads and their heaps, beside tables and segments: 75 MiB were measured, 400 MiB with
// RocksDB.
constexpr uint64_t kOtherBytes = 128ull << 20;
constexpr uint64_t kOtherBytesWithSsd = 512ull << 20;
constexpr uint64_t kStartStep = 16ull << 20;
// Which scope an entry of a tier is in.
constexpr uint64_t kScopeBytesPerNode = 4;
// A stack, and what malloc sets aside for a thread of its own.
constexpr uint64_t kThreadBytes = 136ull << 20;
constexpr uint64_t kLedgerBytes = 3 * kThreadBytes;  // RocksDB has threads of its own

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

uint64_t number_in(const std::string& path) {
  std::ifstream file(path);
  uint64_t number = 0;
  file >> number;
  return file ? number : 0;
}

std::string mib(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

// nullopt: no limit.
std::optional<uint64_t> limit_of(__rlimit_resource resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

// Address space of the daemon, without segments and sessions.
uint64_t fixed_address_bytes(const Options& options, const std::string& root) {
  const uint64_t now =
      number_in(root + "/proc/self/statm") * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const TableCaps caps = table_caps(options);
  uint64_t more = caps.nodes * kScopeBytesPerNode;
  if (options.ghost_bytes > 0) more += kThreadBytes + 2 * options.ghost_bytes;
  if (!state_path(options).empty()) more += kThreadBytes;
  if (!ledger_path(options).empty()) more += kLedgerBytes;
  return now + table_bytes(caps) + more +
         (options.ssd_path.empty() ? kOtherBytes : kOtherBytesWithSsd);
}

bool wants_io_uring(const Options& options) {
  return !options.ssd_path.empty() && options.ssd_engine != "pread";
}

uint64_t free_hugetlb_bytes(const std::string& root) {
  const std::string folder = root + "/sys/kernel/mm/hugepages/hugepages-2048kB/";
  return (number_in(folder + "free_hugepages") + number_in(folder + "nr_overcommit_hugepages")) *
         kHugePageBytes;
}

// RAM that comes from memory like any other; what the reserve of huge pages gives, no limit counts.
uint64_t plain_ram_bytes(const Options& options, const std::string& root) {
  if (options.huge_pages == HugePages::kHugetlb) return 0;
  if (options.huge_pages != HugePages::kAuto) return options.ram_bytes;
  return options.ram_bytes - std::min(options.ram_bytes, free_hugetlb_bytes(root));
}

void check_files(const Options& options, Findings& findings) {
  const auto limit = limit_of(RLIMIT_NOFILE);
  const uint64_t own = kOwnFiles + kFilesOfASegment * (options.ram_bytes / options.segment_bytes);
  const uint64_t wanted = own + kFilesOfAClient * options.max_connections;
  if (!limit || *limit >= wanted) return;
  const uint64_t clients = (*limit - std::min(*limit, own)) / kFilesOfAClient;
  findings.push_back({"open files are limited to " + std::to_string(*limit) + " (RLIMIT_NOFILE)",
                      "they are enough for about " + std::to_string(clients) +
                          " clients with a session each; --max_connections=" +
                          std::to_string(options.max_connections) + " may be busy sooner",
                      "LimitNOFILE=" + std::to_string(wanted) + " in the unit, ulimit -n " +
                          std::to_string(wanted) + ", or fewer --max_connections"});
}

std::optional<uint64_t> data_file_bytes(const Options& options) {
  if (options.ssd_path.empty()) return std::nullopt;
  const auto there = tiering::SsdDirectory::look(
      {.path = options.ssd_path, .region_bytes = options.ssd_region_bytes});
  if (!there.ok()) return std::nullopt;
  return there->region_bytes * there->regions_per_file;
}

void check_file_sizes(const Options& options, Findings& findings) {
  const auto limit = limit_of(RLIMIT_FSIZE);
  if (!limit) return;
  const std::string what = "files are limited to " + std::to_string(*limit) +
                           " bytes (RLIMIT_FSIZE), and shared memory counts as a file";
  const std::string mend = "LimitFSIZE=infinity in the unit, or ulimit -f unlimited";
  if (*limit < options.segment_bytes) {
    findings.push_back(
        {what, "no segment of " + mib(options.segment_bytes) + " can be made: nothing is cached",
         mend});
    return;
  }
  const auto data = data_file_bytes(options);
  if (data && *limit < *data) {
    findings.push_back(
        {what, "data files of " + mib(*data) + " cannot be made: the SSD tier is read-only", mend});
  }
}

void check_addresses(const Options& options, const std::string& root, Findings& findings) {
  const auto limit = limit_of(RLIMIT_AS);
  const uint64_t wanted =
      fixed_address_bytes(options, root) + options.ram_bytes + options.session_memory_bytes;
  if (!limit || *limit >= wanted) return;
  findings.push_back(
      {"address space is limited to " + std::to_string(*limit) + " bytes (RLIMIT_AS)",
       "tables, --ram_bytes and --session_memory_bytes take up to " + std::to_string(wanted) +
           ": some of it will be refused",
       "LimitAS=infinity in the unit, or ulimit -v unlimited"});
}

// CAP_IPC_LOCK lifts the limit of locked memory, whoever the daemon runs as.
bool has_capability(int capability, const std::string& root) {
  std::ifstream status(root + "/proc/self/status");
  for (std::string word; status >> word;) {
    uint64_t effective = 0;
    if (word == "CapEff:" && status >> std::hex >> effective) return (effective >> capability & 1);
  }
  return false;
}

// io_uring alone locks memory: the pool's, so that the device reads and writes it in place.
void check_locked_memory(const Options& options, const std::string& root, Findings& findings) {
  const auto limit = limit_of(RLIMIT_MEMLOCK);
  if (!wants_io_uring(options) || !limit || *limit >= options.ram_bytes ||
      has_capability(kCapabilityIpcLock, root)) {
    return;
  }
  findings.push_back(
      {"locked memory is limited to " + std::to_string(*limit) + " bytes (RLIMIT_MEMLOCK)",
       "RAM beyond it is not registered with io_uring: each SSD transfer pins its pages anew",
       "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited"});
}

// The word in brackets: "always [madvise] never" -> "madvise". "": no such file.
std::string chosen_word(const std::string& path) {
  const std::string line = first_line(path);
  const size_t open = line.find('[');
  const size_t close = line.find(']', open);
  if (open == std::string::npos || close == std::string::npos) return {};
  return line.substr(open + 1, close - open - 1);
}

void check_huge_pages(const Options& options, const std::string& root, Findings& findings) {
  const std::string folder = root + "/sys/kernel/mm/transparent_hugepage/";
  const uint64_t reserved = free_hugetlb_bytes(root);
  const uint64_t pages = (options.ram_bytes + kHugePageBytes - 1) / kHugePageBytes;
  const std::string reserve = "sysctl vm.nr_hugepages=" + std::to_string(pages);
  if (options.huge_pages == HugePages::kHugetlb && reserved < options.ram_bytes) {
    findings.push_back({"2 MiB pages are reserved for " + mib(reserved) + " (vm.nr_hugepages)",
                        "--huge_pages=hugetlb takes RAM from them alone: " +
                            mib(options.ram_bytes - reserved) + " of --ram_bytes cannot be had",
                        reserve});
  }
  const std::string shared = chosen_word(folder + "shmem_enabled");
  if (plain_ram_bytes(options, root) > 0 && options.huge_pages != HugePages::kOff &&
      (shared == "never" || shared == "deny" || shared.empty())) {
    findings.push_back(
        {"shared memory gets no transparent huge pages (shmem_enabled is " +
             (shared.empty() ? std::string("not there") : shared) + ")",
         mib(plain_ram_bytes(options, root)) +
             " of --ram_bytes come in 4 KiB pages: copies and their mapping are "
             "slower",
         "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled, or " + reserve});
  }
  if (chosen_word(folder + "enabled") == "never") {
    findings.push_back({"transparent huge pages are off (transparent_hugepage/enabled is never)",
                        "the index lies in 4 KiB pages: a match is slower",
                        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"});
  }
}

void check_memory(const Options& options, const std::string& root, Findings& findings) {
  const allocator::MemoryRoom room = allocator::memory_room(options.memory_limit_bytes, root);
  const uint64_t wanted = plain_ram_bytes(options, root);
  const uint64_t usable = room.bytes - std::min(room.bytes, allocator::kMemoryReserveBytes);
  if (wanted <= usable) return;
  findings.push_back(
      {mib(room.bytes) + " of memory are available (" + room.source + ")",
       "with " + mib(allocator::kMemoryReserveBytes) + " of reserve, " + mib(wanted - usable) +
           " of --ram_bytes=" + std::to_string(options.ram_bytes) + " do not fit and are not taken",
       room.source == "/proc/meminfo" ? "lower --ram_bytes, or free memory"
                                      : "raise that limit, or lower --ram_bytes"});
}

// 0, or the error of making a ring. What a filter of system calls refuses shows here alone.
int ring_error() {
  io_uring_params params{};
  const model::FdGuard ring(static_cast<int>(::syscall(SYS_io_uring_setup, 1, &params)));
  return ring.valid() ? 0 : errno;
}

std::optional<Finding> look_at_io_uring(const Options& options, const std::string& root) {
  if (!wants_io_uring(options)) return std::nullopt;
  const std::string disabled = first_line(root + "/proc/sys/kernel/io_uring_disabled");
  // 1 refuses who lacks both a group and a capability: a ring that is made shows who is meant.
  const bool by_sysctl = disabled == "2" || (disabled == "1" && ring_error() != 0);
  const int error = by_sysctl ? EPERM : ring_error();
  if (error == 0) return std::nullopt;
  const std::string effect = options.ssd_engine == "auto"
                                 ? "the SSD tier goes on with pread and four threads: slower"
                                 : "--ssd_engine=io_uring cannot start";
  if (by_sysctl) {
    return Finding{"io_uring is switched off (kernel.io_uring_disabled=" + disabled + ")", effect,
                   "sysctl kernel.io_uring_disabled=0, or --ssd_engine=pread"};
  }
  return Finding{std::string("io_uring is refused (") + std::strerror(error) + ")", effect,
                 "allow it in the seccomp profile (io_uring_setup, io_uring_enter, "
                 "io_uring_register), or --ssd_engine=pread"};
}

void check_io_uring(const Options& options, const std::string& root, Findings& findings) {
  if (auto finding = look_at_io_uring(options, root)) findings.push_back(std::move(*finding));
}

void check_direct_io(const Options& options, Findings& findings) {
  if (options.ssd_path.empty()) return;
  const auto opens = [&](int flags) {
    return model::FdGuard(
               ::open(options.ssd_path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600))
        .valid();
  };
  // A directory that is not there yet, or not to be written to, says nothing about O_DIRECT.
  if (!opens(0) || opens(O_DIRECT) || errno != EINVAL) return;
  findings.push_back({"the file system of --ssd_path=" + options.ssd_path + " knows no O_DIRECT",
                      "what is read and written also fills the page cache, and costs a copy",
                      "put --ssd_path on ext4 or xfs"});
}

// Whether the own control group (version 2) keeps out of swap.
bool group_never_swaps(const std::string& root) {
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/")) continue;
    return first_line(root + "/sys/fs/cgroup" + line.substr(3) + "/memory.swap.max") == "0";
  }
  return false;
}

void check_swap(const Options& options, const std::string& root, Findings& findings) {
  std::ifstream swaps(root + "/proc/swaps");
  std::string header;
  std::string device;
  std::getline(swaps, header);
  if (!(swaps >> device) || plain_ram_bytes(options, root) == 0 || group_never_swaps(root)) return;
  findings.push_back({"swap is on (" + device + ")",
                      "pages that wait for their next hit may be swapped out: it then waits for "
                      "the device",
                      "MemorySwapMax=0 in the unit, or swapoff -a"});
}

}  // namespace

std::vector<MachineLook> look_at_machine(const Options& options, const std::string& root) {
  std::vector<MachineLook> looks;
  const auto look = [&](std::string_view topic, auto check) {
    check(looks.emplace_back(MachineLook{.topic = topic, .findings = {}}).findings);
  };
  look("memory", [&](Findings& found) { check_memory(options, root, found); });
  look("huge_pages", [&](Findings& found) { check_huge_pages(options, root, found); });
  look("swap", [&](Findings& found) { check_swap(options, root, found); });
  look("open_files", [&](Findings& found) { check_files(options, found); });
  look("file_sizes", [&](Findings& found) { check_file_sizes(options, found); });
  look("address_space", [&](Findings& found) { check_addresses(options, root, found); });
  look("locked_memory", [&](Findings& found) { check_locked_memory(options, root, found); });
  look("io_uring", [&](Findings& found) { check_io_uring(options, root, found); });
  look("direct_io", [&](Findings& found) { check_direct_io(options, found); });
  return looks;
}

std::vector<Finding> check_machine(const Options& options, const std::string& root) {
  Findings findings;
  for (MachineLook& look : look_at_machine(options, root)) {
    std::move(look.findings.begin(), look.findings.end(), std::back_inserter(findings));
  }
  return findings;
}

std::string describe(const Finding& finding) {
  return finding.what + ": " + finding.effect + "; " + finding.mend;
}

model::Result<void> check_engine(const Options& options, const std::string& root) {
  if (options.ssd_engine != "io_uring") return {};
  const auto refused = look_at_io_uring(options, root);
  if (refused) return make_error(Errc::kResourceExhausted, describe(*refused));
  return {};
}

model::Result<void> check_start(const Options& options, const std::string& root) {
  if (::access((root + "/proc/self/fd").c_str(), X_OK) != 0) {
    return make_error(Errc::kResourceExhausted,
                      "/proc is not mounted, and memory for clients is opened read-only through "
                      "/proc/self/fd: mount -t proc proc /proc");
  }
  const auto limit = limit_of(RLIMIT_AS);
  const uint64_t least = fixed_address_bytes(options, root) + options.segment_bytes;
  if (!limit || *limit >= least) return {};
  // With what a start may take more than the one before: raised to it, the next one succeeds.
  const uint64_t enough = (least / kStartStep + 2) * kStartStep;
  return make_error(Errc::kResourceExhausted,
                    "tables for --ram_bytes and --ssd_bytes need " + std::to_string(enough) +
                        " bytes of address space; the limit is " + std::to_string(*limit) +
                        " (ulimit -v, RLIMIT_AS): raise it to that, or lower the budgets");
}

}  // namespace quire::server
