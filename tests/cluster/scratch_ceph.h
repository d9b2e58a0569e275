// The Ceph cluster that tests/cluster/scratch_ceph.sh made, of which QUIRE_SCRATCH_CEPH names the
// directory. Tests that need one begin with QUIRE_NEEDS_CEPH().
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "model/check.h"
#include "tiering/cluster/rados_pool.h"

namespace quire::tests {

inline std::string scratch_ceph() {
  const char* directory = ::getenv("QUIRE_SCRATCH_CEPH");
  return directory == nullptr ? "" : directory;
}

#define QUIRE_NEEDS_CEPH()    \
  if (scratch_ceph().empty()) \
  GTEST_SKIP() << "no Ceph cluster: ./dev cluster starts one, and sets QUIRE_SCRATCH_CEPH"

// The pool that the script makes for tests, as a user who may use nothing else.
inline constexpr const char* kTestPool = "quire";

inline tiering::RadosOptions scratch_options(const std::string& pool = kTestPool) {
  // The user's own keyring: the one in ceph.conf is the administrator's.
  const std::string conf = scratch_ceph() + "/client." + pool + ".conf";
  return {.conf = conf, .pool = pool, .user = pool, .operation_ms = 3000};
}

// A verb of the script, about this cluster.
inline void scratch_ceph_do(const std::string& verb, const std::string& arguments) {
  const std::string command = std::string(QUIRE_SCRATCH_CEPH_SCRIPT) + " " + verb + " " +
                              scratch_ceph() + " " + arguments + " >/dev/null";
  QUIRE_CHECK(std::system(command.c_str()) == 0);
}

// No test sees what another one wrote, nor what an earlier run of it did.
inline std::string fresh_name() {
  static int count = 0;
  return std::string(testing::UnitTest::GetInstance()->current_test_info()->name()).substr(0, 30) +
         "-" + std::to_string(::getpid()) + "-" + std::to_string(::time(nullptr)) + "-" +
         std::to_string(++count);
}

}  // namespace quire::tests
