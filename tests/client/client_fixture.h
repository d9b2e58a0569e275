// A client of a fake daemon, and page bytes that any test can check again.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "client/quire.h"
#include "tests/client/fake_daemon.h"

namespace quire::client {

// Two append groups and a state group; unit 16, block 32: a checkpoint at 16 cuts a block.
inline model::Layout test_layout() {
  model::Layout layout;
  layout.name = "client-test";
  layout.unit_tokens = 16;
  layout.block_tokens = 32;
  const auto add = [&](const char* name, model::GroupKind kind, uint64_t bytes) {
    model::Group group;
    group.name = name;
    group.kind = kind;
    group.page_bytes = bytes;
    group.layers = {{0, 0, bytes}};
    layout.groups.push_back(group);
  };
  add("keys", model::GroupKind::kAppend, 4096);
  add("index", model::GroupKind::kAppend, 1000);
  add("state", model::GroupKind::kState, 512);
  return layout;
}

inline std::byte page_byte(model::FillKind kind, uint32_t end_tokens, uint32_t group, uint64_t i) {
  return static_cast<std::byte>(static_cast<uint64_t>(kind) * 101 + end_tokens * 31 + group * 7 +
                                i);
}

class ClientFixture : public testing::Test {
 protected:
  void start(FakeDaemonOptions options = {}) {
    daemon_.reset();
    daemon_ = std::make_unique<FakeDaemon>(path_, options);
  }
  void connect(ClientOptions options = {}) {
    options.socket_path = path_;
    client_ = Client::connect(options).value();
  }
  SessionOptions session_options() {
    SessionOptions options;
    options.layout = test_layout();
    options.ring_entries = 8;
    options.max_tokens = 4096;
    options.max_load_pages = 256;
    options.staging_bytes = 64 << 10;
    return options;
  }
  void open() {
    session_ = client_->open_session(session_options()).value();
    std::vector<uint32_t> tokens(1024);
    std::iota(tokens.begin(), tokens.end(), 1);
    ASSERT_TRUE(session_->append_tokens(tokens).ok());
  }
  void start_all() {
    start();
    connect();
    open();
  }

  static void write_pages(const Fill& fill) {
    for (const model::PlannedPage& page : fill.plan.pages) {
      for (uint64_t i = 0; i < page.bytes; ++i) {
        fill.staging[page.staging_offset + i] =
            page_byte(fill.kind, fill.end_tokens, page.group, i);
      }
    }
  }
  void store(model::FillKind kind, uint32_t end_tokens) {
    const auto fill = session_->begin_fill(kind, end_tokens);
    ASSERT_TRUE(fill.ok()) << fill.error().text;
    write_pages(*fill);
    ASSERT_TRUE(session_->commit(*fill).ok());
  }
  static void expect_page(const PageView& page, model::FillKind kind, uint32_t end_tokens) {
    for (uint64_t i = 0; i < page.bytes; ++i) {
      ASSERT_EQ(page.data[i], page_byte(kind, end_tokens, page.group, i)) << i;
    }
    EXPECT_TRUE(verify_page(page));
  }

  const std::string path_ = fresh_socket_path();
  std::unique_ptr<FakeDaemon> daemon_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Session> session_;
};

}  // namespace quire::client
