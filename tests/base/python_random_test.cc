#include "base/python_random.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace daq {
namespace {

// Made by CPython 3.11: random.Random(seed), then in this order getrandbits(32) four times,
// getrandbits of 1, 5, 16 and 31, randint(0, 45575) four times (a C4 validation shard has 45576
// documents), randint(0, 0) twice, randint(-3, 3) six times, randint(0, 2**31 - 1) twice,
// getrandbits(32).
struct Vector {
  std::uint64_t seed;
  std::array<std::uint32_t, 4> words;
  std::array<std::uint32_t, 4> bits;
  std::array<std::int64_t, 4> documents;
  std::array<std::int64_t, 6> small;
  std::array<std::int64_t, 2> large;
  std::uint32_t last_word;
};

const std::array<Vector, 3> kVectors = {{
    {0,
     {3626764237, 1654615998, 3255389356, 3823568514},
     {0, 1, 16968, 2073320061},
     {33506, 31845, 26537, 19877},
     {1, -2, 1, -2, -1, -2},
     {407295012, 1075916535},
     4240245955},
    {42,
     {2746317213, 478163327, 107420369, 3184935163},
     {0, 7, 14628, 299655412},
     {6717, 44348, 35741, 5697},
     {-3, -3, -2, -2, 1, 1},
     {113971123, 854001193},
     3075280817},
    // A seed of two words: CPython feeds the low one first.
    {4294967301,
     {675479763, 2085189291, 1213270837, 3822202474},
     {1, 26, 951, 762498846},
     {41141, 11227, 43442, 32491},
     {-1, 2, 2, 3, 3, 3},
     {846664313, 685145293},
     1730969195},
}};

TEST(GoldenPythonRandomTest, DrawsWhatCPythonDraws) {
  for (const Vector& vector : kVectors) {
    SCOPED_TRACE(vector.seed);
    PythonRandom random(vector.seed);
    for (const std::uint32_t word : vector.words) EXPECT_EQ(random.GetRandBits(32), word);
    EXPECT_EQ(random.GetRandBits(1), vector.bits[0]);
    EXPECT_EQ(random.GetRandBits(5), vector.bits[1]);
    EXPECT_EQ(random.GetRandBits(16), vector.bits[2]);
    EXPECT_EQ(random.GetRandBits(31), vector.bits[3]);
    for (const std::int64_t document : vector.documents)
      EXPECT_EQ(random.RandInt(0, 45575), document);
    // One value is a draw too: getrandbits(1) until it is 0, so it moves the generator on.
    EXPECT_EQ(random.RandInt(0, 0), 0);
    EXPECT_EQ(random.RandInt(0, 0), 0);
    for (const std::int64_t value : vector.small) EXPECT_EQ(random.RandInt(-3, 3), value);
    for (const std::int64_t value : vector.large) EXPECT_EQ(random.RandInt(0, 2147483647), value);
    EXPECT_EQ(random.GetRandBits(32), vector.last_word);
  }
}

TEST(GoldenPythonRandomTest, StaysEqualPastTheFirstState) {
  // The 10000th getrandbits(32): the state of 624 words was renewed 16 times.
  const std::array<std::pair<std::uint64_t, std::uint32_t>, 3> expected = {
      {{0, 3292398474}, {42, 3981887252}, {4294967301, 1151873224}}};
  for (const auto& [seed, word] : expected) {
    PythonRandom random(seed);
    for (int draw = 1; draw < 10000; ++draw) random.GetRandBits(32);
    EXPECT_EQ(random.GetRandBits(32), word) << seed;
  }
}

TEST(PythonRandomDeathTest, RefusesAnEmptyRange) {
  PythonRandom random(0);
  EXPECT_DEATH(random.RandInt(0, -1), "randint's range");
}

}  // namespace
}  // namespace daq
