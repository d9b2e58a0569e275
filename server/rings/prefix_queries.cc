#include "server/rings/prefix_queries.h"

#include <span>

#include "server/rings/replies.h"

namespace quire::server {

using model::Completion;
using model::Errc;
using model::Submission;

namespace {

// Whether the entries fit the descriptor area, which holds either kind.
bool has_room(const Attachment& attachment, const model::PositionsArgs& args) {
  const uint32_t entries = attachment.lane().shape().max_load_pages;
  return args.max_positions > 0 && args.max_positions <= model::kMaxPositions &&
         args.descriptor_index <= entries && args.max_positions <= entries - args.descriptor_index;
}

std::span<model::ResumePosition> entries_of(const Attachment& attachment,
                                            const model::PositionsArgs& args) {
  const auto room =
      attachment.lane().descriptors().subspan(args.descriptor_index, args.max_positions);
  return {reinterpret_cast<model::ResumePosition*>(room.data()), room.size()};
}

}  // namespace

Completion answer_positions(cache::Cache& cache, Attachment& attachment,
                            const Submission& submission) {
  const model::PositionsArgs& args = submission.args.positions;
  // Both are words of the client: hashes and entries have to lie in its own areas.
  if (args.unit_count > attachment.lane().shape().max_units || !has_room(attachment, args)) {
    return reply_to(submission, Errc::kInvalidArgument);
  }
  const auto found = cache.reader().positions(attachment.session().cached,
                                              attachment.lane().chain().first(args.unit_count),
                                              {.prompt_tokens = args.prompt_tokens,
                                               .have_tokens = args.have_tokens,
                                               .every_block = args.every_block != 0},
                                              entries_of(attachment, args));
  Completion completion = reply_to(submission, found.code());
  if (found.ok()) completion.result.positions = *found;
  return completion;
}

Completion answer_locate(cache::Cache& cache, Attachment& attachment,
                         const Submission& submission) {
  const model::LocateArgs& args = submission.args.locate;
  if (args.unit_count > attachment.lane().shape().max_units) {
    return reply_to(submission, Errc::kInvalidArgument);
  }
  const auto found = cache.reader().locate(attachment.session().cached.root,
                                           attachment.lane().chain().first(args.unit_count));
  Completion completion = reply_to(submission, found.code());
  if (found.ok()) completion.result.locate = *found;
  return completion;
}

}  // namespace quire::server
