// What a service manager hears of the daemon, over a real datagram socket.
#include "server/runtime/service_notifier.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <future>

#include "server/core.h"
#include "tests/support/service_socket.h"
#include "tests/support/test_daemon.h"

namespace quire::server::service_notifier_test {
namespace {

using tests::ServiceSocket;
using tests::TestDaemon;

constexpr int64_t kMs = 1'000'000;
// Many times the watchdog's interval below: a timer that feeds it would be heard.
constexpr int kSilenceMs = 300;

class Variables {
 public:
  explicit Variables(const ServiceSocket& socket) {
    ::setenv("NOTIFY_SOCKET", socket.path().c_str(), 1);
    ::setenv("WATCHDOG_USEC", "20000", 1);
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  }
  ~Variables() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
};

}  // namespace

TEST(ServiceNotifier, TakesWhatTheManagerSaysOutOfTheEnvironment) {
  const ServiceSocket socket;
  const Variables set(socket);
  const auto options = ServiceNotifier::take_environment();
  EXPECT_EQ(options.socket_path, socket.path());
  EXPECT_EQ(options.watchdog_ns, 20 * kMs);
  EXPECT_EQ(::getenv("NOTIFY_SOCKET"), nullptr) << "a child would speak for the daemon";
  EXPECT_EQ(::getenv("WATCHDOG_USEC"), nullptr);
  EXPECT_TRUE(ServiceNotifier::take_environment().socket_path.empty());
}

TEST(ServiceNotifier, WatchdogOfAnotherProcessOrOfNoNumberIsNone) {
  const ServiceSocket socket;
  const Variables set(socket);
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(ServiceNotifier::take_environment().watchdog_ns, 0);
  for (const char* wrong : {"soon", "-5", "0", "9223372036854775807", "20s"}) {
    ::setenv("WATCHDOG_USEC", wrong, 1);
    EXPECT_EQ(ServiceNotifier::take_environment().watchdog_ns, 0) << wrong;
  }
}

TEST(ServiceNotifier, EachWordIsOneDatagram) {
  const ServiceSocket socket;
  ServiceNotifier service({.socket_path = socket.path()});
  service.ready();
  EXPECT_EQ(socket.next(), "READY=1");
  service.status("serving 2 clients");
  service.status("serving 2 clients");
  service.status("serving 3 clients");
  EXPECT_EQ(socket.next(), "STATUS=serving 2 clients");
  EXPECT_EQ(socket.next(), "STATUS=serving 3 clients") << "the same one is not said twice";
  service.reloading();
  EXPECT_TRUE(socket.next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  service.stopping();
  EXPECT_TRUE(socket.next().starts_with("STOPPING=1\n"));
}

TEST(ServiceNotifier, SignOfLifeComesWhenHalfOfTheTimeIsOver) {
  const ServiceSocket socket;
  ServiceNotifier service({.socket_path = socket.path(), .watchdog_ns = 100 * kMs});
  EXPECT_EQ(service.interval_ns(), 50 * kMs);
  EXPECT_EQ(service.most_sleep_ms(), 50);
  service.step(1000 * kMs);
  EXPECT_EQ(socket.next(), "WATCHDOG=1");
  service.step(1049 * kMs);
  EXPECT_EQ(socket.next(0), "");
  service.step(1050 * kMs);
  EXPECT_EQ(socket.next(), "WATCHDOG=1");
}

TEST(ServiceNotifier, WithoutAManagerNothingHappens) {
  for (const std::string& path : {std::string(), std::string("@"), std::string("relative"),
                                  std::string(200, '/'), std::string("/nobody/listens")}) {
    ServiceNotifier service({.socket_path = path, .watchdog_ns = 1});
    EXPECT_FALSE(service.say("READY=1")) << path;
    service.step(1);
  }
  EXPECT_FALSE(ServiceNotifier({.watchdog_ns = 1}).interval_ns().has_value());
}

TEST(ServiceNotifier, FullSocketOfAManagerKeepsNobodyWaiting) {
  const ServiceSocket socket;
  ServiceNotifier service({.socket_path = socket.path()});
  int said = 0;
  while (service.say("STATUS=again") && said < 100'000) ++said;
  EXPECT_LT(said, 100'000) << "it never became full";
  EXPECT_FALSE(service.say("STATUS=one more"));
}

TEST(ServiceNotifier, DaemonIsReadyTurnsAndStops) {
  const ServiceSocket socket;
  ServiceNotifier service({.socket_path = socket.path(), .watchdog_ns = 20 * kMs});
  TestDaemon daemon(tests::small_options(), {.service = &service});
  EXPECT_TRUE(socket.comes("STATUS=starting"));
  EXPECT_TRUE(socket.comes("READY=1"));
  EXPECT_TRUE(socket.comes("STATUS=serving 0 clients, 0 sessions"));
  EXPECT_TRUE(socket.comes("WATCHDOG=1")) << "also of a daemon that has nothing to do";
  const auto client = daemon.connect();
  EXPECT_TRUE(socket.comes("STATUS=serving 1 clients"));
  daemon.stop();
  EXPECT_TRUE(socket.comes("STOPPING=1"));
  daemon.start();
}

TEST(ServiceNotifier, StuckCoreIsSilent) {
  const ServiceSocket socket;
  ServiceNotifier service({.socket_path = socket.path(), .watchdog_ns = 20 * kMs});
  TestDaemon daemon(tests::small_options(), {.service = &service});
  ASSERT_TRUE(socket.comes("WATCHDOG=1"));
  std::promise<void> stuck;
  std::promise<void> free;
  daemon.post([&](server::Daemon&) {
    stuck.set_value();
    free.get_future().wait();
  });
  stuck.get_future().wait();
  socket.drop_all();
  EXPECT_EQ(socket.next(kSilenceMs), "") << "nobody may speak for a core that is stuck";
  free.set_value();
  EXPECT_TRUE(socket.comes("WATCHDOG=1")) << "it turns again";
}

}  // namespace quire::server::service_notifier_test
