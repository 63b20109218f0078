#include "harness/cell_store.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/file.h"
#include "methods/registry.h"
#include "tests/support/input_error.h"
#include "tests/support/temporary_folder.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

class CellStoreTest : public testing::Test {
 protected:
  CellStoreTest() {
    CellRecord cell;
    cell.id = "cell";
    cell.recipe =
        MakeRecipe(*FindPreset("rtn"), {.codebook = *FindCodebook("nf4", true), .symmetric = true});
    cell.evaluation.name = "text";
    cell.evaluation.window_losses = {2.5, 2.25};
    cell.layers.push_back({.layer = "model.layers.0.mlp.up_proj"});
    store_.Write(cell);
    good_ = ReadFile(file_);
  }

  // What reading the cell says after `damage` to its object.
  std::string ErrorOf(const std::function<void(Json*)>& damage) const {
    Json json = Json::parse(good_);
    damage(&json);
    return ErrorOfText(json.dump());
  }
  std::string ErrorOfText(const std::string& text) const {
    WriteFileAtomically(file_, text);
    return InputErrorOf(folder_.path(), [&] { store_.Read("cell"); });
  }

  static std::string Damaged(const std::string& problem) {
    return "cells/cell.json: this is not a result of daq-bench, or it is damaged (" + problem +
           "): delete it and run again";
  }

  TemporaryFolder folder_;
  CellStore store_{folder_.path()};
  std::filesystem::path file_ = folder_.path() / "cells/cell.json";
  std::string good_;  // the cell's file
};

TEST_F(CellStoreTest, GivesWhatWasWritten) {
  EXPECT_TRUE(store_.IsDone("cell"));
  EXPECT_EQ(WindowLossesOf(*store_.Read("cell")), (std::vector<double>{2.5, 2.25}));
  EXPECT_FALSE(store_.Read("other"));
}

// What is not there, or of another type, would end the program in the middle of a report.
TEST_F(CellStoreTest, DamagedCellsAreNamedWithWhatIsWrong) {
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["id"] = 7; }), Damaged("id is of another type"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["id"] = "other"; }), Damaged("id is another cell's"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["metrics"] = Json::object(); }),
            Damaged("metrics is not one metric"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["metrics"]["text"]["window_losses"].push_back(1); }),
            Damaged("metrics.window_losses is not one number for each of its windows"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["metrics"]["text"]["window_losses"][1] = "a"; }),
            Damaged("metrics.window_losses is not one number for each of its windows"));
  for (const Json& wrong : {Json(7), Json({0}), Json({1, 1}), Json({1, 0}), Json({0, 0.5})})
    EXPECT_EQ(
        ErrorOf([&](Json* json) { (*json)["metrics"]["text"]["window_indices"] = wrong; }),
        Damaged("metrics.window_indices is not one number for each of its windows, increasing"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["metrics"]["text"]["kl_mean"] = "a"; }),
            Damaged("metrics.kl_mean is of another type"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["status"] = "failed"; }),
            Damaged("error is not there"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["peak_rss_bytes"] = 1e300; }),
            Damaged("peak_rss_bytes is of another type"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["seconds"].erase("evaluate"); }),
            Damaged("seconds.evaluate is not there"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["calibration"] = Json::object(); }),
            Damaged("calibration.protocol is not there"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["layers"][0] = 1; }),
            Damaged("layers is no list of objects"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["layers"][0]["output_error_vs_rtn"] = "a"; }),
            Damaged("layers.output_error_vs_rtn is of another type"));
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["recipe"].erase("format"); }),
            Damaged("recipe.format is not there"));
  EXPECT_EQ(ErrorOfText("[1]"), Damaged("it is no object"));
}

// A report copies and prints what it reads, level by level on the stack.
TEST_F(CellStoreTest, RefusesDeepNesting) {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  const std::string message =
      ErrorOfText(good_.substr(0, good_.rfind('}')) + ", \"more\": " + deep + "}");
  EXPECT_NE(message.find("nested deeper than 64"), std::string::npos) << message;
}

}  // namespace
}  // namespace daq
