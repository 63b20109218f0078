// Properties that every transform must have, over every format by channel and by groups of 32. A
// new one is covered by being registered.
#include <gtest/gtest.h>

#include <string>

#include "base/blas.h"
#include "methods/recipe.h"
#include "methods/registry.h"
#include "tests/methods/blocks.h"
#include "tests/support/input_error.h"

namespace daq {
namespace {

constexpr Index kTokens = 20;
constexpr Index kFeatures = 32;

std::vector<std::string> AllTransforms() {
  std::vector<std::string> names;
  for (const PartEntry<Transform>& entry : Transforms()) names.emplace_back(entry.name);
  return names;
}

class TransformConformance : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }

  static std::unique_ptr<Transform> Make() {
    const PartEntry<Transform>& entry = *FindPart(Transforms(), GetParam());
    return entry.make(ChoosePart(entry, {}).settings);
  }

  static std::map<std::string, Diagnostics> Apply(TinyBlock* block, const Format& format,
                                                  int threads = 1) {
    ThreadPool pool(threads);
    return block->Apply(*Make(), format, &pool);
  }

  // Calls body(format) for every format by channel and by groups of 32, naming it in failures.
  template <typename Body>
  static void ForEachFormat(const Body& body) {
    for (const Index group_size : {0, 32}) {
      for (const Format& format : AllFormats(group_size)) {
        SCOPED_TRACE(FormatName(format) + " " + GranularityName(format));
        body(format);
      }
    }
  }
};

TEST_P(TransformConformance, LeavesShapesAndNamesAndAnIdentityLeavesAll) {
  ForEachFormat([&](const Format& format) {
    TinyBlock block(kTokens, kFeatures, 81);
    const auto diagnostics = Apply(&block, format);
    const TransformBlock& before = block.handed_over;
    ASSERT_EQ(block.block.layers.size(), before.layers.size());
    bool changed = false;
    for (std::size_t i = 0; i < before.layers.size(); ++i) {
      const TransformLayer& layer = block.block.layers[i];
      EXPECT_EQ(layer.name, before.layers[i].name);
      ASSERT_EQ(layer.weight.rows(), before.layers[i].weight.rows());
      ASSERT_EQ(layer.weight.cols(), before.layers[i].weight.cols());
      EXPECT_TRUE(layer.weight.allFinite());
      changed = changed || layer.weight != before.layers[i].weight;
    }
    for (std::size_t i = 0; i < before.norms.size(); ++i) {
      ASSERT_EQ(block.block.norms[i].size(), before.norms[i].size());
      changed = changed || block.block.norms[i] != before.norms[i];
    }
    EXPECT_FALSE(changed && Make()->is_identity());
    // Diagnostics are of layers of this block, declared, and carry the part's name.
    std::set<std::string> declared;
    const std::unique_ptr<Transform> transform = Make();
    for (const DiagnosticSpec& spec : transform->diagnostics()) declared.emplace(spec.name);
    for (const auto& [layer, values] : diagnostics) {
      EXPECT_TRUE(std::any_of(before.layers.begin(), before.layers.end(),
                              [&](const TransformLayer& of) { return of.name == layer; }))
          << layer;
      EXPECT_EQ(values.size(), declared.size());
      for (const auto& [name, value] : values) {
        EXPECT_TRUE(declared.contains(name)) << name;
        EXPECT_TRUE(name.starts_with(GetParam() + ".") && std::isfinite(value)) << name;
      }
    }
  });
}

// To rounding of the weights; and the inputs are divided by what the group says, by which the
// caller divides the statistics.
TEST_P(TransformConformance, LeavesTheBlocksFunction) {
  ForEachFormat([&](const Format& format) {
    TinyBlock block(kTokens, kFeatures, 82);
    Apply(&block, format);
    const BlockActivations after = block.Run(block.block);
    EXPECT_TRUE(block.IsPreserved(&BlockActivations::block, after));
    MatrixD BlockActivations::*const inputs[] = {
        &BlockActivations::attention_input, &BlockActivations::output_input,
        &BlockActivations::mlp_input, &BlockActivations::down_input};
    for (std::size_t group = 0; group < 4; ++group) {
      EXPECT_TRUE(block.IsPreserved(inputs[group], after, block.block.groups[group].input_divisor))
          << group;
    }
  });
}

TEST_P(TransformConformance, TheSameBitsForAnyThreadCount) {
  ForEachFormat([&](const Format& format) {
    TinyBlock one(kTokens, kFeatures, 84);
    TinyBlock three(kTokens, kFeatures, 84);
    EXPECT_EQ(Apply(&one, format, 1), Apply(&three, format, 3));
    for (std::size_t i = 0; i < one.block.layers.size(); ++i)
      EXPECT_EQ(one.block.layers[i].weight, three.block.layers[i].weight);
    for (std::size_t i = 0; i < one.block.norms.size(); ++i)
      EXPECT_EQ(one.block.norms[i], three.block.norms[i]);
    for (std::size_t i = 0; i < one.block.groups.size(); ++i)
      EXPECT_EQ(one.block.groups[i].input_divisor, three.block.groups[i].input_divisor);
  });
}

TEST_P(TransformConformance, AGroupSizeThatDoesNotDivideIsRefusedByName) {
  if (Make()->is_identity()) return;  // never looks at the format
  TinyBlock block(kTokens, kFeatures, 85);
  EXPECT_EQ(InputErrorOf(
                "", [&] { Apply(&block, {.codebook = BuiltIn("int4", false), .group_size = 24}); }),
            "q_proj: format.group: expected a divisor of in_features 32, found 24");
}

INSTANTIATE_TEST_SUITE_P(AllParts, TransformConformance, testing::ValuesIn(AllTransforms()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace daq
