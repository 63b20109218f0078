// GPTQ on block 0 of the demo model against what the authors' own code gave
// (shared/goldens/methods/README.md).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/blas.h"
#include "base/file.h"
#include "eval/block_weights.h"
#include "eval/checkpoint.h"
#include "eval/rms_norm.h"
#include "eval/safetensors.h"
#include "methods/quantize_layer.h"
#include "methods/registry.h"
#include "tests/support/shared.h"

namespace daq {
namespace {

using Json = nlohmann::json;

struct Golden {
  const char* name;
  const char* codebook;
  Index group_size;
  bool act_order;
  bool has_weights;  // some dequantised weights are stored, not only errors
};

constexpr Golden kGoldens[] = {{"gptq-int4-pc", "int4", 0, false, true},
                               {"gptq-int3-g64", "int3", 64, false, true},
                               {"gptq-int3-g64-act", "int3", 64, true, false}};

// The statistics of what block 0's attention reads: the normed embeddings.
LayerStatistics InputStatistics(const Checkpoint& checkpoint, const VectorF& norm, Index* windows,
                                ThreadPool* pool) {
  const Json ids = Json::parse(ReadFile(SharedPath("goldens/methods/calib_ids.json")))["windows"];
  *windows = static_cast<Index>(ids.size());
  const auto tokens = static_cast<Index>(ids[0].size());
  const Index hidden = norm.size();
  LayerStatistics statistics(hidden, {*windows * tokens});
  for (const Json& window : ids) {
    MatrixF embedded(tokens, hidden);
    for (Index token = 0; token < tokens; ++token) {
      checkpoint.ReadRows(kEmbeddingName, window[static_cast<std::size_t>(token)].get<Index>(),
                          embedded.middleRows(token, 1));
    }
    MatrixF normed(tokens, hidden);
    RmsNorm(embedded, norm, checkpoint.config().rms_norm_eps, normed);
    statistics.Add(normed, pool);
  }
  return statistics;
}

// Their dequantised weights, or none.
MatrixF TheirWeights(const Golden& golden, const std::string& layer, Index rows, Index columns) {
  if (!golden.has_weights) return {};
  const SafetensorsFile file(
      SharedPath(std::string("goldens/methods/block0-") + golden.name + ".safetensors"));
  const auto found = file.tensors().find(layer + ".weight");
  if (found == file.tensors().end()) return {};
  MatrixF weight(rows, columns);
  const StoredTensor& tensor = found->second;
  DAQ_CHECK(tensor.dtype == "F32" && tensor.end - tensor.begin ==
                                         static_cast<std::size_t>(weight.size()) * sizeof(float),
            "a float32 golden of this shape");
  std::memcpy(weight.data(), file.bytes().data() + tensor.begin, tensor.end - tensor.begin);
  return weight;
}

TEST(GoldenGptqTest, CodesAndErrorsOfTheFirstBlockAreTheAuthors) {
  DAQ_REQUIRE_SHARED("goldens/methods/results.json");
  DAQ_REQUIRE_SHARED("demo-model/model/config.json");
  SetUpBlas();
  ThreadPool pool(2);
  const Checkpoint checkpoint(SharedPath("demo-model/model"));
  BlockWeights weights(checkpoint.config());
  ReadNorms(checkpoint, 0, &weights);
  ReadLinearLayers(checkpoint, 0, &pool, &weights);
  Index windows = 0;
  const LayerStatistics statistics =
      InputStatistics(checkpoint, weights.attention_norm, &windows, &pool);
  const Json results = Json::parse(ReadFile(SharedPath("goldens/methods/results.json")));
  Index compared = 0;
  for (const Golden& golden : kGoldens) {
    const auto run = std::find_if(results.begin(), results.end(), [&](const Json& result) {
      return result["name"] == golden.name;
    });
    ASSERT_NE(run, results.end());
    const Format format{.codebook = FindCodebook(golden.codebook, false).value(),
                        .symmetric = false,
                        .group_size = golden.group_size};
    Recipe recipe = MakeRecipe(*FindPreset("rtn-gptq"), format);
    recipe.rounding = ChoosePart(*FindPart(Roundings(), "gptq"), {{"act_order", golden.act_order}});
    for (const LinearLayer which : {LinearLayer::kQuery, LinearLayer::kKey, LinearLayer::kValue}) {
      const std::string name = LinearLayerName(0, which);
      SCOPED_TRACE(std::string(golden.name) + " " + name);
      const MatrixF weight = weights.Layer(checkpoint.config(), which);
      const QuantizedLayer layer =
          QuantizeLayer(MakeParts(recipe), format, weight,
                        {.name = name, .statistics = &statistics, .pool = &pool});
      // Their H is divided by windows. All of theirs is float32, with sums over 8192 tokens and
      // 65536 weights: measured to differ by 5e-5 at most.
      const double per_window =
          static_cast<double>(statistics.tokens()) / static_cast<double>(windows);
      const Json& told = (*run)["layer_errors"][name.substr(std::strlen("model.layers."))];
      EXPECT_NEAR(layer.report.diagnostics.at("gptq.error") * per_window /
                      told["official_error"].get<double>(),
                  1.0, 5e-4);
      EXPECT_NEAR(
          layer.report.diagnostics.at("gptq.trace") * per_window / told["H_trace"].get<double>(),
          1.0, 1e-6);
      const MatrixF theirs = TheirWeights(golden, name, weight.rows(), weight.cols());
      if (theirs.size() == 0) continue;
      MatrixF ours(weight.rows(), weight.cols());
      Dequantize(layer.matrix, ours);
      Index same = 0;
      for (Index row = 0; row < ours.rows(); ++row) {
        for (Index column = 0; column < ours.cols(); ++column) {
          const float step =
              layer.matrix.grid.scale(row, column / GroupLength(format, ours.cols()));
          same += std::abs(ours(row, column) - theirs(row, column)) < 0.1F * step ? 1 : 0;
        }
      }
      // A code on the edge may differ, and then its row: 0.5 %.
      EXPECT_GE(static_cast<double>(same), 0.995 * static_cast<double>(ours.size()));
      ++compared;
    }
  }
  EXPECT_EQ(compared, 4);  // q and v of two runs
}

}  // namespace
}  // namespace daq
