#include "model/prices/book_checks.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/prices/instant.h"

namespace quire::prices {

namespace {

using model::Errc;
using model::Error;
using model::make_error;
using model::Result;

// What is priced, and when: those of one name must follow each other.
using Timeline = std::vector<Validity>;

Error wrong_line(const PriceBook& book, uint32_t line, const std::string& text) {
  return make_error(Errc::kInvalidArgument, book.path() + ":" + std::to_string(line) + ": " + text);
}

std::string line_text(const Validity& valid) {
  return "the one of line " + std::to_string(valid.line);
}

Result<void> check_no_overlap(const PriceBook& book, const std::string& what, Timeline& timeline) {
  std::sort(timeline.begin(), timeline.end(), [](const Validity& a, const Validity& b) {
    return std::tie(a.from_us, a.line) < std::tie(b.from_us, b.line);
  });
  for (size_t i = 1; i < timeline.size(); ++i) {
    if (timeline[i].from_us >= timeline[i - 1].until_us) continue;
    return wrong_line(book, timeline[i].line,
                      what + " begins at " + instant_text(timeline[i].from_us) + ", before " +
                          line_text(timeline[i - 1]) + " ends; give that one an 'until'");
  }
  return {};
}

Result<void> check_timeline(const PriceBook& book, const std::string& what, Timeline& timeline) {
  QUIRE_TRY(check_no_overlap(book, what, timeline));
  for (size_t i = 1; i < timeline.size(); ++i) {
    if (timeline[i].from_us == timeline[i - 1].until_us) continue;
    return wrong_line(book, timeline[i].line,
                      what + " begins at " + instant_text(timeline[i].from_us) + ", but " +
                          line_text(timeline[i - 1]) + " ends at " +
                          instant_text(timeline[i - 1].until_us) + ": a gap without a price");
  }
  return {};
}

template <typename Entry, typename Name>
Result<void> check_timelines(const PriceBook& book, const std::vector<Entry>& entries, Name name) {
  std::map<std::string, Timeline> timelines;
  for (const Entry& entry : entries) timelines[name(entry)].push_back(entry.valid);
  for (auto& [what, timeline] : timelines) QUIRE_TRY(check_timeline(book, what, timeline));
  return {};
}

std::string priced(const std::string& model, const std::string& currency) {
  return "the " + currency + " price of " + (model.empty() ? "every model" : model);
}

bool is_priced(const PriceBook& book, const std::string& model, int64_t instant_us) {
  return std::any_of(book.prices().begin(), book.prices().end(), [&](const PriceEntry& entry) {
    return entry.model == model && entry.valid.holds(instant_us);
  });
}

const AliasEntry* alias_at(const PriceBook& book, const std::string& name, int64_t instant_us) {
  for (const AliasEntry& alias : book.aliases()) {
    if (alias.name == name && alias.valid.holds(instant_us)) return &alias;
  }
  return nullptr;
}

// Follows the alias at one instant to a model with a price.
Result<void> check_leads(const PriceBook& book, const AliasEntry& alias, int64_t instant_us) {
  std::string name = alias.model;
  for (size_t steps = 0; steps <= book.aliases().size(); ++steps) {
    const AliasEntry* next = alias_at(book, name, instant_us);
    if (next == nullptr && is_priced(book, name, instant_us)) return {};
    if (next == nullptr) {
      return wrong_line(book, alias.valid.line,
                        "alias " + alias.name + " leads to " + name + ", which has no price at " +
                            instant_text(instant_us));
    }
    name = next->model;
  }
  return wrong_line(book, alias.valid.line,
                    "alias " + alias.name + " leads in a circle at " + instant_text(instant_us));
}

// Where anything may change for the alias: its ends, and the ends of all that lie within.
std::vector<int64_t> instants_of(const PriceBook& book, const Validity& valid) {
  std::vector<int64_t> instants = {valid.from_us, valid.until_us - 1};
  const auto add_ends = [&](const Validity& other) {
    for (const int64_t at : {other.from_us, other.until_us}) {
      if (valid.holds(at)) instants.push_back(at);
    }
  };
  for (const PriceEntry& entry : book.prices()) add_ends(entry.valid);
  for (const AliasEntry& entry : book.aliases()) add_ends(entry.valid);
  return instants;
}

Result<void> check_alias(const PriceBook& book, const AliasEntry& alias) {
  for (const int64_t at : instants_of(book, alias.valid)) {
    QUIRE_TRY(check_leads(book, alias, at));
    if (!is_priced(book, alias.name, at)) continue;
    return wrong_line(book, alias.valid.line,
                      alias.name + " has a price of its own at " + instant_text(at) +
                          "; end that one where the alias begins");
  }
  return {};
}

Result<void> check_aliases(const PriceBook& book) {
  std::map<std::string, Timeline> timelines;
  for (const AliasEntry& alias : book.aliases()) timelines[alias.name].push_back(alias.valid);
  for (auto& [name, timeline] : timelines) {
    QUIRE_TRY(check_no_overlap(book, "alias " + name, timeline));
  }
  for (const AliasEntry& alias : book.aliases()) QUIRE_TRY(check_alias(book, alias));
  return {};
}

Result<void> check_named_model(const PriceBook& book, const std::string& model, uint32_t line) {
  const bool known = std::any_of(book.prices().begin(), book.prices().end(),
                                 [&](const PriceEntry& entry) { return entry.model == model; });
  if (model.empty() || known) return {};
  return wrong_line(book, line, "there is no [[price]] of model '" + model + "'");
}

}  // namespace

Result<void> check_book(const PriceBook& book) {
  QUIRE_TRY(check_timelines(book, book.prices(), [](const PriceEntry& entry) {
    return priced(entry.model, entry.currency);
  }));
  QUIRE_TRY(check_timelines(book, book.items(), [](const ItemEntry& entry) {
    return priced(entry.model, entry.currency) + " for " + entry.name;
  }));
  QUIRE_TRY(check_timelines(book, book.storage(), [](const StorageEntry& entry) {
    return priced(entry.model, entry.currency) + " for storage, rule " +
           std::to_string(static_cast<int>(entry.rule)) + ",";
  }));
  for (const ItemEntry& item : book.items()) {
    QUIRE_TRY(check_named_model(book, item.model, item.valid.line));
  }
  for (const StorageEntry& entry : book.storage()) {
    QUIRE_TRY(check_named_model(book, entry.model, entry.valid.line));
  }
  return check_aliases(book);
}

}  // namespace quire::prices
