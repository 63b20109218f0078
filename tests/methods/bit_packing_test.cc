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

TEST(BitPackingTest, WideNumbersFollowTheSameOrderAndComeBack) {
  const std::vector<std::uint32_t> few = {5, 1, 2047};  // 11 bits: 101, 1, all ones
  std::vector<std::uint8_t> packed(PackedBytes(3, 11), 0xAA);
  PackNumbers(few, 11, packed);
  EXPECT_EQ(packed, (std::vector<std::uint8_t>{5, 1 << 3, 0b1100'0000, 0xFF, 1}));
  std::mt19937 generator(5);
  for (const int bits : {0, 1, 7, 12, 31, 32}) {
    std::vector<std::uint32_t> numbers(19);
    for (std::uint32_t& number : numbers)
      number = static_cast<std::uint32_t>(generator() & ((std::uint64_t{1} << bits) - 1));
    std::vector<std::uint8_t> bytes(PackedBytes(numbers.size(), bits), 0xAA);
    PackNumbers(numbers, bits, bytes);
    std::vector<std::uint32_t> back(numbers.size(), 77);
    UnpackNumbers(bytes, bits, back);
    EXPECT_EQ(back, numbers) << bits;
  }
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
