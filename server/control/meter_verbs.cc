#include "server/control/meter_verbs.h"

#include "model/wire.h"
#include "server/control/pipe_reply.h"

namespace quire::server {

using model::Errc;
using model::make_error;

model::Result<void> MeterVerbs::meter(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::MeterRequest>(call.payload));
  if (ledger_ == nullptr) {
    return make_error(Errc::kNotFound,
                      "no receipts are kept; start with --ssd_path or --ledger_path");
  }
  if (request.what > static_cast<uint8_t>(LedgerQuery::What::kHours)) {
    return make_error(Errc::kInvalidArgument, "meter: nothing of the kind is kept");
  }
  PipeReply pipe = QUIRE_TRY(PipeReply::create());
  QUIRE_TRY(ledger_->send({.what = static_cast<LedgerQuery::What>(request.what),
                           .follow = request.follow != 0,
                           .after = {request.after_epoch, request.after_sequence},
                           .from_us = request.from_us},
                          pipe.take_writer()));
  pipe.send(call, model::struct_bytes(model::ReplyStatus{}));
  return {};
}

}  // namespace quire::server
