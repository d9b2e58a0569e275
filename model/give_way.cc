#include "model/give_way.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace quire::model {

void give_way(int niceness) {
  const sched_param none{};
  // A batch thread that wakes does not preempt whoever runs. Refused, only politeness is lost.
  (void)::sched_setscheduler(0, SCHED_BATCH, &none);
  // Linux keeps a niceness for each thread, and takes a thread's id here.
  const auto thread = static_cast<id_t>(::gettid());
  if (::getpriority(PRIO_PROCESS, thread) < niceness) {
    (void)::setpriority(PRIO_PROCESS, thread, niceness);
  }
}

}  // namespace quire::model
