// What the quantise stage promises of every preset: the same blocks for any number of threads,
// alone or beside others, in one go or after a stop; and transforms that leave a block's function
// alone.
#include "harness/quantize_stage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "base/blas.h"
#include "base/file.h"
#include "eval/window_scores.h"
#include "harness/calibration_pass.h"
#include "harness/evaluate_stage.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

constexpr Index kWindowTokens = 24;
constexpr Index kWindows = 5;
constexpr Index kBlocks = 3;

class QuantizeStageTest : public testing::Test {
 protected:
  QuantizeStageTest() {
    SetUpBlas();
    TinyCheckpointSpec spec;
    spec.num_layers = kBlocks;
    spec.num_kv_heads = 4;  // as many as heads, so that o can be scaled through v
    WriteTinyCheckpoint(folder_.path() / "model", spec);
    checkpoint_.emplace(folder_.path() / "model");
    windows_.window_tokens = kWindowTokens;
    for (Index i = 0; i < kWindows * kWindowTokens; ++i)
      windows_.ids.push_back(static_cast<TokenId>((i * 7919 + i * i) % 64));
  }

  static Recipe RecipeOf(const Preset& preset) {
    const bool symmetric = preset.symmetric.value_or(true);
    return MakeRecipe(
        preset,
        {.codebook = *FindCodebook("nf3", symmetric), .symmetric = symmetric, .group_size = 16});
  }

  QuantizeJob Job(const Recipe& recipe, Index windows, const std::string& name) const {
    return {.recipe = recipe,
            .description = "test",
            .windows = windows,
            .store = QuantizedStore(folder_.path() / name)};
  }

  void Run(std::vector<QuantizeJob> jobs, int threads = 2,
           const BlockRange& blocks = {.end = kBlocks},
           std::uint64_t memory_budget_bytes = 1ULL << 30U,
           const TokenWindows* held_out = nullptr) {
    ThreadPool pool(threads);
    Progress progress(0, /*quiet=*/true);
    QuantizeModel(*checkpoint_, {.calibration = &windows_, .held_out = held_out}, blocks, &jobs,
                  {.pool = &pool,
                   .progress = &progress,
                   .work_folder = folder_.path() / "work",
                   .memory_budget_bytes = memory_budget_bytes});
    for (const QuantizeJob& job : jobs) EXPECT_EQ(job.error, "");
  }

  // All blocks of a store as bytes.
  std::string Blocks(const std::string& name) const {
    std::string bytes;
    for (Index block = 0; block < kBlocks; ++block)
      bytes += ReadFile(folder_.path() / name / ("block-000" + std::to_string(block)));
    return bytes;
  }

  static Index WindowsOf(const Recipe& recipe, Index windows) {
    return MakeParts(recipe).needs_statistics() ? windows : 0;
  }

  TemporaryFolder folder_;
  std::optional<Checkpoint> checkpoint_;
  TokenWindows windows_;
};

TEST_F(QuantizeStageTest, EveryPresetGivesTheSameBlocksForAnyNumberOfThreads) {
  for (const Preset& preset : Presets()) {
    const Recipe recipe = RecipeOf(preset);
    const Index windows = WindowsOf(recipe, 3);
    Run({Job(recipe, windows, "one")}, 1);
    Run({Job(recipe, windows, "three")}, 3);
    EXPECT_EQ(Blocks("one"), Blocks("three")) << preset.name;
    for (const char* name : {"one", "three"}) QuantizedStore(folder_.path() / name).Remove();
  }
}

// One pass serves all recipes and all calibration sizes; each gets what it would get alone.
TEST_F(QuantizeStageTest, TogetherIsAsAlone) {
  std::vector<QuantizeJob> together;
  for (const Preset& preset : Presets()) {
    for (const Index windows : {2, 5}) {
      const Recipe recipe = RecipeOf(preset);
      const std::string name = std::string(preset.name) + std::to_string(windows);
      together.push_back(Job(recipe, WindowsOf(recipe, windows), "together-" + name));
      Run({Job(recipe, WindowsOf(recipe, windows), "alone-" + name)});
    }
  }
  Run(together);
  for (const Preset& preset : Presets()) {
    for (const char* windows : {"2", "5"}) {
      const std::string name = std::string(preset.name) + windows;
      EXPECT_EQ(Blocks("together-" + name), Blocks("alone-" + name)) << name;
    }
  }
}

TEST_F(QuantizeStageTest, AStoppedPassGoesOnToTheSameBlocks) {
  for (const Preset& preset : Presets()) {
    const Recipe recipe = RecipeOf(preset);
    const Index windows = WindowsOf(recipe, 3);
    Run({Job(recipe, windows, "whole")});
    Run({Job(recipe, windows, "stopped")}, 2, {.end = 1});
    Run({Job(recipe, windows, "stopped")}, 2, {.end = 2});
    Run({Job(recipe, windows, "stopped")});
    EXPECT_EQ(Blocks("whole"), Blocks("stopped")) << preset.name;
    for (const char* name : {"whole", "stopped"}) QuantizedStore(folder_.path() / name).Remove();
  }
}

TEST_F(QuantizeStageTest, CalibrationSizesAndPropagationsDiffer) {
  // If these were equal, the tests above would compare nothing.
  Recipe recipe = RecipeOf(*FindPreset("gptq"));
  Run({Job(recipe, 3, "quantized"), Job(recipe, 5, "five")});
  recipe.propagation = Propagation::kFullPrecision;
  Run({Job(recipe, 3, "full")});
  recipe.propagation = Propagation::kQuantizedWithinBlock;
  Run({Job(recipe, 3, "within")});
  EXPECT_NE(Blocks("quantized"), Blocks("five"));
  EXPECT_NE(Blocks("quantized"), Blocks("full"));
  EXPECT_NE(Blocks("quantized"), Blocks("within"));
  EXPECT_NE(Blocks("full"), Blocks("within"));
  // Block 0 has nothing quantised before it.
  EXPECT_EQ(ReadFile(folder_.path() / "quantized/block-0000"),
            ReadFile(folder_.path() / "full/block-0000"));
}

// What the layers of `input` read in the first `windows` windows of `states`, by a plain forward.
MatrixF InputsOf(const ModelConfig& config, const BlockWeights& weights, LinearInput input,
                 Index windows, ThreadPool* pool, HiddenStates* states) {
  MatrixF inputs(0, LinearLayerShape(config, FirstReaderOf(input)).in_features);
  BlockForward(config, kWindowTokens, pool)
      .Observe(weights, states, 0, windows,
               [&](LinearInput of, Index, const ConstMatrixView& rows) {
                 if (of != input) return;
                 inputs.conservativeResize(inputs.rows() + rows.rows(), Eigen::NoChange);
                 inputs.bottomRows(rows.rows()) = rows;
               });
  return inputs;
}

// Each step of a block is calibrated on what a forward gives its layers through all that is
// quantised before them: earlier blocks, and this block's earlier steps.
TEST_F(QuantizeStageTest, WithinABlockLayersSeeTheQuantisedOnesBeforeThem) {
  constexpr Index kCalibration = 3;
  const ModelConfig& config = checkpoint_->config();
  ThreadPool pool(2);
  Progress progress(0, /*quiet=*/true);
  const Stage stage{.pool = &pool,
                    .progress = &progress,
                    .work_folder = folder_.path() / "work",
                    .memory_budget_bytes = 1ULL << 30U};
  for (const char* preset : {"gptq-act-order", "awq+gptq"}) {
    Recipe recipe = RecipeOf(*FindPreset(preset));
    recipe.propagation = Propagation::kQuantizedWithinBlock;
    Run({Job(recipe, kCalibration, preset)});
    const QuantizedStore store(folder_.path() / preset);
    const RecipeParts parts = MakeParts(recipe);
    TokenWindows windows = windows_;
    windows.ids.resize(kCalibration * kWindowTokens);
    HiddenStates states(kCalibration, kWindowTokens, config.hidden_size, {});
    EmbedTokens(*checkpoint_, windows, &pool, &states);
    // For the transform alone, which looks at the block as the checkpoint has it.
    CalibrationPass pass(*checkpoint_, windows,
                         {.sizes = {kCalibration}, .module_windows = kCalibration}, stage);
    for (Index block = 0; block < kBlocks; ++block) {
      const QuantizedBlock quantized = store.ReadBlock(block, config);
      const QuantizedBlockReport report = store.ReadReport(block);
      BlockWeights original(config);
      FullPrecisionBlocks(*checkpoint_, &pool)(block, &original);
      BlockQuantizer transformer(parts, recipe.format, config, block, original, &pool);
      pass.Begin();
      pass.Observe(original, kCalibration, std::nullopt);
      transformer.Transform(pass.Calibration(original));
      BlockWeights weights = transformer.weights();
      for (const LinearInput input : kLinearInputs) {
        const LayerStatistics statistics(
            InputsOf(config, weights, input, kCalibration, &pool, &states), &pool);
        for (const LinearLayer layer : kLinearLayers) {
          if (InputOf(layer) != input) continue;
          const auto at = static_cast<std::size_t>(layer);
          SCOPED_TRACE(std::string(preset) + " " + report.layers[at].layer);
          const QuantizedLayer expected = QuantizeLayer(
              parts, recipe.format, weights.Layer(config, layer),
              {.name = report.layers[at].layer, .statistics = &statistics, .pool = &pool});
          // The Gram matrix added up at once, not window by window: in double, of 72 tokens.
          const double trace = expected.report.diagnostics.at("gptq.trace");
          EXPECT_NEAR(report.layers[at].diagnostics.at("gptq.trace"), trace, 1e-13 * trace);
          EXPECT_EQ(UnpackCodes(quantized.layers[at]), UnpackCodes(expected.matrix));
        }
        for (const LinearLayer layer : kLinearLayers) {
          if (InputOf(layer) == input)
            Dequantize(quantized.layers[static_cast<std::size_t>(layer)],
                       weights.Layer(config, layer), &pool);
        }
      }
      DequantizeBlock(quantized, config, &pool, &original);
      BlockForward(config, kWindowTokens, &pool).Run(original, &states);
      pass.Skip(original);
    }
  }
}

// What inspect shows of one layer is what a whole run makes of it.
TEST_F(QuantizeStageTest, ABlockAloneIsThatOfTheWholeModel) {
  constexpr Index kBlock = 1;
  for (const char* preset : {"rtn", "awq", "gptq", "gptq-act-order"}) {
    SCOPED_TRACE(preset);
    const Recipe recipe = RecipeOf(*FindPreset(preset));
    const std::string whole = std::string(preset) + "-whole";
    const std::string alone = std::string(preset) + "-alone";
    Run({Job(recipe, 3, whole)});
    Run({Job(recipe, 3, alone)}, 2, {.first = kBlock, .end = kBlock + 1});
    const std::string file = "block-0001";
    EXPECT_EQ(ReadFile(folder_.path() / alone / file), ReadFile(folder_.path() / whole / file));
    const QuantizedStore store(folder_.path() / alone);
    EXPECT_EQ(store.HasBlock(0), recipe.propagation != Propagation::kFullPrecision);
    EXPECT_FALSE(store.HasBlock(kBlock + 1));
  }
}

TEST_F(QuantizeStageTest, AFailingRecipeLeavesTheOthersAlone) {
  // 32 input features are not divisible into groups of 24.
  Recipe bad = RecipeOf(*FindPreset("rtn"));
  bad.format.group_size = 24;
  const Recipe good = RecipeOf(*FindPreset("rtn"));
  std::vector<QuantizeJob> jobs = {Job(bad, 0, "bad"), Job(good, 0, "good")};
  ThreadPool pool(1);
  Progress progress(0, /*quiet=*/true);
  QuantizeModel(*checkpoint_, {}, {.end = kBlocks}, &jobs,
                {.pool = &pool,
                 .progress = &progress,
                 .work_folder = folder_.path() / "work",
                 .memory_budget_bytes = 1ULL << 30U});
  EXPECT_EQ(jobs[0].error,
            "model.layers.0.self_attn.q_proj: format.group: expected a divisor of in_features 32, "
            "found 24");
  EXPECT_EQ(jobs[1].error, "");
  EXPECT_TRUE(jobs[1].store.HasBlock(kBlocks - 1));
}

// The block behind a transform computes what it computed before, to float32 rounding; a scaled
// weight or norm that the other side does not divide by shows at once.
TEST_F(QuantizeStageTest, TransformsLeaveABlocksFunctionAlone) {
  ThreadPool pool(2);
  Progress progress(0, /*quiet=*/true);
  const Stage stage{.pool = &pool,
                    .progress = &progress,
                    .work_folder = folder_.path() / "work",
                    .memory_budget_bytes = 1ULL << 30U};
  const ModelConfig& config = checkpoint_->config();
  const Recipe recipe = RecipeOf(*FindPreset("awq"));
  const RecipeParts parts = MakeParts(recipe);
  BlockWeights weights(config);
  FullPrecisionBlocks(*checkpoint_, &pool)(0, &weights);
  CalibrationPass pass(*checkpoint_, windows_, {.sizes = {kWindows}, .module_windows = kWindows},
                       stage);
  pass.Begin();
  pass.Advance(weights, kWindows);
  BlockQuantizer quantizer(parts, recipe.format, config, 0, weights, &pool);
  quantizer.Transform(pass.Calibration(weights));
  EXPECT_NE(quantizer.weights().attention_norm, weights.attention_norm);
  EXPECT_NE(quantizer.weights().output, weights.output);
  EXPECT_NE(quantizer.weights().down, weights.down);
  MatrixF outputs[2];
  for (const int transformed : {0, 1}) {
    HiddenStates states(kWindows, kWindowTokens, config.hidden_size, {});
    EmbedTokens(*checkpoint_, windows_, &pool, &states);
    BlockForward forward(config, kWindowTokens, &pool);
    forward.Run(transformed == 1 ? quantizer.weights() : weights, &states);
    outputs[transformed] = states.all();
  }
  // Products of 32 and 48 terms with weights rounded once more: some tens of 2^-24 of the largest.
  EXPECT_LE((outputs[1] - outputs[0]).cwiseAbs().maxCoeff(),
            1e-5F * outputs[0].cwiseAbs().maxCoeff());
}

// llm-awq scales o only where the weights of v and o have one shape.
TEST_F(QuantizeStageTest, AwqScalesTheOutputLayerOnlyWhereVAndOHaveOneShape) {
  struct Case {
    int heads;
    int kv_heads;
    int head_dim;
    bool is_scaled;
  };
  // Hidden size 32: as wide as the heads; grouped queries; heads wider and narrower than it.
  for (const Case& test :
       {Case{4, 4, 8, true}, Case{4, 2, 8, false}, Case{4, 4, 16, false}, Case{4, 4, 4, false}}) {
    TinyCheckpointSpec spec;
    spec.num_heads = test.heads;
    spec.num_kv_heads = test.kv_heads;
    spec.head_dim = test.head_dim;
    const std::string name = std::to_string(test.kv_heads) + "x" + std::to_string(test.head_dim);
    SCOPED_TRACE(name);
    WriteTinyCheckpoint(folder_.path() / ("model" + name), spec);
    checkpoint_.emplace(folder_.path() / ("model" + name));
    Run({Job(RecipeOf(*FindPreset("awq")), 2, name)}, 2, {.end = 1});
    const auto layers = QuantizedStore(folder_.path() / name).ReadReport(0).layers;
    for (const LinearLayer layer : kLinearLayers) {
      EXPECT_EQ(layers[static_cast<std::size_t>(layer)].diagnostics.contains("awq_scale.ratio"),
                layer != LinearLayer::kOutput || test.is_scaled)
          << LinearLayerName(layer);
    }
  }
}

// What the reports say of held-out windows is what they would say of these as calibration, on the
// same codes; and the blocks do not depend on them.
TEST_F(QuantizeStageTest, HeldOutWindowsAreReportedOnAndNotSeen) {
  TokenWindows other = windows_;
  std::reverse(other.ids.begin(), other.ids.end());
  other.ids.resize(3 * kWindowTokens);
  for (const char* name : {"rtn", "awq", "gptq", "gptq-act-order", "daq"}) {
    const Recipe recipe = RecipeOf(*FindPreset(name));
    const Index windows = WindowsOf(recipe, kWindows);
    Run({Job(recipe, windows, "without")});
    Run({Job(recipe, windows, "with")}, 2, {.end = kBlocks}, 1ULL << 30U, &other);
    // Half done, as after a stop: the held-out windows still pass the blocks that are there.
    Run({Job(recipe, windows, "again")}, 1, {.end = 1}, 1ULL << 30U, &other);
    Run({Job(recipe, windows, "again")}, 1, {.end = kBlocks}, 1ULL << 30U, &other);
    EXPECT_EQ(Blocks("without"), Blocks("with")) << name;
    for (Index block = 0; block < kBlocks; ++block) {
      const auto layers = QuantizedStore(folder_.path() / "with").ReadReport(block).layers;
      EXPECT_EQ(layers, QuantizedStore(folder_.path() / "again").ReadReport(block).layers) << name;
      for (const LayerReport& layer : layers) {
        ASSERT_TRUE(layer.held_out_mse) << name << " " << layer.layer;
        EXPECT_GT(*layer.held_out_mse, 0) << name << " " << layer.layer;
        ASSERT_TRUE(layer.held_out_error_vs_rtn) << name << " " << layer.layer;
        if (recipe.method == "rtn") {
          EXPECT_DOUBLE_EQ(*layer.held_out_error_vs_rtn, 1.0) << layer.layer;
        }
      }
    }
    for (const LayerReport& layer : QuantizedStore(folder_.path() / "without").ReadReport(0).layers)
      EXPECT_FALSE(layer.held_out_mse) << name;
    for (const char* folder : {"without", "with", "again"})
      QuantizedStore(folder_.path() / folder).Remove();
  }
  // Full-precision inputs of the calibration's own windows: the two reports are of the same.
  for (const char* name : {"awq", "daq"}) {
    Run({Job(RecipeOf(*FindPreset(name)), kWindows, "same")}, 2, {.end = kBlocks}, 1ULL << 30U,
        &windows_);
    for (Index block = 0; block < kBlocks; ++block) {
      for (const LayerReport& layer :
           QuantizedStore(folder_.path() / "same").ReadReport(block).layers) {
        EXPECT_DOUBLE_EQ(*layer.held_out_mse, *layer.output_mse) << name << " " << layer.layer;
        EXPECT_DOUBLE_EQ(*layer.held_out_error_vs_rtn, *layer.output_error_vs_rtn);
      }
    }
    QuantizedStore(folder_.path() / "same").Remove();
  }
}

TEST_F(QuantizeStageTest, ReportsCompareWithRoundToNearest) {
  // Not the recipes with a scaling: q, k and v share it, so one of them may get worse.
  for (const char* name : {"rtn", "gptq", "daq", "gptq+daq"}) {
    const Recipe recipe = RecipeOf(*FindPreset(name));
    Run({Job(recipe, kWindows, "report")});
    for (const LayerReport& layer :
         QuantizedStore(folder_.path() / "report").ReadReport(0).layers) {
      ASSERT_TRUE(layer.output_error_vs_rtn) << layer.layer;
      // In the symmetric format that rtn is compared in, rtn is itself.
      if (recipe.method == "rtn") {
        EXPECT_DOUBLE_EQ(*layer.output_error_vs_rtn, 1.0) << layer.layer;
      }
      // These look at each layer's outputs, by which they are judged here.
      EXPECT_LE(*layer.output_error_vs_rtn, 1.0 + 1e-9) << name << " " << layer.layer;
    }
    QuantizedStore(folder_.path() / "report").Remove();
  }
}

}  // namespace
}  // namespace daq
