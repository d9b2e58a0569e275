// C ABI: loads told as runs.
#include <cstddef>

#include "client/c_support.h"
#include "client/quire_c.h"

namespace {

using quire::client::call;
using quire::client::check_result;
using quire::client::LoadedRuns;
using quire::client::LoadOptions;
using quire::client::RunView;
using quire::client::Session;
using quire::client::submit;
using quire::client::take;
using quire::client::to_load_options;
using quire::client::write_result;
using quire::model::Completion;
using quire::model::Result;

// Views go to C as they are.
static_assert(sizeof(quire_run_view) == sizeof(RunView));
static_assert(offsetof(quire_run_view, page_bytes) == offsetof(RunView, page_bytes));
static_assert(offsetof(quire_run_view, stride) == offsetof(RunView, stride));
static_assert(offsetof(quire_run_view, offset) == offsetof(RunView, offset));
static_assert(offsetof(quire_run_view, first_block) == offsetof(RunView, first_block));
static_assert(offsetof(quire_run_view, page_count) == offsetof(RunView, page_count));
static_assert(offsetof(quire_run_view, generation) == offsetof(RunView, generation));
static_assert(offsetof(quire_run_view, segment) == offsetof(RunView, segment));
static_assert(offsetof(quire_run_view, group) == offsetof(RunView, group));
static_assert(offsetof(quire_run_view, of_checkpoint) == offsetof(RunView, of_checkpoint));

Result<LoadOptions> run_options(const quire_load_options* given, uint32_t max_runs) {
  LoadOptions options = QUIRE_TRY(to_load_options(given));
  options.max_runs = max_runs;
  return options;
}

quire_runs to_c(const LoadedRuns& loaded) {
  quire_runs out{};
  out.runs = reinterpret_cast<const quire_run_view*>(loaded.runs.data());
  out.run_count = loaded.runs.size();
  out.page_count = loaded.page_count;
  out.block_count = loaded.block_count;
  out.checkpoint_count = loaded.checkpoint_count;
  out.limited_by = static_cast<quire_status>(loaded.limited_by);
  return out;
}

}  // namespace

quire_status quire_load_runs(quire_session* session, uint64_t lease,
                             const quire_load_options* options, uint32_t max_runs,
                             quire_runs* runs) {
  return call(session, [&](Session& s) -> Result<void> {
    QUIRE_TRY(check_result(runs));
    const LoadOptions given = QUIRE_TRY(run_options(options, max_runs));
    write_result(to_c(QUIRE_TRY(s.load_runs(lease, given))), runs);
    return {};
  });
}

quire_status quire_submit_load_runs(quire_session* session, uint64_t lease,
                                    const quire_load_options* options, uint32_t max_runs,
                                    uint64_t* request) {
  return submit(session, request, [&](Session& s) -> Result<uint64_t> {
    const LoadOptions given = QUIRE_TRY(run_options(options, max_runs));
    return s.submit_load_runs(lease, given);
  });
}

quire_status quire_take_runs(quire_session* session, const quire_completion* completion,
                             quire_runs* runs) {
  return take(session, completion, runs,
              [&](Session& s, uint64_t request, const Completion& done) -> Result<void> {
                write_result(to_c(QUIRE_TRY(s.take_runs(request, done))), runs);
                return {};
              });
}
