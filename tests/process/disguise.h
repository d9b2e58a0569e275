// Another user, for what this process connects meanwhile: the kernel notes who a peer is when it
// connects. Needs root. Threads: the process has one.
#pragma once

#include <grp.h>
#include <sys/types.h>
#include <unistd.h>

#include <vector>

#include "model/check.h"

namespace quire::tests {

class Disguise {
 public:
  explicit Disguise(uid_t uid, const std::vector<gid_t>& groups = {}) {
    QUIRE_CHECK(::setgroups(groups.size(), groups.data()) == 0);
    QUIRE_CHECK(::setegid(uid) == 0 && ::seteuid(uid) == 0);
  }
  Disguise(const Disguise&) = delete;
  Disguise& operator=(const Disguise&) = delete;
  ~Disguise() {
    QUIRE_CHECK(::seteuid(0) == 0 && ::setegid(0) == 0 && ::setgroups(0, nullptr) == 0);
  }
};

}  // namespace quire::tests
