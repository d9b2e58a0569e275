#include "client/quirectl/meter/bill_output.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <vector>

#include "model/clean_text.h"
#include "model/prices/instant.h"

namespace quire::client {

namespace {

namespace json = boost::json;
using model::Result;
using prices::Bill;
using prices::BillGroup;
using prices::BillLine;
using prices::BillTotal;
using prices::Decimal;

// What the part is about, by all that the bill is split by: "day 2026-09-15, tenant acme".
std::string group_text(const prices::BillOptions& split, const BillGroup& group) {
  std::string text;
  const auto add = [&](bool is_split, const char* name, const std::string& value) {
    if (!is_split) return;
    text += (text.empty() ? "" : ", ") + std::string(name) + " ";
    text += value.empty() ? "(none)" : model::escape_text(value);
  };
  add(split.by_day, "day", group.day ? prices::date_text(*group.day) : "");
  add(split.by_tenant, "tenant", group.tenant);
  add(split.by_namespace, "namespace", group.namespace_name);
  add(split.by_model, "model", group.model);
  return text;
}

std::string exact(const prices::Sum& sum) { return sum.rounded(Decimal::kDigits).text(); }

std::string price_text(const BillLine& line) { return line.price.text() + " / " + line.price_of; }

std::string right(const std::string& text, size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

std::string left(const std::string& text, size_t width) {
  return text + std::string(width - std::min(width, text.size()), ' ');
}

// Columns as wide as their widest text, over the whole bill.
struct Widths {
  explicit Widths(const Bill& bill) {
    for (const BillLine& line : bill.lines) {
      kind = std::max(kind, line.kind.size());
      quantity = std::max(quantity, prices::whole_text(line.quantity).size());
      unit = std::max(unit, line.unit.size());
      price = std::max(price, price_text(line).size());
      amount = std::max(amount, exact(line.amount).size());
    }
  }
  size_t kind = 0, quantity = 0, unit = 0, price = 0, amount = 0;
};

std::string line_text(const BillLine& line, const Widths& widths) {
  return "  " + left(model::escape_text(line.kind), widths.kind) + "  " +
         right(prices::whole_text(line.quantity), widths.quantity) + " " +
         left(line.unit, widths.unit) + "  " + right(price_text(line), widths.price) + "  " +
         line.currency + " " + right(exact(line.amount), widths.amount) + "  " +
         model::escape_text(line.rule) + " (line " + std::to_string(line.book_line) + ")\n";
}

Result<std::string> total_text(const BillTotal& total) {
  const Decimal saved = QUIRE_TRY(total.saved());
  return total.currency + " " + total.rounded().fixed(total.digits) + " for " +
         std::to_string(total.requests) + (total.requests == 1 ? " request" : " requests") +
         "; all missed: " + total.rounded_all_miss().fixed(total.digits) +
         ", saved: " + saved.fixed(total.digits) + "\n";
}

Result<std::string> lines_text(const Bill& bill) {
  const Widths widths(bill);
  std::string text;
  auto subtotal = bill.subtotals.begin();
  for (size_t i = 0; i < bill.lines.size(); ++i) {
    const BillLine& line = bill.lines[i];
    const bool first = i == 0 || line.group != bill.lines[i - 1].group;
    if (first && !bill.subtotals.empty()) text += group_text(bill.options, line.group) + "\n";
    text += line_text(line, widths);
    const bool last = i + 1 == bill.lines.size() || line.group != bill.lines[i + 1].group;
    for (; last && subtotal != bill.subtotals.end() && subtotal->group <= line.group; ++subtotal) {
      text += "  = " + QUIRE_TRY(total_text(*subtotal));
    }
  }
  return text;
}

json::object group_json(const prices::BillOptions& split, const BillGroup& group) {
  json::object object;
  if (split.by_day && group.day) object["day"] = prices::date_text(*group.day);
  if (split.by_tenant) object["tenant"] = group.tenant;
  if (split.by_namespace) object["namespace"] = group.namespace_name;
  if (split.by_model) object["model"] = group.model;
  return object;
}

json::object line_json(const prices::BillOptions& split, const BillLine& line) {
  json::object object = group_json(split, line.group);
  object["currency"] = line.currency;
  object["kind"] = line.kind;
  object["quantity"] = prices::whole_text(line.quantity);
  object["unit"] = line.unit;
  object["price"] = line.price.text();
  object["price_of"] = line.price_of;
  object["amount"] = exact(line.amount);
  object["rule"] = line.rule;
  object["book_line"] = line.book_line;
  return object;
}

Result<json::object> total_json(const BillTotal& total, json::object object) {
  const Decimal saved = QUIRE_TRY(total.saved());
  object["currency"] = total.currency;
  object["requests"] = total.requests;
  object["amount"] = total.rounded().fixed(total.digits);
  object["amount_exact"] = exact(total.amount);
  object["all_miss"] = total.rounded_all_miss().fixed(total.digits);
  object["all_miss_exact"] = exact(total.all_miss);
  object["saved"] = saved.fixed(total.digits);
  return object;
}

}  // namespace

Result<std::string> bill_table(const Bill& bill) {
  std::string text = model::escape_text(bill.vendor) + ", " + bill.book + "\n";
  text += QUIRE_TRY(lines_text(bill));
  for (const BillTotal& total : bill.totals) text += "total " + QUIRE_TRY(total_text(total));
  for (const prices::UnpricedLine& line : bill.unpriced) {
    text += "no price for " + std::to_string(line.requests) +
            (line.requests == 1 ? " request of " : " requests of ") +
            model::escape_text(line.model) + ": " +
            std::string(prices::unpriced_text(line.reason)) + "\n";
  }
  return text;
}

Result<std::string> bill_json(const Bill& bill) {
  json::object object;
  object["vendor"] = bill.vendor;
  object["book"] = bill.book;
  json::array lines;
  for (const BillLine& line : bill.lines) lines.push_back(line_json(bill.options, line));
  object["lines"] = std::move(lines);
  json::array subtotals, totals;
  for (const BillTotal& total : bill.subtotals) {
    subtotals.push_back(QUIRE_TRY(total_json(total, group_json(bill.options, total.group))));
  }
  for (const BillTotal& total : bill.totals) totals.push_back(QUIRE_TRY(total_json(total, {})));
  object["subtotals"] = std::move(subtotals);
  object["totals"] = std::move(totals);
  json::array unpriced;
  for (const prices::UnpricedLine& line : bill.unpriced) {
    unpriced.push_back({{"model", line.model},
                        {"reason", prices::unpriced_text(line.reason)},
                        {"requests", line.requests}});
  }
  object["unpriced"] = std::move(unpriced);
  return json::serialize(object) + "\n";
}

}  // namespace quire::client
