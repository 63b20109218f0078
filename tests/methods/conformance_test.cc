// Properties that every range and rounding must have, over every format by channel and by groups of
// 32 and 64. A new one is covered by being registered.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <set>
#include <string>

#include "base/blas.h"
#include "methods/quantize_layer.h"
#include "methods/registry.h"
#include "tests/methods/matrices.h"
#include "tests/methods/one_layer.h"
#include "tests/support/input_error.h"

namespace daq {

struct Combination {
  std::string range;
  std::string rounding;
};

// Without this GoogleTest prints raw bytes, so test names would change on every run.
void PrintTo(const Combination& combination, std::ostream* out);
void PrintTo(const Combination& combination, std::ostream* out) {
  *out << combination.range << "+" << combination.rounding;
}

namespace {

constexpr Index kRows = 9;
constexpr Index kColumns = 128;

std::vector<Combination> AllCombinations() {
  std::vector<Combination> combinations;
  for (const PartEntry<Range>& range : Ranges()) {
    for (const PartEntry<Rounding>& rounding : Roundings()) {
      combinations.push_back({std::string(range.name), std::string(rounding.name)});
    }
  }
  return combinations;
}

// Searches are cut short where a range has these settings: what is asked here does not depend on
// how far they come.
Settings ShortSearch(const PartEntry<Range>& range) {
  const Settings shorter = {{"epochs", std::int64_t{3}},
                            {"iterations", std::int64_t{20}},
                            {"grid_scales", std::int64_t{6}},
                            {"grid_zero_points", std::int64_t{5}},
                            {"local_steps", std::int64_t{40}}};
  Settings overrides;
  for (const SettingSpec& spec : range.settings()) {
    const auto found = shorter.find(spec.name);
    if (found != shorter.end()) overrides.insert(*found);
  }
  return overrides;
}

// A value of a setting that is not its default.
SettingValue AnotherValue(const SettingSpec& spec) {
  if (const bool* value = std::get_if<bool>(&spec.default_value)) return !*value;
  if (const auto* value = std::get_if<std::int64_t>(&spec.default_value)) return *value + 1;
  if (const double* value = std::get_if<double>(&spec.default_value))
    return (*value + spec.highest) / 2;
  for (const std::string_view choice : spec.choices) {
    if (std::string(choice) != std::get<std::string>(spec.default_value))
      return std::string(choice);
  }
  ADD_FAILURE() << spec.name << " has one value";
  return {};
}

// The values of the setting that a condition names with which it is not met.
std::vector<SettingValue> OtherValues(const PartEntry<Range>& range,
                                      const SettingCondition& condition) {
  std::vector<SettingValue> others;
  for (const SettingSpec& spec : range.settings()) {
    if (spec.name != condition.name) continue;
    std::vector<SettingValue> values;
    for (const std::string_view choice : spec.choices) values.emplace_back(std::string(choice));
    if (std::holds_alternative<bool>(spec.default_value)) values = {true, false};
    for (const SettingValue& value : values) {
      if (std::find(condition.values.begin(), condition.values.end(), ToString(value)) ==
          condition.values.end())
        others.push_back(value);
    }
    EXPECT_EQ(others.size() + condition.values.size(), values.size()) << "an unknown value";
  }
  EXPECT_FALSE(others.empty()) << condition.name << " is no setting, or always met";
  return others;
}

class Conformance : public testing::TestWithParam<Combination> {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }

  static RecipeParts Parts(const Format& format) {
    const PartEntry<Range>& range = *FindPart(Ranges(), GetParam().range);
    return MakeParts({.method = "custom",
                      .full_precision = false,
                      .transform = ChoosePart(*FindPart(Transforms(), "none"), {}),
                      .range = ChoosePart(range, ShortSearch(range)),
                      .rounding = ChoosePart(*FindPart(Roundings(), GetParam().rounding), {}),
                      .format = format});
  }

  static QuantizedLayer Quantize(const MatrixF& weight, const Format& format, int threads = 1) {
    static const LayerStatistics statistics = StatisticsOf(NormalMatrix(40, kColumns, 1.0, 31));
    ThreadPool pool(threads);
    return QuantizeLayer(Parts(format), format, weight,
                         {.name = "layer", .statistics = &statistics, .pool = &pool});
  }

  static MatrixF Restored(const QuantizedLayer& layer) {
    MatrixF weight(layer.matrix.out_features, layer.matrix.in_features);
    Dequantize(layer.matrix, weight);
    return weight;
  }

  // Calls body(format) for every format and granularity, naming it in failures.
  template <typename Body>
  static void ForEachFormat(const Body& body) {
    for (const Index group_size : {0, 32, 64}) {
      for (const Format& format : AllFormats(group_size)) {
        SCOPED_TRACE(FormatName(format) + " " + GranularityName(format));
        body(format);
      }
    }
  }
};

TEST_P(Conformance, KeepsTheShapeAndTheInputAndGivesPositiveScales) {
  const MatrixF weight = HeavyTailedMatrix(kRows, kColumns, 0.3, 32);
  ForEachFormat([&](const Format& format) {
    const MatrixF input = weight;
    const QuantizedMatrix matrix = Quantize(input, format).matrix;
    EXPECT_EQ(input, weight);
    EXPECT_EQ(matrix.format, format);
    EXPECT_EQ(matrix.out_features, kRows);
    EXPECT_EQ(matrix.in_features, kColumns);
    EXPECT_EQ(matrix.grid.scale.cols(), GroupsPerRow(format, kColumns, "layer"));
    EXPECT_TRUE((matrix.grid.scale.array() > 0).all() && matrix.grid.scale.allFinite());
    EXPECT_TRUE(!format.symmetric || (matrix.grid.zero_point.array() == 0).all());
    for (const std::uint8_t code : UnpackCodes(matrix))
      ASSERT_LT(code, format.codebook.values.size());
  });
}

// What inspect lists and what joins results of some groups know diagnostics by their specs.
TEST_P(Conformance, SaysOnlyWhatItsDiagnosticSpecsDeclare) {
  const MatrixF weight = HeavyTailedMatrix(kRows, kColumns, 0.3, 42);
  ForEachFormat([&](const Format& format) {
    const RecipeParts parts = Parts(format);
    std::set<std::string> declared;
    for (const auto& specs : {parts.range->diagnostics(), parts.rounding->diagnostics()}) {
      for (const DiagnosticSpec& spec : specs) declared.emplace(spec.name);
    }
    std::set<std::string> said;
    for (const auto& [name, value] : Quantize(weight, format).report.diagnostics) {
      EXPECT_TRUE(std::isfinite(value)) << name;
      said.insert(name);
    }
    EXPECT_EQ(said, declared);
  });
}

TEST_P(Conformance, AZeroMatrixStaysExactlyZero) {
  ForEachFormat([&](const Format& format) {
    EXPECT_EQ(Restored(Quantize(MatrixF::Zero(kRows, kColumns), format)),
              MatrixF::Zero(kRows, kColumns));
  });
}

TEST_P(Conformance, AConstantGroupIsRepresentable) {
  for (const float constant : {0.37F, -0.37F, 100.0F, -1e-3F}) {
    ForEachFormat([&](const Format& format) {
      if (format.codebook.name == "seven" && format.symmetric)
        return;  // -3 .. 2: one sign saturates by design
      const MatrixF weight = MatrixF::Constant(kRows, kColumns, constant);
      const float worst = (Restored(Quantize(weight, format)) - weight).cwiseAbs().maxCoeff();
      // Scale, zero-point and product are each rounded once: three halves of an ulp, with room for
      // one more.
      EXPECT_LE(worst, 2 * std::numeric_limits<float>::epsilon() * std::abs(constant)) << constant;
    });
  }
}

TEST_P(Conformance, DegenerateGroupsGiveFiniteResults) {
  MatrixF weight = NormalMatrix(8, kColumns, 0.02, 33);
  weight(0, 5) = 1e38F;                                 // one huge outlier
  weight.row(1).setConstant(1e-44F);                    // subnormal
  weight.row(2) *= 1e-38F;                              // smallest normals and subnormals
  weight.row(3).setConstant(1e38F);                     // a constant near the end of float32
  weight.row(4) = weight.row(4).cwiseSign() * 1.5e38F;  // a range near it
  weight.row(5).setConstant(1.0F);                      // constant but for one ulp
  weight(5, 7) = std::nextafter(1.0F, 2.0F);
  weight.row(6).setZero();  // all zero but one
  weight(6, 64) = -0.5F;
  ForEachFormat([&](const Format& format) {
    // A rounding that corrects weights by calibration inputs may have to leave float32 with weights
    // at its very end: it refuses them by name. With room for corrections it does not.
    MatrixF accepted = weight;
    if (Parts(format).rounding->needs_statistics()) {
      const std::string error = InputErrorOf("", [&] { Quantize(weight, format); });
      EXPECT_TRUE(error == "no error" || error.starts_with("layer: weight[")) << error;
      accepted.row(4) *= 0x1p-16F;
    }
    const QuantizedLayer layer = Quantize(accepted, format);
    EXPECT_TRUE((layer.matrix.grid.scale.array() > 0).all() && layer.matrix.grid.scale.allFinite());
    EXPECT_TRUE(layer.matrix.grid.zero_point.allFinite());
    EXPECT_TRUE(Restored(layer).allFinite());
  });
}

TEST_P(Conformance, TheSameBitsForAnyThreadCount) {
  const MatrixF weight = HeavyTailedMatrix(20, kColumns, 0.3, 34);
  ForEachFormat([&](const Format& format) {
    const QuantizedLayer one = Quantize(weight, format, 1);
    const QuantizedLayer three = Quantize(weight, format, 3);
    EXPECT_EQ(Serialize(one.matrix), Serialize(three.matrix));
    EXPECT_EQ(one.report, three.report);
  });
}

TEST_P(Conformance, RowsAreIndependent) {
  const MatrixF weight = HeavyTailedMatrix(kRows, kColumns, 0.3, 35);
  ForEachFormat([&](const Format& format) {
    EXPECT_EQ(Restored(Quantize(weight, format)).bottomRows(3),
              Restored(Quantize(weight.bottomRows(3), format)));
  });
}

TEST_P(Conformance, BadInputIsRefusedByName) {
  const Format format{.codebook = BuiltIn("int4", false), .group_size = 48};
  EXPECT_EQ(InputErrorOf("", [&] { Quantize(MatrixF::Ones(2, kColumns), format); }),
            "layer: format.group: expected a divisor of in_features 128, found 48");
  MatrixF weight = MatrixF::Ones(2, kColumns);
  weight(1, 17) = std::numeric_limits<float>::quiet_NaN();
  const Format channel{.codebook = BuiltIn("int4", false)};
  EXPECT_EQ(InputErrorOf("", [&] { Quantize(weight, channel); }),
            "layer: weight[1, 17]: expected a finite number, found NaN");
  weight(1, 17) = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(InputErrorOf("", [&] { Quantize(weight, channel); }),
            "layer: weight[1, 17]: expected a finite number, found infinity");
  EXPECT_EQ(InputErrorOf("", [&] { Quantize(MatrixF(0, kColumns), channel); }),
            "layer: weight: expected at least one row and column, found 0 x 128");
}

TEST_P(Conformance, WhatIsStoredMatchesBitsPerWeight) {
  const MatrixF weight = HeavyTailedMatrix(kRows, kColumns, 0.3, 36);
  ForEachFormat([&](const Format& format) {
    const QuantizedLayer layer = Quantize(weight, format);
    const QuantizedMatrix& matrix = layer.matrix;
    std::size_t bits =
        matrix.packed_codes.size() * 8 + static_cast<std::size_t>(matrix.grid.scale.size()) * 32;
    if (!format.symmetric) {
      const auto zero_points = static_cast<std::size_t>(matrix.grid.zero_point.size());
      const std::size_t whole = zero_points * static_cast<std::size_t>(format.codebook.bits);
      bits += matrix.grid.integer_zero_point ? (whole + 7) / 8 * 8 : zero_points * 32;
    }
    if (format.codebook.name == "seven") bits += 7 * 32;
    EXPECT_EQ(layer.report.bits_per_weight,
              static_cast<double>(bits) / static_cast<double>(weight.size()));
    // What is announced as whole is whole.
    if (matrix.grid.integer_zero_point) {
      EXPECT_EQ(matrix.grid.zero_point, matrix.grid.zero_point.unaryExpr([&](float z) {
        return std::clamp(std::trunc(z), 0.0F, std::ldexp(1.0F, format.codebook.bits) - 1);
      }));
    }
  });
}

TEST_P(Conformance, SerializedMatricesComeBack) {
  const MatrixF weight = HeavyTailedMatrix(kRows, kColumns, 0.3, 37);
  ForEachFormat([&](const Format& format) {
    const QuantizedMatrix matrix = Quantize(weight, format).matrix;
    const std::string bytes = Serialize(matrix);
    EXPECT_EQ(Serialize(Parse(bytes, "test")), bytes);
  });
}

TEST_P(Conformance, ScalingByAPowerOfTwoScalesTheResult) {
  const MatrixF weight = HeavyTailedMatrix(kRows, kColumns, 0.3, 38);
  ForEachFormat([&](const Format& format) {
    EXPECT_EQ(Restored(Quantize(weight * 8.0F, format)), Restored(Quantize(weight, format)) * 8.0F);
  });
}

TEST_P(Conformance, NegatingMirrorsSymmetricBooks) {
  const MatrixF weight = HeavyTailedMatrix(kRows, kColumns, 0.3, 39);
  ForEachFormat([&](const Format& format) {
    const std::vector<float>& values = format.codebook.values;
    const bool mirrored = std::equal(values.begin(), values.end(), values.rbegin(),
                                     [](float a, float b) { return a == -b; });
    if (!format.symmetric || !mirrored) return;
    // What weighs outputs adds up the same numbers in another order for negated weights, and a
    // search decides by its last digits.
    if (Parts(format).range->needs_statistics()) return;
    EXPECT_EQ(Restored(Quantize(-weight, format)), -Restored(Quantize(weight, format)));
  });
}

// A config may not write a setting whose condition is not met; so it must change nothing there.
TEST(SettingConditionTest, ASettingWhoseConditionIsNotMetHasNoEffect) {
  SetUpBlas();
  const MatrixF weight = HeavyTailedMatrix(4, 64, 0.3, 51);
  const LayerStatistics statistics = StatisticsOf(NormalMatrix(30, 64, 1.0, 52));
  const Format format{.codebook = BuiltIn("nf3", false), .group_size = 32};
  for (const PartEntry<Range>& range : Ranges()) {
    const auto layer = [&](const Settings& settings) {
      Recipe recipe = MakeRecipe(*FindPreset("rtn-daq"), format);
      recipe.range = ChoosePart(range, settings);
      return QuantizeOneLayer(MakeParts(recipe), format, weight, statistics, 1);
    };
    for (const SettingSpec& spec : range.settings()) {
      for (const SettingCondition& condition : spec.needs) {
        SCOPED_TRACE(fmt::format("{} {} without {}", range.name, spec.name, condition.name));
        for (const SettingValue& other : OtherValues(range, condition)) {
          Settings settings = ShortSearch(range);
          settings.insert_or_assign(std::string(condition.name), other);
          settings.erase(std::string(spec.name));
          Settings changed = settings;
          changed.insert_or_assign(std::string(spec.name), AnotherValue(spec));
          const Settings all = ChoosePart(range, changed).settings;
          ASSERT_NE(UnmetCondition(spec, range.settings(), all), nullptr);
          const QuantizedLayer expected = layer(settings);
          const QuantizedLayer found = layer(changed);
          EXPECT_EQ(UnpackCodes(found.matrix), UnpackCodes(expected.matrix));
          EXPECT_EQ(found.matrix.grid.scale, expected.matrix.grid.scale);
          EXPECT_EQ(found.matrix.grid.zero_point, expected.matrix.grid.zero_point);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllParts, Conformance, testing::ValuesIn(AllCombinations()),
                         [](const auto& test) {
                           return test.param.range + "_" + test.param.rounding;
                         });

// The nearest rounding alone promises that no code would have been nearer, where the range leaves
// the codes to it (searches on outputs keep those that they saw).
TEST(NearestRoundingTest, NoOtherCodeIsNearer) {
  const MatrixF weight = HeavyTailedMatrix(6, kColumns, 0.3, 40);
  ThreadPool pool(1);
  for (const Preset& preset : Presets()) {
    for (const Format& format : AllFormats(32)) {
      if (MakeParts(MakeRecipe(preset, format)).needs_statistics()) continue;
      SCOPED_TRACE(std::string(preset.name) + " " + FormatName(format));
      const QuantizedMatrix matrix = QuantizeLayer(MakeParts(MakeRecipe(preset, format)), format,
                                                   weight, {.name = "layer", .pool = &pool})
                                         .matrix;
      MatrixF restored(6, kColumns);
      Dequantize(matrix, restored);
      for (Index row = 0; row < 6; ++row) {
        for (Index column = 0; column < kColumns; ++column) {
          const auto scale = static_cast<double>(matrix.grid.scale(row, column / 32));
          const auto zero_point = static_cast<double>(matrix.grid.zero_point(row, column / 32));
          const auto w = static_cast<double>(weight(row, column));
          double least = std::numeric_limits<double>::infinity();
          for (const float value : format.codebook.values) {
            least =
                std::min(least, std::abs((static_cast<double>(value) - zero_point) * scale - w));
          }
          // The restored weight is rounded to float once: half an ulp of it.
          const double found = std::abs(static_cast<double>(restored(row, column)) - w);
          ASSERT_LE(found, least + 0x1p-24 * std::abs(static_cast<double>(restored(row, column))));
        }
      }
    }
  }
}

// Weights inside the representable interval of an integer grid are off by half a step at most.
TEST(NearestRoundingTest, IntegerErrorsAreAtMostHalfAStep) {
  const MatrixF weight = NormalMatrix(6, kColumns, 0.02, 41);
  ThreadPool pool(1);
  for (const std::string_view name : {"int2", "int3", "int4", "int5", "int6", "int8"}) {
    const Format format{.codebook = BuiltIn(name, false), .group_size = 64};
    const QuantizedMatrix matrix =
        QuantizeLayer(MakeParts(MakeRecipe(*FindPreset("rtn-daq"), format)), format, weight,
                      {.name = "layer", .pool = &pool})
            .matrix;
    MatrixF restored(6, kColumns);
    Dequantize(matrix, restored);
    for (Index row = 0; row < 6; ++row) {
      for (Index column = 0; column < kColumns; ++column) {
        // The zero-point, below 256, is rounded to 2^-17 at most, and the result once more.
        const float bound = matrix.grid.scale(row, column / 64) * (0.5F + 2e-5F);
        EXPECT_LE(std::abs(restored(row, column) - weight(row, column)), bound);
      }
    }
  }
}

TEST(QuantizeLayerTest, AScaleBeyondFloat32IsRefusedByName) {
  ThreadPool pool(1);
  const std::vector<double> values = {-1e-3, 0, 1e-3};
  const Format format{.codebook = CustomCodebook("small", values, {"test"}, "values"),
                      .symmetric = true};
  const MatrixF weight = MatrixF::Constant(2, 4, 3e38F);
  EXPECT_EQ(InputErrorOf("",
                         [&] {
                           QuantizeLayer(MakeParts(MakeRecipe(*FindPreset("rtn"), format)), format,
                                         weight, {.name = "layer", .pool = &pool});
                         }),
            "layer: weight[0]: expected weights whose small grid fits in float32, found scale inf, "
            "zero-point 0");
}

TEST(QuantizeLayerTest, AGridWhoseEndsExceedFloat32IsRefusedByName) {
  ThreadPool pool(1);
  const Format format{.codebook = BuiltIn("int2", false)};
  MatrixF weight = MatrixF::Constant(2, 4, 3e38F);
  weight(1, 0) = -3e38F;  // scale 2e38, zero-point 1.5 rounded to 2: the first code would be -4e38
  EXPECT_EQ(InputErrorOf("",
                         [&] {
                           QuantizeLayer(MakeParts(MakeRecipe(*FindPreset("rtn"), format)), format,
                                         weight, {.name = "layer", .pool = &pool});
                         }),
            "layer: weight[1]: expected weights whose int2 grid fits in float32, found scale "
            "2e+38, zero-point 2");
}

TEST(QuantizeLayerTest, ASymmetricBookOfOneSignIsRefusedBeforeAnyLayer) {
  const Format format{
      .codebook = CustomCodebook("positive", std::vector<double>{0, 1, 2}, {"test"}, "values"),
      .symmetric = true};
  for (const Preset& preset : Presets()) {
    EXPECT_EQ(
        InputErrorOf("", [&] { MakeParts(MakeRecipe(preset, format)); }),
        "format: symmetric: expected false for positive, whose values are of one sign, found true");
  }
}

}  // namespace
}  // namespace daq
