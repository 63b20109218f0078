// Against tests/golden/methods/make_rtn_goldens.py: literal numpy versions of the authors'
// functions.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "methods/encode.h"
#include "methods/quantize_layer.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

using Json = nlohmann::json;

MatrixF MatrixFrom(const Json& values, Index rows) {
  MatrixF matrix(rows, static_cast<Index>(values.size()) / rows);
  for (std::size_t i = 0; i < values.size(); ++i)
    matrix.data()[i] = static_cast<float>(values[i].get<double>());
  return matrix;
}

Recipe RecipeFor(const Json& test) {
  const bool symmetric = test["symmetric"].get<bool>();
  const Format format{.codebook = BuiltIn(test["codebook"].get<std::string>(), symmetric),
                      .symmetric = symmetric,
                      .group_size = test["group"].get<Index>()};
  // GPTQ's mse option searches over its own range, the one that contains 0.
  const bool mse = test["preset"] == "mse-gptq";
  Recipe recipe = MakeRecipe(*FindPreset(mse ? "mse" : test["preset"].get<std::string>()), format);
  if (mse) recipe.range.settings.insert_or_assign("include_zero", true);
  return recipe;
}

// How far weight w is from the nearest midpoint between codes, in code units.
double DistanceToTie(const Codebook& book, double u) {
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t k = 0; k + 1 < book.values.size(); ++k) {
    const double middle =
        (static_cast<double>(book.values[k]) + static_cast<double>(book.values[k + 1])) / 2;
    least = std::min(least, std::abs(u - middle));
  }
  return least;
}

TEST(GoldenRtnTest, GridsAndCodesEqualTheAuthorsDefinitions) {
  const Json golden =
      Json::parse(ReadFile(std::string(DAQ_SOURCE_DIR) + "/tests/golden/methods/rtn.json"));
  ThreadPool pool(2);
  ASSERT_EQ(golden["cases"].size(), 45U);
  for (const Json& test : golden["cases"]) {
    SCOPED_TRACE(test["preset"].get<std::string>() + " " + test["codebook"].get<std::string>() +
                 " " + test["matrix"].get<std::string>());
    const Json& input = golden["matrices"][test["matrix"].get<std::string>()];
    const MatrixF weight = MatrixFrom(input["values"], input["rows"].get<Index>());
    const Recipe recipe = RecipeFor(test);
    const QuantizedMatrix matrix =
        QuantizeLayer(MakeParts(recipe), recipe.format, weight, {.name = "layer", .pool = &pool})
            .matrix;
    // The same float32 operations in the same order: the same bits.
    EXPECT_EQ(matrix.grid.scale, MatrixFrom(test["scale"], weight.rows()));
    EXPECT_EQ(matrix.grid.zero_point, MatrixFrom(test["zero_point"], weight.rows()));
    const std::vector<std::uint8_t> codes = UnpackCodes(matrix);
    const Index length = GroupLength(recipe.format, weight.cols());
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const auto row = static_cast<Index>(i) / weight.cols();
      const auto column = static_cast<Index>(i) % weight.cols();
      const auto expected = test["codes"][i].get<std::uint8_t>();
      if (codes[i] == expected) continue;
      // Codes may differ on a tie only: theirs rounds w / s in float32 (and half to even), the
      // predicate does not. The codes are below 256 and w / s + z is rounded twice: 2 * 256 *
      // 2^-24.
      const double u = static_cast<double>(weight(row, column)) /
                           static_cast<double>(matrix.grid.scale(row, column / length)) +
                       static_cast<double>(matrix.grid.zero_point(row, column / length));
      EXPECT_LT(DistanceToTie(recipe.format.codebook, u), 2 * 256 * 0x1p-24)
          << "row " << row << " column " << column;
    }
  }
}

}  // namespace
}  // namespace daq
