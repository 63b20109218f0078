#include "methods/quantized_matrix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/sha256.h"
#include "methods/bit_packing.h"
#include "tests/methods/matrices.h"
#include "tests/support/input_error.h"

namespace daq {
namespace {

// A matrix of random codes over a grid of random scales; zero-points whole where asked.
QuantizedMatrix RandomMatrix(const Format& format, Index rows, Index columns,
                             bool integer_zero_point, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  const Index groups = GroupsPerRow(format, columns, "test");
  Grid grid{.scale = MatrixF::NullaryExpr(
                rows, groups, [&] { return static_cast<float>(1.5 + Uniform(&generator)); }),
            .zero_point = MatrixF::Zero(rows, groups),
            .integer_zero_point = integer_zero_point};
  if (!format.symmetric) {
    grid.zero_point = MatrixF::NullaryExpr(rows, groups, [&] {
      const double random = 1 + Uniform(&generator);  // 0 .. 2
      return static_cast<float>(integer_zero_point ? std::floor(random) : random);
    });
  }
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(rows * columns));
  for (std::uint8_t& code : codes)
    code = static_cast<std::uint8_t>(generator() % format.codebook.values.size());
  return Pack(format, rows, columns, codes, std::move(grid));
}

// The same with its columns in an order of its own: a shift and a swap.
QuantizedMatrix WithColumnOrder(QuantizedMatrix matrix) {
  const auto columns = static_cast<std::int32_t>(matrix.in_features);
  for (std::int32_t p = 0; p < columns; ++p) matrix.column_order.push_back((p + 3) % columns);
  std::swap(matrix.column_order.front(), matrix.column_order.back());
  return matrix;
}

void ExpectSame(const QuantizedMatrix& a, const QuantizedMatrix& b) {
  EXPECT_EQ(a.format, b.format);
  EXPECT_EQ(a.out_features, b.out_features);
  EXPECT_EQ(a.in_features, b.in_features);
  EXPECT_EQ(a.grid.scale, b.grid.scale);
  EXPECT_EQ(a.grid.zero_point, b.grid.zero_point);
  EXPECT_EQ(a.grid.integer_zero_point, b.grid.integer_zero_point);
  EXPECT_EQ(a.packed_codes, b.packed_codes);
  EXPECT_EQ(a.column_order, b.column_order);
}

// Shapes whose rows end inside a byte, with groups that are no multiple of eight.
struct Case {
  Format format;
  Index rows;
  Index columns;
  bool integer_zero_point;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const Index group_size : {0, 3, 32}) {
    for (const Format& format : AllFormats(group_size)) {
      for (const Index columns : {group_size == 0 ? Index{37} : 3 * group_size, Index{96}}) {
        for (const bool whole : {false, true}) {
          if (!(whole && format.symmetric)) cases.push_back({format, 5, columns, whole});
        }
      }
    }
  }
  return cases;
}

TEST(QuantizedMatrixTest, UnpackedCodesAreThePackedOnes) {
  for (const Case& test : Cases()) {
    std::mt19937_64 generator(5);
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(test.rows * test.columns));
    for (std::uint8_t& code : codes)
      code = static_cast<std::uint8_t>(generator() % test.format.codebook.values.size());
    const Index groups = GroupsPerRow(test.format, test.columns, "test");
    const MatrixF ones = MatrixF::Ones(test.rows, groups);
    const QuantizedMatrix matrix =
        Pack(test.format, test.rows, test.columns, codes, {.scale = ones, .zero_point = ones});
    EXPECT_EQ(UnpackCodes(matrix), codes) << FormatName(test.format);
  }
}

TEST(QuantizedMatrixTest, DequantizeFollowsItsFormulaOnEveryThreadCount) {
  ThreadPool pool(3);
  for (const Case& test : Cases()) {
    const QuantizedMatrix matrix =
        RandomMatrix(test.format, 35, test.columns, test.integer_zero_point, 6);
    const std::vector<std::uint8_t> codes = UnpackCodes(matrix);
    MatrixF expected(35, test.columns);
    const Index length = GroupLength(test.format, test.columns);
    for (Index row = 0; row < 35; ++row) {
      for (Index column = 0; column < test.columns; ++column) {
        const float value =
            test.format.codebook
                .values[codes[static_cast<std::size_t>(row * test.columns + column)]];
        expected(row, column) =
            static_cast<float>((static_cast<double>(value) -
                                static_cast<double>(matrix.grid.zero_point(row, column / length))) *
                               static_cast<double>(matrix.grid.scale(row, column / length)));
      }
    }
    // One column more than needed: the view's stride is not its width, and what lies between stays
    // untouched.
    MatrixF wide = MatrixF::Constant(35, test.columns + 1, -7.0F);
    Dequantize(matrix, wide.leftCols(test.columns));
    EXPECT_EQ(wide.leftCols(test.columns), expected) << FormatName(test.format);
    EXPECT_EQ(wide.col(test.columns), MatrixF::Constant(35, 1, -7.0F));
    MatrixF threaded(35, test.columns);
    Dequantize(matrix, threaded, &pool);
    EXPECT_EQ(threaded, expected);
    MatrixF rows(4, test.columns);
    DequantizeRows(matrix, 17, rows);
    EXPECT_EQ(rows, expected.middleRows(17, 4));
  }
}

TEST(QuantizedMatrixTest, AColumnOrderSaysWhoseThePositionsAre) {
  ThreadPool pool(3);
  for (const Case& test : Cases()) {
    const QuantizedMatrix plain =
        RandomMatrix(test.format, 35, test.columns, test.integer_zero_point, 6);
    const QuantizedMatrix ordered = WithColumnOrder(plain);
    MatrixF by_position(35, test.columns);
    Dequantize(plain, by_position);
    MatrixF by_feature(35, test.columns);
    Dequantize(ordered, by_feature, &pool);
    MatrixF rows(4, test.columns);
    DequantizeRows(ordered, 17, rows);
    for (Index p = 0; p < test.columns; ++p) {
      const Index feature = ordered.column_order[static_cast<std::size_t>(p)];
      EXPECT_EQ(by_feature.col(feature), by_position.col(p));
      EXPECT_EQ(rows.col(feature), by_position.col(p).segment(17, 4));
    }
    const auto order_bits = static_cast<std::int64_t>(
        PackedBytes(static_cast<std::size_t>(test.columns), BitsOfPosition(test.columns)) * 8);
    EXPECT_EQ(StoredBits(ordered), StoredBits(plain) + order_bits);
  }
  EXPECT_EQ(BitsOfPosition(1), 0);
  EXPECT_EQ(BitsOfPosition(2), 1);
  EXPECT_EQ(BitsOfPosition(4096), 12);
  EXPECT_EQ(BitsOfPosition(4097), 13);
}

TEST(QuantizedMatrixTest, StoredBitsCountCodesScalesZeroPointsAndOwnBooks) {
  const auto stored = [](std::string_view name, bool symmetric, Index group_size, bool whole) {
    return StoredBits(
        {.codebook = BuiltIn(name, symmetric), .symmetric = symmetric, .group_size = group_size},
        10, 256, whole);
  };
  EXPECT_EQ(stored("nf4", true, 0, false), 10 * (256 * 4 + 32));
  EXPECT_EQ(stored("nf4", false, 0, false), 10 * (256 * 4 + 64));
  EXPECT_EQ(stored("int4", false, 64, true), 10 * (256 * 4 + 4 * (32 + 4)));
  EXPECT_EQ(stored("int4", false, 64, false), 10 * (256 * 4 + 4 * 64));
  EXPECT_EQ(stored("int4", true, 64, false), 10 * (256 * 4 + 4 * 32));
  EXPECT_EQ(stored("int3", false, 0, true),
            10 * (256 * 3 + 32) + 32);  // 30 bits of zero-points fill 4 bytes
  const Format own{
      .codebook = CustomCodebook("mine", std::vector<double>{-1, 0, 1}, {"test"}, "values"),
      .symmetric = true};
  EXPECT_EQ(StoredBits(own, 10, 37, false), 10 * (80 + 32) + 3 * 32);  // 74 bits fill 10 bytes
}

TEST(QuantizedMatrixFileTest, RoundTrips) {
  for (const Case& test : Cases()) {
    const QuantizedMatrix matrix =
        RandomMatrix(test.format, test.rows, test.columns, test.integer_zero_point, 7);
    ExpectSame(Parse(Serialize(matrix), "test"), matrix);
    const QuantizedMatrix ordered = WithColumnOrder(matrix);
    ExpectSame(Parse(Serialize(ordered), "test"), ordered);
  }
}

TEST(QuantizedMatrixFileTest, ContentTakesExactlyTheStoredBits) {
  for (const Case& test : Cases()) {
    const QuantizedMatrix matrix =
        RandomMatrix(test.format, test.rows, test.columns, test.integer_zero_point, 8);
    const Codebook& book = test.format.codebook;
    const std::size_t header = std::string_view("daq-bench matrix 1\n").size() + 64 + 1 + 1 + 2 +
                               book.name.size() + 2 +
                               (IsBuiltIn(book) ? book.values.size() * 4 : 0) + 3 * 8;
    EXPECT_EQ((Serialize(matrix).size() - header) * 8,
              static_cast<std::size_t>(StoredBits(matrix)));
    const QuantizedMatrix ordered = WithColumnOrder(matrix);
    EXPECT_EQ((Serialize(ordered).size() - header) * 8,
              static_cast<std::size_t>(StoredBits(ordered)));
  }
}

std::string ParseError(const std::string& bytes) {
  return InputErrorOf("", [&] { Parse(bytes, "block-0001"); });
}

TEST(QuantizedMatrixFileTest, EveryTruncationIsRefused) {
  const std::string bytes = Serialize(WithColumnOrder(
      RandomMatrix({.codebook = BuiltIn("int3", false), .group_size = 8}, 3, 16, true, 9)));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_TRUE(ParseError(bytes.substr(0, size))
                    .starts_with("block-0001: this quantised matrix is damaged: "))
        << size;
  }
  EXPECT_EQ(
      ParseError(""),
      "block-0001: this quantised matrix is damaged: it does not begin as one of this version");
  EXPECT_EQ(ParseError(bytes + "x"),
            "block-0001: this quantised matrix is damaged: its SHA-256 differs");
}

TEST(QuantizedMatrixFileTest, EveryFlippedBitIsRefused) {
  const std::string bytes = Serialize(WithColumnOrder(
      RandomMatrix({.codebook = BuiltIn("int3", false), .group_size = 8}, 3, 16, true, 9)));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(ParseError(damaged), "no error") << bit;
  }
}

// Damage behind a right digest, as a faulty writer would leave it: every byte of the content set to
// every value gives an error or a matrix, never a crash, and never a huge allocation.
TEST(QuantizedMatrixFileTest, InconsistentContentWithARightDigestIsSafe) {
  const std::size_t start = std::string_view("daq-bench matrix 1\n").size();
  const Format format{.codebook = BuiltIn("fp4_bnb", false), .group_size = 8};
  const std::string bytes = Serialize(WithColumnOrder(RandomMatrix(format, 2, 16, false, 10)));
  int refused = 0;
  for (std::size_t at = start + 64; at < bytes.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(value);
      damaged.replace(start, 64, Sha256Hex(std::string_view(damaged).substr(start + 64)));
      if (ParseError(damaged) != "no error") ++refused;
    }
  }
  EXPECT_GT(refused, 256 * 20);  // at least the sizes and flags
}

// Patches one field of a serialised matrix and makes the digest right again.
template <typename Value>
std::string Patched(std::string bytes, std::size_t at, Value value) {
  const std::size_t start = std::string_view("daq-bench matrix 1\n").size();
  std::memcpy(bytes.data() + start + 64 + at, &value, sizeof(value));
  return bytes.replace(start, 64, Sha256Hex(std::string_view(bytes).substr(start + 64)));
}

TEST(QuantizedMatrixFileTest, SaysWhichPartIsInconsistent) {
  // Content: flags 0, bits 1, name length 2..3, "fp4_bnb" 4..10, count 11..12, 15 values 13..72,
  // group size 73, rows 81, columns 89, scales 97 (2 x 2), zero-points 113, codes 129.
  const Format format{.codebook = BuiltIn("fp4_bnb", false), .group_size = 8};
  const std::string bytes = Serialize(RandomMatrix(format, 2, 16, false, 10));
  const std::string start = "block-0001: this quantised matrix is damaged: ";
  EXPECT_EQ(ParseError(Patched(bytes, 0, std::uint8_t{16})), start + "unknown flags");
  EXPECT_EQ(ParseError(Patched(bytes, 0, std::uint8_t{6})),
            start + "zero-points of a symmetric format");
  EXPECT_EQ(ParseError(Patched(bytes, 1, std::uint8_t{9})), start + "the bits of a code");
  EXPECT_EQ(ParseError(Patched(bytes, 2, std::uint16_t{0xFFFF})),
            start + "the name of its code book");
  EXPECT_EQ(ParseError(Patched(bytes, 11, std::uint16_t{17})), start + "the size of its code book");
  EXPECT_EQ(ParseError(Patched(bytes, 13, 5.0F)), start + "the values of its code book");
  EXPECT_EQ(ParseError(Patched(bytes, 73, std::int64_t{3})), start + "its group size");
  EXPECT_EQ(ParseError(Patched(bytes, 81, std::int64_t{-2})), start + "its shape");
  EXPECT_EQ(ParseError(Patched(bytes, 81, std::int64_t{1} << 62)), start + "its shape");
  EXPECT_EQ(ParseError(Patched(bytes, 81, std::int64_t{1} << 31)), start + "it ends too early");
  EXPECT_EQ(ParseError(Patched(bytes, 97, -1.0F)),
            start + "a scale that is not positive and finite");
  EXPECT_EQ(ParseError(Patched(bytes, 97, std::numeric_limits<float>::quiet_NaN())),
            start + "a scale that is not positive and finite");
  EXPECT_EQ(ParseError(Patched(bytes, 113, std::numeric_limits<float>::infinity())),
            start + "a zero-point that is not finite");
  EXPECT_EQ(ParseError(Patched(bytes, 129, std::uint8_t{0xFF})),
            start + "a code outside its code book");
}

TEST(QuantizedMatrixFileTest, AColumnOrderThatIsNoPermutationIsRefused) {
  // 12 features take 4 bits each. Content as above with one group a row: scales 97 (2 x 1),
  // zero-points 105, column order 113 (6 bytes), codes 119.
  const Format format{.codebook = BuiltIn("fp4_bnb", false)};
  const std::string bytes = Serialize(WithColumnOrder(RandomMatrix(format, 2, 12, false, 11)));
  const std::string start = "block-0001: this quantised matrix is damaged: ";
  ASSERT_EQ(ParseError(bytes), "no error");
  // Positions 0 and 1 are features 2 and 4.
  ASSERT_EQ(bytes[std::string_view("daq-bench matrix 1\n").size() + 64 + 113], 0x42);
  EXPECT_EQ(ParseError(Patched(bytes, 113, std::uint8_t{0x44})), start + "its column order");
  EXPECT_EQ(ParseError(Patched(bytes, 113, std::uint8_t{0xC2})), start + "its column order");
  EXPECT_EQ(ParseError(Patched(bytes, 113, std::uint8_t{0x24})), "no error");
}

TEST(QuantizedMatrixDeathTest, ACodeOutsideTheBookIsABug) {
  const Format format{.codebook = BuiltIn("fp4_bnb", true), .symmetric = true};
  const std::vector<std::uint8_t> codes = {15};
  EXPECT_DEATH(
      Pack(format, 1, 1, codes, {.scale = MatrixF::Ones(1, 1), .zero_point = MatrixF::Zero(1, 1)}),
      "codes are indices into the book");
}

}  // namespace
}  // namespace daq
