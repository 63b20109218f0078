#include "eval/stored_floats.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace daq {
namespace {

// Converts one value.
bool Convert(FloatType type, std::uint32_t bits, float* to) {
  std::byte stored[4];
  std::memcpy(stored, &bits, 4);
  return ConvertStoredFloats(type, stored, {to, 1});
}

TEST(StoredFloatsTest, NamesOfTheFormat) {
  FloatType type{};
  EXPECT_TRUE(ParseFloatType("F32", &type) && type == FloatType::kF32);
  EXPECT_TRUE(ParseFloatType("F16", &type) && type == FloatType::kF16);
  EXPECT_TRUE(ParseFloatType("BF16", &type) && type == FloatType::kBF16);
  EXPECT_FALSE(ParseFloatType("F64", &type));
}

// IEEE 754 binary16 by its definition: sign, 5 bits of exponent, 10 of fraction.
float HalfByDefinition(std::uint32_t bits) {
  const int exponent = static_cast<int>(bits >> 10U & 0x1FU);
  const int fraction = static_cast<int>(bits & 0x3FFU);
  const float magnitude =
      exponent == 0x1F ? (fraction == 0 ? std::numeric_limits<float>::infinity() : std::nanf(""))
      : exponent == 0  ? std::ldexp(static_cast<float>(fraction), -24)
                       : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  return (bits & 0x8000U) != 0 ? -magnitude : magnitude;
}

TEST(StoredFloatsTest, EveryHalfIsExact) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    float value = 0;
    const bool finite = Convert(FloatType::kF16, bits, &value);
    const float expected = HalfByDefinition(bits);
    ASSERT_EQ(finite, std::isfinite(expected)) << bits;
    // Bits, because 0 == -0.
    if (finite) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(value), std::bit_cast<std::uint32_t>(expected))
          << bits;
    }
  }
}

TEST(StoredFloatsTest, HalvesByHand) {
  // The format's limits (IEEE 754 binary16), so that the test above does not stand on the compiler
  // alone.
  float value = 0;
  for (const auto& [bits, expected] :
       {std::pair(0x3C00U, 1.0F), std::pair(0xC000U, -2.0F), std::pair(0x7BFFU, 65504.0F),
        std::pair(0x0400U, 0x1p-14F), std::pair(0x03FFU, 0x1.ff8p-15F),
        std::pair(0x0001U, 0x1p-24F), std::pair(0x8001U, -0x1p-24F),
        std::pair(0x3555U, 0x1.554p-2F)}) {
    EXPECT_TRUE(Convert(FloatType::kF16, bits, &value));
    EXPECT_EQ(value, expected) << bits;
  }
}

TEST(StoredFloatsTest, EveryBfloat16IsExact) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    float value = 0;
    const bool finite = Convert(FloatType::kBF16, bits, &value);
    const auto expected = std::bit_cast<float>(bits << 16U);
    ASSERT_EQ(finite, std::isfinite(expected)) << bits;
    ASSERT_EQ(std::bit_cast<std::uint32_t>(value), bits << 16U);
  }
}

TEST(StoredFloatsTest, Float32IsCopied) {
  float value = 0;
  for (const float expected : {0.0F, -0.0F, 1.5F, std::numeric_limits<float>::denorm_min(),
                               std::numeric_limits<float>::max()}) {
    EXPECT_TRUE(Convert(FloatType::kF32, std::bit_cast<std::uint32_t>(expected), &value));
    EXPECT_EQ(std::bit_cast<std::uint32_t>(value), std::bit_cast<std::uint32_t>(expected));
  }
  EXPECT_FALSE(Convert(FloatType::kF32, 0x7F800000U, &value)) << "infinity";
  EXPECT_FALSE(Convert(FloatType::kF32, 0xFF800000U, &value)) << "-infinity";
  EXPECT_FALSE(Convert(FloatType::kF32, 0x7F800001U, &value)) << "NaN";
}

// Vector loops have a body and a tail: every length around a vector, every alignment, a bad value
// at every place.
TEST(StoredFloatsTest, AnyLengthAndAlignment) {
  for (const FloatType type : {FloatType::kF32, FloatType::kF16, FloatType::kBF16}) {
    const std::size_t width = FloatBytes(type);
    for (std::size_t count = 0; count <= 70; ++count) {
      for (std::size_t offset = 0; offset < width; ++offset) {
        std::vector<std::byte> stored(offset + count * width);
        for (std::size_t i = 0; i < count; ++i) {
          const std::uint32_t bits = (0x3C00U + static_cast<std::uint32_t>(i))
                                     << (width == 4 ? 16U : 0U);
          std::memcpy(&stored[offset + i * width], &bits, width);
        }
        std::vector<float> to(count + 1, -1);
        ASSERT_TRUE(ConvertStoredFloats(type, stored.data() + offset, {to.data(), count}));
        for (std::size_t i = 0; i < count; ++i) {
          float expected = 0;
          Convert(type, (0x3C00U + static_cast<std::uint32_t>(i)) << (width == 4 ? 16U : 0U),
                  &expected);
          ASSERT_EQ(to[i], expected);
        }
        ASSERT_EQ(to[count], -1) << "written past the end";
      }
    }
    for (std::size_t bad = 0; bad < 70; ++bad) {
      std::vector<std::byte> stored(70 * width);
      std::memset(&stored[bad * width], 0xFF, width);
      std::vector<float> to(70);
      ASSERT_FALSE(ConvertStoredFloats(type, stored.data(), to));
    }
  }
}

}  // namespace
}  // namespace daq
