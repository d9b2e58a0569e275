// A host of the cluster: a daemon in a network of its own (tests/cluster/host_networks.sh), and
// engines beside it. Its socket is a path, which all networks of this machine share.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "client/engines/reference/reference_engine.h"
#include "tests/cluster/scratch_ceph.h"
#include "tests/process/daemon_process.h"
#include "tests/reference/decoder_fixture.h"

namespace quire::tests {

#define QUIRE_NEEDS_HOSTS()                       \
  if (::getenv("QUIRE_HOST_NETWORKS") == nullptr) \
  GTEST_SKIP() << "no networks of hosts: ./dev cluster makes them"

inline void host_networks_do(const std::string& verb, int host) {
  const std::string command =
      std::string(QUIRE_HOST_NETWORKS_SCRIPT) + " " + verb + " " + std::to_string(host);
  QUIRE_CHECK(std::system(command.c_str()) == 0);
}

// Killed for as long as this stands.
class KilledOsd {
 public:
  explicit KilledOsd(std::string name) : name_(std::move(name)) { scratch_ceph_do("kill", name_); }
  ~KilledOsd() { scratch_ceph_do("revive", name_); }
  KilledOsd(const KilledOsd&) = delete;
  KilledOsd& operator=(const KilledOsd&) = delete;

 private:
  std::string name_;
};

class HostDaemon {
 public:
  struct Options {
    uint64_t ram_mib = 64;
    // Above what the cluster takes to know that an OSD is gone, where one is killed: until then
    // what it had is waited for, and loads may not give up.
    uint32_t timeout_ms = 3000;
    std::string admission = "all";
    uint32_t write_delay_ms = 0;  // above 0 runs are as long as they are in earnest
  };
  // 1 .. 3
  explicit HostDaemon(int host) : HostDaemon(host, Options{}) {}
  HostDaemon(int host, const Options& options)
      : daemon_({.ram_mib = options.ram_mib,
                 .flags = {"--cluster_conf=" + scratch_options().conf,
                           "--cluster_timeout_ms=" + std::to_string(options.timeout_ms),
                           "--search_ms=1000", "--cluster_admission=" + options.admission,
                           "--cluster_write_delay_ms=" + std::to_string(options.write_delay_ms),
                           std::string(kNoGhosts)},
                 .before_exec = [host] { enter(host); }}) {}

  DaemonProcess& process() { return daemon_; }
  boost::json::object cluster() {
    const boost::json::value status = boost::json::parse(daemon_.status_json());
    for (const boost::json::value& tier : status.at("tiers").as_array()) {
      if (tier.at("tier").as_string() == "cluster") return tier.as_object();
    }
    return {};
  }
  bool reaches(const std::string& state) {
    return eventually([&] { return cluster().at("state").as_string() == state; });
  }
  // All that it has is on the cluster.
  bool settles() {
    return eventually([&] {
      const boost::json::object tier = cluster();
      const DaemonStatus status = daemon_.status();
      return tier.at("spans").to_number<uint64_t>() == status.spans &&
             tier.at("checkpoints").to_number<uint64_t>() == status.checkpoints && status.spans > 0;
    });
  }
  // A match finds so much of the session's prompt on the cluster; one that waited in vain for a
  // cluster that had lost an OSD is made again.
  static bool finds(client::Session& session, uint32_t prompt_tokens, uint32_t exact_tokens) {
    return eventually([&] {
      const auto match = session.match(prompt_tokens);
      if (match.ok() && match->lease != 0) QUIRE_CHECK(session.release(match->lease).ok());
      return match.ok() && match->exact_tokens == exact_tokens;
    });
  }
  static client::SessionOptions session_of(const reference::Decoder& decoder,
                                           const std::string& namespace_name, size_t tokens) {
    client::SessionOptions options;
    options.layout = client::reference_layout(decoder.geometry(), 1);
    for (model::Group& group : options.layout.groups) {
      group.checkpoints = model::CheckpointRule::kAll;
    }
    options.namespace_name = namespace_name;
    options.max_tokens = static_cast<uint32_t>(tokens) + 256;
    options.staging_bytes = 1 << 20;
    return options;
  }
  // An engine of its own computes what this host cannot resume.
  client::RunOutcome run(reference::Decoder& decoder, const std::string& namespace_name,
                         std::span<const uint32_t> tokens) {
    const client::SessionOptions options = session_of(decoder, namespace_name, tokens.size());
    const auto client = daemon_.connect("engine");
    const auto session = client->open_session(options).value();
    client::ReferenceRun engine(decoder, *session, {.chunk_tokens = 512, .verify_pages = true});
    auto outcome = engine.prefill(tokens);
    if (!outcome.ok()) ADD_FAILURE() << outcome.error().text;
    return outcome.ok() ? *outcome : client::RunOutcome{};
  }

 private:
  static void enter(int host) {
    const std::string path = "/run/netns/quire-host" + std::to_string(host);
    const int network = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (network < 0 || ::setns(network, CLONE_NEWNET) != 0) ::_exit(1);
  }

  DaemonProcess daemon_;
};

}  // namespace quire::tests
