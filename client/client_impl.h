// What stands behind the public Client: the present attachment and how to get the next one.
// Threads: one at a time. Sessions hold attachments of their own and never come here.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "client/attachment.h"
#include "client/quire.h"
#include "client/session_impl.h"

namespace quire::client {

class ClientImpl {
 public:
  static model::Result<std::unique_ptr<ClientImpl>> create(const ClientOptions& options);
  // For create(). `news` is an epoll descriptor.
  ClientImpl(const ClientOptions& options, model::FdGuard news);
  ClientImpl(const ClientImpl&) = delete;
  ClientImpl& operator=(const ClientImpl&) = delete;

  Attachment& attachment() const { return *attachment_; }
  int news_fd() const { return news_.get(); }

  // Known layouts cost no call. kCorrupt: daemon and library encode it differently.
  model::Result<uint32_t> register_layout(const model::Layout& layout);
  // Both attach anew first when the daemon is gone.
  model::Result<std::unique_ptr<SessionImpl>> open_session(const SessionOptions& options);
  // What open_session() asks with. Attaches anew first, too.
  model::Result<std::unique_ptr<SessionOpener>> session_opener(const SessionOptions& options);
  model::Result<std::unique_ptr<SessionImpl>> join_session(const SessionToken& token,
                                                           const SessionOptions& options);
  // Nothing to do while the daemon is there.
  model::Result<void> reconnect(uint32_t timeout_ms);

 private:
  model::Result<void> attach();
  // What its fills are written to; made by the first session.
  model::Result<StagingArea*> staging_for(const SessionOptions& options);
  // Once at least; again, with back-off, while that may help and timeout_ms have not passed.
  model::Result<void> attach_within(uint32_t timeout_ms);

  const ClientOptions options_;
  const model::FdGuard news_;  // epoll over the present socket: stays the same across reconnects
  std::shared_ptr<Attachment> attachment_;
  std::vector<std::pair<model::Layout, uint32_t>> layouts_;  // ids the present daemon gave
};

}  // namespace quire::client
