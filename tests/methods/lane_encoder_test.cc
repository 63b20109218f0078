#include "methods/lane_encoder.h"

#include <gtest/gtest.h>

#include "tests/methods/matrices.h"

namespace daq {
namespace {

// Random weights, and each lane's own thresholds, which are ties: the Encoder's codes and decoded
// values exactly.
TEST(LaneEncoderTest, CodesAndValuesAreTheEncoders) {
  std::mt19937_64 generator(61);
  for (const Format& format : AllFormats(0)) {
    SCOPED_TRACE(FormatName(format));
    const Encoder encoder(format.codebook);
    LaneEncoder lanes(encoder);
    std::array<double, LaneEncoder::kLanes> scale{};
    std::array<double, LaneEncoder::kLanes> zero_point{};
    std::array<std::vector<float>, LaneEncoder::kLanes> thresholds;
    for (std::size_t lane = 0; lane < LaneEncoder::kLanes; ++lane) {
      scale[lane] = static_cast<double>(static_cast<float>(1.5 + Uniform(&generator)));
      zero_point[lane] = static_cast<double>(static_cast<float>(3 * Uniform(&generator)));
      lanes.SetGrid(lane, scale[lane], zero_point[lane]);
      thresholds[lane].resize(format.codebook.values.size() - 1);
      encoder.Thresholds(scale[lane], zero_point[lane], thresholds[lane]);
    }
    const double reach = 1.2 * static_cast<double>(format.codebook.last());
    for (std::size_t round = 0; round < 400; ++round) {
      LaneEncoder::Floats weights;
      for (std::size_t lane = 0; lane < LaneEncoder::kLanes; ++lane) {
        weights[lane] = round < 200 ? static_cast<float>(reach * 2.5 * Uniform(&generator))
                                    : thresholds[lane][round % thresholds[lane].size()];
      }
      LaneEncoder::Codes codes;
      LaneEncoder::Floats restored;
      lanes.Encode(weights, &codes, &restored);
      for (std::size_t lane = 0; lane < LaneEncoder::kLanes; ++lane) {
        std::uint8_t expected = 0;
        encoder.Encode(scale[lane], zero_point[lane], {&weights[lane], 1}, {&expected, 1});
        ASSERT_EQ(codes[lane], expected) << weights[lane];
        ASSERT_EQ(restored[lane], encoder.Decode(expected, scale[lane], zero_point[lane]));
        ASSERT_EQ(CodeAmong(thresholds[lane], weights[lane]), expected);
      }
    }
  }
}

}  // namespace
}  // namespace daq
