// How work is cut into shares.
#include "harness/shard.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/input_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

// Two texts of eleven windows; full precision and three recipes.
class ShardTest : public testing::Test {
 protected:
  ShardTest() {
    WriteTinyCheckpoint(folder_.path() / "model", {});
    WriteText(folder_.path(), "long.json", Windows(11));
    WriteText(folder_.path(), "other.json", Windows(11, 1));
    const auto path = WriteText(folder_.path(), "x.yaml",
                                "model: model\n"
                                "evaluate: [{protocol: ids, name: a, file: long.json}, {protocol: "
                                "ids, name: b, file: other.json}]\n"
                                "recipes: [fp16, {method: rtn, format: nf4}, {method: rtn, format: "
                                "nf3}, {method: rtn, format: int2}]\n");
    work_ =
        ResolveWorkload(ReadExperimentFile(path), {.data = {}, .results = folder_.path() / "out"});
  }

  static std::string Windows(int count, int first = 0) {
    std::string text = "{\"windows\": [";
    for (int i = 0; i < count; ++i)
      text += (i == 0 ? "[" : ",[") + std::to_string(first + i) + ",2,3,4]";
    return text + "]}";
  }

  Index CountOf(const Cell& cell) const {
    return work_.evaluations[cell.evaluation].windows.count();
  }

  TemporaryFolder folder_;
  Workload work_;
};

TEST_F(ShardTest, SharesOfEvaluationCoverEveryWindowOnce) {
  for (Index count = 1; count <= 100; ++count) {
    std::set<std::pair<std::size_t, Index>> seen;
    Index most = 0;
    for (Index index = 1; index <= count; ++index) {
      const Share share = ShareOf(work_, RunStage::kEvaluate, {.index = index, .count = count});
      EXPECT_FALSE(share.whole);
      Index own = 0;
      for (const auto& [cell, range] : share.cells) {
        EXPECT_GE(range.count, 1);
        own += range.count;
        for (Index window = range.first; window < range.end(); ++window)
          EXPECT_TRUE(seen.emplace(cell, window).second) << "twice";
      }
      most = std::max(most, own);
    }
    EXPECT_EQ(seen.size(), 4U * (11 + 11)) << count;
    // All windows weigh the same here, so no share has a window more than its part.
    EXPECT_LE(most, (4 * (11 + 11) + count - 1) / count + 1) << count;
  }
}

TEST_F(ShardTest, SharesOfFullPrecisionCoverItsWindowsOnce) {
  for (Index count = 1; count <= 30; ++count) {
    std::set<std::pair<std::size_t, Index>> seen;
    for (Index index = 1; index <= count; ++index) {
      const Share share =
          ShareOf(work_, RunStage::kFullPrecision, {.index = index, .count = count});
      for (const auto& [cell, range] : share.cells) {
        EXPECT_TRUE(work_.arms[work_.cells[cell].arm].recipe.full_precision);
        for (Index window = range.first; window < range.end(); ++window)
          EXPECT_TRUE(seen.emplace(cell, window).second) << "twice";
      }
    }
    EXPECT_EQ(seen.size(), 2U * 11) << count;
  }
}

TEST_F(ShardTest, SharesOfArmsCoverEveryArmOnce) {
  for (const RunStage stage : {RunStage::kAll, RunStage::kQuantize}) {
    for (Index count = 1; count <= 6; ++count) {
      std::set<std::size_t> seen;
      for (Index index = 1; index <= count; ++index) {
        std::set<std::size_t> arms;
        const Share share = ShareOf(work_, stage, {.index = index, .count = count});
        for (const auto& [cell, range] : share.cells) {
          EXPECT_TRUE(seen.insert(cell).second);
          EXPECT_EQ(range, (WindowRange{.first = 0, .count = CountOf(work_.cells[cell])}));
          arms.insert(work_.cells[cell].arm);
        }
        // An arm is not divided.
        EXPECT_EQ(share.cells.size(), 2 * arms.size());
      }
      EXPECT_EQ(seen.size(), stage == RunStage::kAll ? 8U : 6U)
          << "full precision is not quantised";
    }
  }
}

TEST_F(ShardTest, WholeShareIsEverything) {
  EXPECT_EQ(WholeShare(work_, RunStage::kAll).cells.size(), 8U);
  EXPECT_EQ(WholeShare(work_, RunStage::kFullPrecision).cells.size(), 2U);
  EXPECT_EQ(WholeShare(work_, RunStage::kQuantize).cells.size(), 6U);
  EXPECT_EQ(WholeShare(work_, RunStage::kEvaluate).cells.size(), 8U);
  EXPECT_TRUE(WholeShare(work_, RunStage::kAll).whole);
}

TEST(ParseShardTest, ReadsOneFormAndRefusesOthers) {
  EXPECT_EQ(ParseShard("2/4").index, 2);
  EXPECT_EQ(ParseShard("2/4").count, 4);
  for (const char* wrong : {"", "2", "0/4", "5/4", "-1/4", "1/0", "a/4", "1/4x", "1 / 4", "1/"}) {
    EXPECT_EQ(InputErrorOf("nowhere", [&] { ParseShard(wrong); }),
              std::string("--shard: expected I/N with 1 <= I <= N, such as 2/4, found \"") + wrong +
                  "\"");
  }
}

}  // namespace
}  // namespace daq
