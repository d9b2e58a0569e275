#include "tests/support/raw_writer.h"

namespace quire::tests {

using model::Errc;
using model::FillKind;
using model::Submission;
using model::Verb;

namespace {

Submission submission_of(Verb verb, uint64_t user_data) {
  Submission submission{};
  submission.verb = static_cast<uint16_t>(verb);
  submission.user_data = user_data;
  return submission;
}

}  // namespace

model::Hash256 numbered_hash(uint64_t number) {
  model::Hash256 hash;
  for (size_t i = 0; i < 8; ++i) hash.bytes[i] = static_cast<uint8_t>(number >> (8 * i));
  return hash;
}

RawWriter::RawWriter(RawClient& client, const model::Layout& layout, const RawShape& shape,
                     uint64_t context)
    : session_(client.open_session(layout, shape)), max_units_(shape.max_units) {
  claim_context(context);
}

void RawWriter::claim_context(uint64_t context) {
  for (uint32_t units = 1; units <= max_units_; ++units) {
    session_.set_hash(units, numbered_hash(context << 32 | units));
  }
}

model::Completion RawWriter::begin(uint32_t end_units, FillKind kind) {
  Submission submission = submission_of(Verb::kBeginFill, end_units);
  submission.args.begin_fill.end_units = end_units;
  submission.args.begin_fill.kind = static_cast<uint8_t>(kind);
  session_.submit(submission);
  return session_.wait_completion();
}

uint64_t RawWriter::granted(uint32_t end_units, FillKind kind) {
  const model::Completion completion = begin(end_units, kind);
  return code_of(completion) == Errc::kOk ? completion.result.begin_fill.fill : 0;
}

void RawWriter::submit_commit(uint64_t fill, uint32_t deadline_ms) {
  Submission submission = submission_of(Verb::kCommit, fill);
  submission.deadline_ms = deadline_ms;
  submission.args.commit.fill = fill;
  session_.submit(submission);
}

void RawWriter::submit_match(uint32_t units, uint32_t prompt_tokens) {
  Submission submission = submission_of(Verb::kMatch, units);
  submission.args.match.unit_count = units;
  submission.args.match.prompt_tokens = prompt_tokens;
  session_.submit(submission);
}

void RawWriter::submit_load(uint64_t lease) {
  Submission submission = submission_of(Verb::kLoad, lease);
  submission.args.load.lease = lease;
  submission.args.load.descriptor_capacity = session_.reply().max_load_pages;
  session_.submit(submission);
}

void RawWriter::submit_release(uint64_t lease) {
  Submission submission = submission_of(Verb::kRelease, lease);
  submission.args.release.lease = lease;
  session_.submit(submission);
}

Errc RawWriter::abort(uint64_t fill) {
  Submission submission = submission_of(Verb::kAbortFill, fill);
  submission.args.abort_fill.fill = fill;
  session_.submit(submission);
  return code_of(session_.wait_completion());
}

void RawWriter::commit_chain(uint32_t units) {
  for (uint32_t end = 1; end <= units; ++end) {
    const uint64_t fill = granted(end);
    if (fill == 0) continue;
    submit_commit(fill);
    session_.wait_completion();
  }
}

uint64_t RawWriter::commit_all_but_the_first(uint32_t units) {
  std::vector<uint64_t> fills;
  for (uint32_t end = 1; end <= units; ++end) {
    fills.push_back(granted(end));
    if (fills.back() != 0) continue;
    fills.pop_back();
    for (const uint64_t fill : fills) abort(fill);
    return 0;
  }
  for (uint32_t end = units; end > 1; --end) submit_commit(fills[end - 1]);
  return fills[0];
}

}  // namespace quire::tests
