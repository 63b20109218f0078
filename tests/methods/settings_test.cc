#include "methods/settings.h"

#include <gtest/gtest.h>

#include <array>

namespace daq {
namespace {

TEST(SettingsTest, DefaultsHaveEveryNameAndType) {
  const std::array<SettingSpec, 4> specs = {
      SettingSpec{.name = "flag", .default_value = true, .meaning = "", .source = ""},
      SettingSpec{.name = "count", .default_value = std::int64_t{20}, .meaning = "", .source = ""},
      SettingSpec{.name = "rate", .default_value = 0.5, .meaning = "", .source = ""},
      SettingSpec{
          .name = "mode", .default_value = std::string("quantile"), .meaning = "", .source = ""}};
  const Settings settings = DefaultSettings(specs);
  ASSERT_EQ(settings.size(), 4U);
  EXPECT_TRUE(GetBool(settings, "flag"));
  EXPECT_EQ(GetInt(settings, "count"), 20);
  EXPECT_EQ(GetDouble(settings, "rate"), 0.5);
  EXPECT_EQ(GetString(settings, "mode"), "quantile");
}

TEST(SettingsTest, TextReadsBackToTheSameValue) {
  EXPECT_EQ(ToString(true), "true");
  EXPECT_EQ(ToString(std::int64_t{20}), "20");
  EXPECT_EQ(ToString(0.5), "0.5");
  EXPECT_EQ(ToString(1e-5), "1e-05");
  EXPECT_EQ(ToString(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(ToString(std::string("quantile")), "quantile");
}

TEST(SettingsDeathTest, AMissingNameOrAnotherTypeIsABug) {
  const Settings settings = {{"count", std::int64_t{3}}};
  EXPECT_DEATH(GetInt(settings, "cuont"), "check failed: .*cuont");
  EXPECT_DEATH(GetDouble(settings, "count"), "check failed: .*count");
}

}  // namespace
}  // namespace daq
