#include "client/quirectl/meter/quote_command.h"

#include <charconv>
#include <ostream>

#include "client/quirectl/answer_output.h"
#include "client/quirectl/layout_command.h"
#include "client/quirectl/meter/bill_output.h"
#include "model/prices/bill.h"
#include "model/prices/instant.h"

namespace quire::client {

namespace {

using model::Errc;
using model::make_error;
using model::Result;
using prices::Bill;
using prices::Billable;
using prices::ItemCount;

// Of the texts, which outlive what is made of them.
Result<std::vector<ItemCount>> read_items(const std::vector<std::string>& texts) {
  std::vector<ItemCount> items;
  for (const std::string_view text : texts) {
    const size_t equals = text.find('=');
    ItemCount item{.name = text.substr(0, equals)};
    const char* end = text.data() + text.size();
    const char* begin = equals == text.npos ? end : text.data() + equals + 1;
    const auto [stop, failure] = std::from_chars(begin, end, item.count);
    if (failure != std::errc() || stop != end || item.name.empty()) {
      return make_error(Errc::kInvalidArgument,
                        "--item " + std::string(text) + " is not NAME=COUNT");
    }
    items.push_back(item);
  }
  return items;
}

Result<Billable> read_request(const QuoteOptions& options) {
  Billable request{.model = options.model,
                   .service_tier = options.tier,
                   .retention = options.retention,
                   .prompt_tokens = options.prompt_tokens,
                   .hit_tokens = options.hit_tokens,
                   .replayed_tokens = options.replayed_tokens,
                   .written_tokens = options.written_tokens,
                   .output_tokens = options.output_tokens,
                   .explicit_hit = options.explicit_hit};
  request.instant_us = QUIRE_TRY(prices::parse_instant(options.at));
  const uint64_t left = options.prompt_tokens - options.hit_tokens;
  if (options.hit_tokens > options.prompt_tokens || options.replayed_tokens > left) {
    return make_error(Errc::kInvalidArgument,
                      "--hit and --replayed are parts of --prompt, and more than it");
  }
  request.missed_tokens = left - options.replayed_tokens;
  return request;
}

Result<Bill> make_bill(const QuoteOptions& options, const Billable& request) {
  const prices::PriceBook book = QUIRE_TRY(prices::PriceBook::load(options.book_path));
  prices::BillMaker maker =
      QUIRE_TRY(prices::BillMaker::create(book, {.currency = options.currency}));
  QUIRE_TRY(maker.add(request));
  return maker.bill();
}

int refuse(const model::Error& error, int exit_code, std::ostream& err) {
  err << "quirectl meter quote: " << error.text << '\n';
  return exit_code;
}

}  // namespace

int run_quote(const QuoteOptions& options, bool json, std::ostream& out, std::ostream& err) {
  Result<Billable> request = read_request(options);
  if (!request.ok()) return refuse(request.error(), kExitUsage, err);
  const Result<std::vector<ItemCount>> items = read_items(options.items);
  if (!items.ok()) return refuse(items.error(), kExitUsage, err);
  request->items = *items;
  const Result<Bill> bill = make_bill(options, *request);
  if (!bill.ok()) return refuse(bill.error(), exit_code_of(bill.code()), err);
  const Result<std::string> text = json ? bill_json(*bill) : bill_table(*bill);
  if (!text.ok()) return refuse(text.error(), kExitFailed, err);
  out << (json ? with_schema(*text, "meter.quote") : *text);
  return bill->unpriced.empty() ? kExitOk : kExitFailed;
}

}  // namespace quire::client
