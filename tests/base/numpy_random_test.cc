#include "base/numpy_random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "base/file.h"
#include "base/sha256.h"

namespace daq {
namespace {

TEST(GoldenNumpyRandomTest, PermutesAsNumPyDoes) {
  const nlohmann::json goldens = nlohmann::json::parse(
      ReadFile(std::filesystem::path(DAQ_SOURCE_DIR) / "tests/golden/random/permutations.json"));
  ASSERT_EQ(goldens.size(), 35U);
  for (const nlohmann::json& golden : goldens) {
    SCOPED_TRACE(golden.dump());
    const std::int64_t n = golden.at("n");
    const std::vector<std::int64_t> order = NumpyPermutation(golden.at("seed"), n);
    ASSERT_EQ(static_cast<std::int64_t>(order.size()), n);
    const auto first = golden.at("first").get<std::vector<std::int64_t>>();
    EXPECT_TRUE(std::equal(first.begin(), first.end(), order.begin()));
    EXPECT_EQ(Sha256Hex(std::as_bytes(std::span(order))), golden.at("sha256"));
  }
}

TEST(NumpyRandomDeathTest, RefusesMoreThanAnIntervalOf32Bits) {
  EXPECT_DEATH(NumpyPermutation(0, std::int64_t{1} << 32), "an interval of 32 bits");
  EXPECT_DEATH(NumpyPermutation(0, -1), "an interval of 32 bits");
}

}  // namespace
}  // namespace daq
