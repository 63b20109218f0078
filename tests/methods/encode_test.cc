#include "methods/encode.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "tests/methods/matrices.h"

namespace daq {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

// The predicate as written: the number of midpoints, moved to weight space, below the weight.
std::uint8_t PlainCode(const Codebook& book, double scale, double zero_point, float weight) {
  int code = 0;
  for (std::size_t k = 0; k + 1 < book.values.size(); ++k) {
    const double middle =
        (static_cast<double>(book.values[k]) + static_cast<double>(book.values[k + 1])) / 2;
    code += static_cast<double>(weight) > (middle - zero_point) * scale ? 1 : 0;
  }
  return static_cast<std::uint8_t>(code);
}

// Weights where an encoder could go wrong: on and next to each threshold, far outside, tiny, and at
// random.
std::vector<float> HardWeights(const Encoder& encoder, double scale, double zero_point,
                               std::mt19937_64* generator) {
  std::vector<float> thresholds(static_cast<std::size_t>(encoder.codes() - 1));
  encoder.Thresholds(scale, zero_point, thresholds);
  std::vector<float> weights = {0.0F,
                                -0.0F,
                                kLargest,
                                -kLargest,
                                std::numeric_limits<float>::denorm_min(),
                                -std::numeric_limits<float>::denorm_min()};
  for (const float threshold : thresholds) {
    for (const float weight :
         {std::nextafter(threshold, -kLargest), threshold, std::nextafter(threshold, kLargest)}) {
      if (std::isfinite(weight)) weights.push_back(weight);
    }
  }
  const double low = static_cast<double>(encoder.Decode(0, scale, zero_point));
  const double high = static_cast<double>(encoder.Decode(thresholds.size(), scale, zero_point));
  for (int i = 0; i < 100; ++i) {
    weights.push_back(
        static_cast<float>((low + high) / 2 + (high - low) * 0.6 * Uniform(generator)));
  }
  return weights;
}

void ExpectPlainCodes(const Codebook& book, double scale, double zero_point,
                      std::span<const float> weights) {
  const Encoder encoder(book);
  std::vector<std::uint8_t> codes(weights.size(), 255);
  std::vector<float> nearest(weights.size(), -1.0F);
  encoder.Encode(scale, zero_point, weights, codes);
  encoder.RoundToNearest(scale, zero_point, weights, nearest);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const std::uint8_t expected = PlainCode(book, scale, zero_point, weights[i]);
    ASSERT_EQ(codes[i], expected) << "weight " << weights[i] << " scale " << scale << " zero-point "
                                  << zero_point;
    ASSERT_EQ(nearest[i], encoder.Decode(expected, scale, zero_point));
  }
}

TEST(EncoderTest, EqualsAPlainLoopOnAndAroundEveryThreshold) {
  std::mt19937_64 generator(1);
  for (const Format& format : AllFormats(0)) {
    SCOPED_TRACE(FormatName(format));
    const Encoder encoder(format.codebook);
    for (const double scale : {1.0, 0.25, 0.01234, 3.7e-6, 1.2e-38, 1.7e30}) {
      for (const double zero_point :
           {0.0, 3.0, -2.5, 0.5 + 1e-9, 7.3, 1e5 / 3, -9.9e8, 1.1e9, 4e14}) {
        ExpectPlainCodes(format.codebook, scale, zero_point,
                         HardWeights(encoder, scale, zero_point, &generator));
      }
    }
  }
}

TEST(EncoderTest, EveryLengthAroundABlockIsEncodedToItsEnd) {
  const MatrixF weights = NormalMatrix(1, 8 * 32 + 2, 1.0, 2);
  for (const std::string_view name : {"nf4", "int8", "fp8_e4m3"}) {
    for (const Index length : {1, 3, 7, 31, 32, 33, 63, 64, 65, 8 * 32 + 2}) {
      ExpectPlainCodes(BuiltIn(name, true), 0.02, 0.0,
                       {weights.data(), static_cast<std::size_t>(length)});
    }
  }
}

TEST(EncoderTest, TiesGoToTheLowerCode) {
  // Code values 0 .. 15, scale 1/4: the ties are (k + 1/2) / 4, exact in float.
  const Encoder encoder(BuiltIn("int4", false));
  for (int k = 0; k < 15; ++k) {
    const std::array<float, 1> tie = {(static_cast<float>(k) + 0.5F) / 4};
    std::array<std::uint8_t, 1> code{};
    encoder.Encode(0.25, 0.0, tie, code);
    EXPECT_EQ(code[0], k);
  }
}

TEST(EncoderTest, ValuesBeyondTheEndsSaturate) {
  for (const std::string_view name : {"int4", "int8", "nf4", "fp8_e4m3"}) {
    const Encoder encoder(BuiltIn(name, true));
    const std::array<float, 2> weights = {-kLargest, kLargest};
    std::array<std::uint8_t, 2> codes{};
    encoder.Encode(1e-3, 0.0, weights, codes);
    EXPECT_EQ(codes[0], 0);
    EXPECT_EQ(codes[1], encoder.codes() - 1);
  }
}

TEST(EncoderTest, ThresholdsNeverDecreaseAndRoundDown) {
  std::mt19937_64 generator(3);
  for (const Format& format : AllFormats(0)) {
    const Encoder encoder(format.codebook);
    std::vector<float> thresholds(format.codebook.values.size() - 1);
    for (int trial = 0; trial < 20; ++trial) {
      const double scale = std::exp(20 * Uniform(&generator));
      const double zero_point = std::exp(15 * Uniform(&generator));
      encoder.Thresholds(scale, zero_point, thresholds);
      for (std::size_t k = 0; k < thresholds.size(); ++k) {
        const double middle = (static_cast<double>(format.codebook.values[k]) +
                               static_cast<double>(format.codebook.values[k + 1])) /
                              2;
        const double exact = (middle - zero_point) * scale;
        EXPECT_LE(static_cast<double>(thresholds[k]), exact);
        EXPECT_GT(static_cast<double>(std::nextafter(thresholds[k], kLargest)), exact);
        EXPECT_LE(thresholds[k == 0 ? 0 : k - 1], thresholds[k]);
      }
    }
  }
}

TEST(EncoderTest, ThresholdsBeyondFloat32AreNeverCrossed) {
  const Encoder encoder(BuiltIn("int2", true));
  std::array<float, 3> thresholds{};
  encoder.Thresholds(1e39, 0.25, thresholds);  // at -1.75e39, -0.75e39, 0.25e39
  EXPECT_EQ(thresholds[0], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(thresholds[1], -std::numeric_limits<float>::infinity());
  EXPECT_LT(thresholds[2], kLargest);
  encoder.Thresholds(1e39, -4.0, thresholds);
  EXPECT_EQ(thresholds[0], kLargest);
}

}  // namespace
}  // namespace daq
