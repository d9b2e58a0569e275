// More users than there are places, one after the other: ids are found again, and only of whom
// nothing is left.
#include <gtest/gtest.h>

#include <string>

#include "tests/cache/store_rig.h"

namespace quire::cache::cache_domains_test {
namespace {

using model::DomainId;
using model::Errc;

TEST(CacheDomains, Law10_OneTooManyTakesThePlaceOfOneOfWhomNothingIsLeft) {
  StoreRig rig;
  rig.add_chain(2, 1000);
  const DomainId with_pages = rig.root().key.domain;
  const std::string name(rig.cache().names().domain_name(with_pages));
  for (size_t i = 0; i < 3 * kMaxDomains; ++i) {
    const auto domain = rig.cache().add_domain("user:" + std::to_string(i));
    ASSERT_TRUE(domain.ok()) << i;
    EXPECT_NE(domain->value, with_pages.value) << "it has pages";
  }
  EXPECT_EQ(rig.cache().names().domain_count(), kMaxDomains);
  EXPECT_EQ(rig.cache().names().domain_name(with_pages), name);
  EXPECT_EQ(rig.inspect().counters().spans, 2u);
}

TEST(CacheDomains, Law10_WhereEachHasAClientOneTooManyIsRefused) {
  StoreRig rig;
  DomainId last = rig.root().key.domain;
  while (rig.cache().names().domain_count() < kMaxDomains) {
    last = rig.cache()
               .add_domain("user:" + std::to_string(rig.cache().names().domain_count()))
               .value();
    rig.cache().names().hold_domain(last);
  }
  EXPECT_EQ(rig.cache().add_domain("late").code(), Errc::kBusy);
  rig.cache().names().release_domain(last);
  EXPECT_EQ(rig.cache().add_domain("late").value().value, last.value);
}

}  // namespace
}  // namespace quire::cache::cache_domains_test
