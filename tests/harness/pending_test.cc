#include "harness/pending.h"

#include <gtest/gtest.h>

#include "eval/hidden_states.h"
#include "harness/estimate.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

// Three windows of four tokens: fp16, rtn nf4 and rtn nf3, with token metrics or without.
class PendingTest : public testing::Test {
 protected:
  PendingTest() {
    WriteTinyCheckpoint(folder_.path() / "model", {});
    WriteText(folder_.path(), "w.json",
              "{\"windows\": [[1, 2, 3, 4], [5, 6, 7, 8], [9, 1, 2, 3]]}");
  }

  Workload Resolve(bool token_metrics) const {
    const auto path = WriteText(
        folder_.path(), "x.yaml",
        std::string("model: model\nevaluate: [{protocol: ids, file: w.json, token_metrics: ") +
            (token_metrics ? "true" : "false") +
            "}]\nrecipes: [fp16, {method: rtn, format: nf4}, {method: rtn, format: nf3}]\n");
    return ResolveWorkload(ReadExperimentFile(path),
                           {.data = {}, .results = folder_.path() / "out"});
  }

  // Of the cells from `first` on, all windows.
  static Forecast ForecastFrom(const Workload& work, std::size_t first) {
    PendingCells pending;
    for (std::size_t i = first; i < work.cells.size(); ++i) pending[i] = {{.first = 0, .count = 3}};
    return ForecastOf(work, RunStage::kEvaluate, pending, 1, 1ULL << 40U);
  }

  TemporaryFolder folder_;
};

TEST_F(PendingTest, WithoutTokenMetricsEveryCellIsOnePass) {
  const Workload work = Resolve(false);
  const ModelConfig& config = work.models[0]->checkpoint.config();
  EXPECT_DOUBLE_EQ(ForecastFrom(work, 0).work.products, 3 * EvaluationWork(config, 3, 4).products);
  for (const Cell& cell : work.cells) EXPECT_EQ(cell.reference, "");
}

TEST_F(PendingTest, ComparedCellsWorkOnTwoHeadsAndShareOneReference) {
  const Workload work = Resolve(true);
  ASSERT_EQ(work.cells.size(), 3U);
  EXPECT_FALSE(work.cells[0].compared());
  for (const Cell& cell : work.cells) EXPECT_EQ(cell.reference, work.cells[0].id);
  const ModelConfig& config = work.models[0]->checkpoint.config();
  const double pass = EvaluationWork(config, 3, 4).products;
  const double head = HeadWork(config, 3, 4).products;
  EXPECT_DOUBLE_EQ(ForecastFrom(work, 0).work.products, 3 * pass + 2 * head);
  // Full precision's cell is done: its blocks run once more, its head is not scored.
  EXPECT_DOUBLE_EQ(ForecastFrom(work, 1).work.products, 2 * (pass + head) + (pass - head));
  // Beside a saved copy of the states, full precision's, which a cell alone does not need.
  const Forecast both = ForecastFrom(work, 1);
  const Forecast plain = ForecastFrom(Resolve(false), 1);
  EXPECT_EQ(both.scratch_bytes,
            EvaluationMemory(config, 3, 4, 1, true).states_bytes + HiddenStates::Bytes(3, 4, 32));
  EXPECT_EQ(plain.scratch_bytes, EvaluationMemory(config, 3, 4, 1, false).states_bytes);
}

TEST_F(PendingTest, CellsWithTokenMetricsAreOthers) {
  const Workload plain = Resolve(false);
  const Workload compared = Resolve(true);
  EXPECT_EQ(plain.arms[1].id, compared.arms[1].id);
  for (std::size_t i = 0; i < plain.cells.size(); ++i)
    EXPECT_NE(plain.cells[i].id, compared.cells[i].id);
}

}  // namespace
}  // namespace daq
