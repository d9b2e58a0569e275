#include "client/quirectl/doctor/doctor.h"

#include <sys/timex.h>

#include <algorithm>
#include <fstream>

#include "client/quirectl/doctor/disk_probe.h"
#include "client/quirectl/readable.h"

namespace quire::client {

namespace {

constexpr uint64_t kDiskProbeBytes = 64 << 20;
// Below it a gigabyte of context takes as long to read as many engines take to compute it.
constexpr uint64_t kSlowBytesPerSecond = 200'000'000;
constexpr uint64_t kGigabyte = 1'000'000'000;

HealthCheck daemon_check(const QuiredFlags& flags, const std::string& error) {
  if (error.empty()) return {.topic = "daemon", .what = "answers; its flags are " + flags.origin};
  return {.topic = "daemon",
          .well = false,
          .what = error,
          .effect = "nothing is cached; what follows is for the flags " + flags.origin,
          .mend = "start quired, or name its --socket"};
}

// What a daemon holds is no longer free, and looks as if it were missing: of memory it knows better
// itself.
void believe_daemon(const DaemonFacts& facts, HealthChecks& checks) {
  for (HealthCheck& check : checks) {
    if (check.topic == "memory") {
      const auto ram = std::find_if(facts.tiers.begin(), facts.tiers.end(),
                                    [](const TierFacts& tier) { return tier.name == "ram"; });
      check = {.topic = "memory", .well = ram == facts.tiers.end() || ram->state == "ok"};
      if (!check.well) {
        check.what = ram->reason;
        check.effect = "the daemon serves with less RAM than --ram_bytes";
        check.mend = ram->action;
      }
    }
    const bool all_huge = facts.segment_bytes > 0 && facts.huge_page_bytes >= facts.segment_bytes;
    if (check.topic == "huge_pages" && all_huge) {
      check = {.topic = "huge_pages", .what = bytes_text(facts.huge_page_bytes) + " are in use"};
    }
  }
}

HealthChecks machine_checks(const DoctorOptions& options, const QuiredFlags& flags) {
  const auto text = output_of_quired(options.quired, flags, "--check_machine");
  if (text.ok()) return read_machine(*text);
  return {{.topic = "quired",
           .well = false,
           .what = text.error().text,
           .effect = "limits, huge pages, io_uring and O_DIRECT could not be looked at",
           .mend = "install quired beside quirectl, or name it with --quired"}};
}

HealthCheck disk_check(const std::string& directory) {
  const auto speed = probe_disk(directory, kDiskProbeBytes);
  if (!speed.ok()) {
    return {.topic = "disk_speed",
            .well = false,
            .what = "could not be measured: " + speed.error().text,
            .effect = "the SSD tier cannot be written here, or not by you",
            .mend = "run it as the daemon's user"};
  }
  HealthCheck check{.topic = "disk_speed",
                    .well = speed->read_bytes_per_s >= kSlowBytesPerSecond,
                    .what = directory + " writes " + bytes_text(speed->write_bytes_per_s) +
                            "/s and reads " + bytes_text(speed->read_bytes_per_s) + "/s" +
                            (speed->direct ? "" : ", with the page cache")};
  if (check.well) return check;
  check.effect = "a context of 1 GB takes " +
                 duration_text(1000 * kGigabyte / std::max<uint64_t>(1, speed->read_bytes_per_s)) +
                 " to be read";
  check.mend = "put --ssd_path on a faster device";
  return check;
}

}  // namespace

HealthCheck clock_check(const std::string& root) {
  std::ifstream file(root + "/sys/devices/system/clocksource/clocksource0/current_clocksource");
  std::string source;
  file >> source;
  // These are read by a device's register, not by the processor's own counter.
  if (source == "hpet" || source == "acpi_pm" || source == "jiffies") {
    return {.topic = "clock",
            .well = false,
            .what = "the kernel takes its time from " + source,
            .effect =
                "each look at the clock takes a microsecond or more, and the core looks "
                "several times a turn",
            .mend =
                "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource, "
                "or boot with tsc=reliable"};
  }
  timex state{};
  if (root.empty() && ::adjtimex(&state) >= 0 && (state.status & STA_UNSYNC) != 0) {
    return {.topic = "clock",
            .well = false,
            .what = "nothing keeps the wall clock right (not synchronised)",
            .effect =
                "receipts carry its times: prices by time of day, and bills by day, may be "
                "those of another",
            .mend = "timedatectl set-ntp true, or start chronyd"};
  }
  return {.topic = "clock", .what = source.empty() ? "" : "time from " + source};
}

DaemonWord ask_daemon(Client& client) {
  const auto status = client.status_json();
  if (!status.ok()) return {.error = status.error().text, .facts = {}};
  const auto facts = read_status(*status);
  if (!facts.ok() || facts->scope != "all") return {};
  return {.error = {}, .facts = *facts};
}

HealthChecks examine(const DoctorOptions& options, const QuiredFlags& flags,
                     const DaemonWord& daemon) {
  HealthChecks checks{daemon_check(flags, daemon.error)};
  HealthChecks machine = machine_checks(options, flags);
  if (daemon.facts && flags.pid != 0) believe_daemon(*daemon.facts, machine);
  checks.insert(checks.end(), machine.begin(), machine.end());
  checks.push_back(clock_check());
  if (options.no_disk) return checks;
  const auto config = output_of_quired(options.quired, flags, "--print_config");
  const std::string directory = config.ok() ? flag_in(*config, "ssd_path") : "";
  if (!directory.empty()) checks.push_back(disk_check(directory));
  return checks;
}

}  // namespace quire::client
