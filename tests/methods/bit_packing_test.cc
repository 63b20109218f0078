#include "methods/bit_packing.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace daq {
namespace {

TEST(BitPackingTest, CodesFollowEachOtherLowestBitsFirst) {
  const std::vector<std::uint8_t> codes = {1, 2, 3};  // 001 010 011
  std::vector<std::uint8_t> packed(PackedBytes(3, 3));
  ASSERT_EQ(packed.size(), 2U);
  PackBits(codes, 3, packed);
  EXPECT_EQ(packed[0], 0b11'010'001);
  EXPECT_EQ(packed[1], 0b0000000'0);
}

// Every bit of the stream against the header's definition, for all widths and lengths around eight
// codes.
TEST(BitPackingTest, EqualsThePlainBitOrderAndUnpacksToTheSame) {
  std::mt19937 generator(4);
  for (int bits = 1; bits <= 8; ++bits) {
    for (std::size_t count = 0; count <= 35; ++count) {
      std::vector<std::uint8_t> codes(count);
      for (std::uint8_t& code : codes)
        code = static_cast<std::uint8_t>(generator() & ((1U << bits) - 1));
      std::vector<std::uint8_t> expected((count * static_cast<std::size_t>(bits) + 7) / 8);
      for (std::size_t i = 0; i < count * static_cast<std::size_t>(bits); ++i) {
        const unsigned code = codes[i / static_cast<std::size_t>(bits)];
        const unsigned bit = code >> (i % static_cast<std::size_t>(bits)) & 1U;
        expected[i / 8] = static_cast<std::uint8_t>(expected[i / 8] | bit << (i % 8));
      }
      std::vector<std::uint8_t> packed(PackedBytes(count, bits), 0xAA);
      PackBits(codes, bits, packed);
      EXPECT_EQ(packed, expected) << bits << " bits, " << count << " codes";
      std::vector<std::uint8_t> unpacked(count, 0xAA);
      UnpackBits(packed, bits, unpacked);
      EXPECT_EQ(unpacked, codes) << bits << " bits, " << count << " codes";
    }
  }
}

}  // namespace
}  // namespace daq
