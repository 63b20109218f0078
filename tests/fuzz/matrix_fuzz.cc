// Packed matrices. Their SHA-256 would refuse every change, so an input is what it is over; one
// that begins as a file does is read as it is.
#include "base/sha256.h"
#include "methods/quantized_matrix.h"
#include "tests/fuzz/fuzz_target.h"

namespace daq {

FuzzTarget MatrixTarget();

namespace {

constexpr std::string_view kMagic = "daq-bench matrix 1\n";
constexpr std::size_t kDigestBytes = 64;
constexpr Index kMostWeights = Index{1} << 20;

void ReadMatrix(std::string_view bytes) {
  std::string file(bytes);
  if (!bytes.starts_with(kMagic)) file.insert(0, std::string(kMagic) + Sha256Hex(bytes));
  const QuantizedMatrix matrix = Parse(file, "a matrix");
  StoredBits(matrix);
  if (matrix.out_features * matrix.in_features > kMostWeights) return;
  MatrixF weight(matrix.out_features, matrix.in_features);
  Dequantize(matrix, weight);
}

QuantizedMatrix MakeMatrix(const Format& format, bool integer_zero_point) {
  constexpr Index kRows = 3;
  constexpr Index kColumns = 12;
  const Index groups = kColumns / GroupLength(format, kColumns);
  Grid grid{.scale = MatrixF::Constant(kRows, groups, 0.5F),
            .zero_point = MatrixF::Constant(kRows, groups, format.symmetric ? 0.0F : 1.0F),
            .integer_zero_point = integer_zero_point};
  std::vector<std::uint8_t> codes(kRows * kColumns);
  for (std::size_t i = 0; i < codes.size(); ++i)
    codes[i] = static_cast<std::uint8_t>(i % format.codebook.values.size());
  return Pack(format, kRows, kColumns, codes, std::move(grid));
}

std::vector<std::string> Matrices() {
  const Codebook thirds{.name = "thirds", .bits = 2, .integer = false, .values = {-1, 0, 1}};
  QuantizedMatrix ordered =
      MakeMatrix({.codebook = *FindCodebook("int3", false), .symmetric = false, .group_size = 4},
                 /*integer_zero_point=*/true);
  ordered.column_order = {3, 1, 2, 0, 4, 5, 6, 7, 8, 9, 11, 10};
  const std::vector<QuantizedMatrix> matrices = {
      MakeMatrix({.codebook = *FindCodebook("nf4", true), .symmetric = true}, false),
      MakeMatrix({.codebook = *FindCodebook("int8", false), .symmetric = false, .group_size = 6},
                 true),
      MakeMatrix({.codebook = thirds, .symmetric = false, .group_size = 3}, false), ordered};
  std::vector<std::string> inputs = {Serialize(ordered)};
  for (const QuantizedMatrix& matrix : matrices)
    inputs.push_back(Serialize(matrix).substr(kMagic.size() + kDigestBytes));
  return inputs;
}

}  // namespace

FuzzTarget MatrixTarget() { return {.name = "matrix", .run = ReadMatrix, .seeds = Matrices()}; }

}  // namespace daq
