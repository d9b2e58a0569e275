#include "model/prices/bill.h"

#include <algorithm>
#include <functional>

namespace quire::prices {

namespace {

using model::Errc;
using model::Error;
using model::make_error;
using model::Result;

constexpr int64_t kUsPerS = 1'000'000;

uint64_t joined(uint32_t group, uint32_t rule) { return uint64_t{group} << 32 | rule; }

Error too_many(size_t limit) {
  return make_error(Errc::kResourceExhausted,
                    "the bill has more than " + std::to_string(limit) +
                        " groups and rules; split it by less, or bill a shorter time");
}

Error sum_overflow() {
  return make_error(Errc::kInvalidArgument,
                    "a sum of tokens does not fit 64 bits; bill a shorter time");
}

// False where the sum does not fit.
bool add_to(uint64_t& sum, uint64_t count) { return !__builtin_add_overflow(sum, count, &sum); }

}  // namespace

template <typename Text>
size_t BillMaker::GroupHash::operator()(const GroupKey<Text>& key) const {
  constexpr size_t kMix = 0x9e37'79b9'7f4a'7c15;
  const auto mix = [](size_t seed, size_t value) { return (seed ^ value) * kMix ^ (seed >> 29); };
  const std::hash<std::string_view> hash;
  size_t result = mix(hash(key.model), hash(key.namespace_name));
  result = mix(result, hash(key.tenant));
  return mix(result, static_cast<size_t>(key.day));
}

template <typename A, typename B>
bool BillMaker::GroupEqual::operator()(const GroupKey<A>& a, const GroupKey<B>& b) const {
  return a.day == b.day && a.model == b.model && a.namespace_name == b.namespace_name &&
         a.tenant == b.tenant;
}

Result<BillMaker> BillMaker::create(const PriceBook& book, const BillOptions& options) {
  BillMaker maker(QUIRE_TRY(Pricer::create(book)), options);
  const std::vector<std::string>& currencies = maker.pricer_.currencies();
  for (size_t i = 0; i < currencies.size(); ++i) {
    if (options.currency.empty() || currencies[i] == options.currency) {
      maker.currencies_.push_back(i);
    }
  }
  if (maker.currencies_.empty()) {
    const std::string in = options.currency.empty() ? "" : " in '" + options.currency + "'";
    return make_error(Errc::kInvalidArgument, book.path() + ": the book has no prices" + in);
  }
  if (options.by_day) maker.zone_ = QUIRE_TRY(Zone::load(options.day_zone));
  if (!maker.is_split()) maker.groups_.emplace_back();
  return maker;
}

Result<void> BillMaker::add(const Billable& request, std::vector<BillLine>* charges) {
  const uint32_t group = QUIRE_TRY(find_group(request, request.instant_us));
  Unpriced first_reason = Unpriced::kNot;
  bool priced = false;
  for (const size_t currency : currencies_) {
    const Charge charge = pricer_.price(request, currency);
    Unpriced reason = charge.unpriced;
    if (reason == Unpriced::kNot) reason = pricer_.extras_of(request, currency);
    if (reason == Unpriced::kNot) {
      QUIRE_TRY(add_charge(group, charge, request));
      QUIRE_TRY(add_extras(group));
      if (charges != nullptr) {
        QUIRE_TRY(list_charges(charge, *charges));
        QUIRE_TRY(list_extras(*charges));
      }
      priced = true;
    } else if (first_reason == Unpriced::kNot) {
      first_reason = reason;
    }
  }
  return priced ? Result<void>() : add_unpriced(request.model, first_reason);
}

Result<void> BillMaker::add(const StoredBillable& stored, std::vector<BillLine>* charges) {
  const uint32_t group = QUIRE_TRY(find_group(stored, stored.begin_us));
  for (const size_t currency : currencies_) {
    if (pricer_.extras_of(stored, currency) != Unpriced::kNot) continue;
    QUIRE_TRY(add_extras(group));
    if (charges != nullptr) QUIRE_TRY(list_extras(*charges));
  }
  return {};
}

template <typename Any>
Result<uint32_t> BillMaker::find_group(const Any& billable, int64_t instant_us) {
  if (!is_split()) return uint32_t{0};
  const std::string_view none;
  const GroupKey<std::string_view> key{
      .model = options_.by_model ? billable.model : none,
      .namespace_name = options_.by_namespace ? billable.namespace_name : none,
      .tenant = options_.by_tenant ? billable.tenant : none,
      .day = options_.by_day ? day_of(instant_us) : 0};
  const auto found = group_of_.find(key);
  if (found != group_of_.end()) return found->second;
  if (groups_.size() >= options_.max_groups) return too_many(options_.max_groups);
  const auto index = static_cast<uint32_t>(groups_.size());
  BillGroup group{.day = std::nullopt,
                  .tenant = std::string(key.tenant),
                  .namespace_name = std::string(key.namespace_name),
                  .model = std::string(key.model)};
  if (options_.by_day) group.day = std::chrono::sys_days(std::chrono::days(key.day));
  group_of_.emplace(GroupKey<std::string>{group.model, group.namespace_name, group.tenant, key.day},
                    index);
  groups_.push_back(std::move(group));
  return index;
}

int64_t BillMaker::day_of(int64_t instant_us) {
  const int64_t utc_s = instant_us / kUsPerS - (instant_us % kUsPerS < 0 ? 1 : 0);
  if (utc_s < stretch_.from_s || utc_s >= stretch_.until_s) stretch_ = zone_->at(utc_s);
  return local_time(utc_s, stretch_.offset_s).day;
}

Result<void> BillMaker::add_charge(uint32_t group, const Charge& charge, const Billable& request) {
  const uint64_t key = joined(group, charge.cell);
  auto found = cell_sums_.find(key);
  if (found == cell_sums_.end()) {
    if (cell_sums_.size() >= options_.max_groups) return too_many(options_.max_groups);
    found = cell_sums_.emplace(key, CellSums{}).first;
  }
  CellSums& sums = found->second;
  bool fits = add_to(sums.prompt_tokens, request.prompt_tokens) && add_to(sums.requests, 1);
  for (size_t kind = 0; kind < kTokenKinds; ++kind) {
    fits = fits && add_to(sums.tokens[kind], charge.tokens[kind]);
  }
  return fits ? Result<void>() : sum_overflow();
}

Result<void> BillMaker::add_extras(uint32_t group) {
  for (const ExtraCharge& charge : pricer_.extras()) {
    const auto [found, added] = extra_sums_.emplace(joined(group, charge.extra), UInt128{0});
    if (added && extra_sums_.size() > options_.max_groups) return too_many(options_.max_groups);
    if (__builtin_add_overflow(found->second, charge.quantity, &found->second)) {
      return sum_overflow();
    }
  }
  return {};
}

Result<void> BillMaker::add_unpriced(std::string_view model, Unpriced reason) {
  const auto [found, added] = unpriced_.emplace(std::pair(std::string(model), reason), 0);
  if (added && unpriced_.size() > options_.max_groups) return too_many(options_.max_groups);
  ++found->second;
  return {};
}

}  // namespace quire::prices
