#include "model/element_format.h"

#include <gtest/gtest.h>

namespace quire::model::element_format_test {
namespace {

TEST(ElementFormat, NamesRoundTrip) {
  for (int value = 0; value <= static_cast<int>(ElementFormat::kMixed); ++value) {
    const auto format = static_cast<ElementFormat>(value);
    EXPECT_EQ(element_format_from_name(element_format_name(format)), format);
  }
}

TEST(ElementFormat, UnknownValuesAndNamesHaveNoPartner) {
  EXPECT_EQ(element_format_name(static_cast<ElementFormat>(200)), "unknown");
  EXPECT_EQ(element_format_from_name("unknown"), std::nullopt);
  EXPECT_EQ(element_format_from_name("fp4"), std::nullopt);
}

}  // namespace
}  // namespace quire::model::element_format_test
