#include "harness/manifest.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/sha256.h"
#include "tests/support/input_error.h"
#include "tests/support/temporary_folder.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

class ManifestTest : public testing::Test {
 protected:
  ManifestTest() {
    WriteFileAtomically(experiment_.path, "model: m\n");
    WriteManifest(
        {.config_sha256 = Sha256Hex("model: m\n"),
         .config = (folder_.path() / "x.yaml").string(),
         .columns = {{.title = "text", .protocol = "ids", .text = "w.json", .window_tokens = 8}},
         .rows = {{.model = "m",
                   .method = "rtn",
                   .format = "nf4",
                   .codebook = "nf4",
                   .symmetry = "symmetric",
                   .granularity = "channel",
                   .calibration = "",
                   .held_out = "",
                   .cells = {"cell"}}}},
        folder_.path());
  }

  std::string ErrorOf(const std::function<void(Json*)>& damage) const {
    Json json = Json::parse(good_);
    damage(&json);
    return ErrorOfText(json.dump());
  }
  std::string ErrorOfText(const std::string& text) const {
    WriteFileAtomically(file_, text);
    return InputErrorOf(folder_.path(), [&] { ReadManifest(experiment_, folder_.path()); });
  }

  TemporaryFolder folder_;
  ExperimentFile experiment_ = {
      .name = "x", .path = folder_.path() / "x.yaml", .memory_budget_bytes = {}, .points = {}};
  std::filesystem::path file_ = folder_.path() / "manifest.json";
  std::string good_;

  void SetUp() override { good_ = ReadFile(file_); }
};

TEST_F(ManifestTest, DamagedOnesAreRefused) {
  const std::string damaged =
      "manifest.json: the file is damaged: delete it and run daq-bench x.yaml";
  EXPECT_EQ(ErrorOf([](Json*) {}), "no error");
  EXPECT_EQ(ErrorOf([](Json* json) { json->erase("config"); }), "no error") << "an older one";
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["config"] = 1; }), damaged);
  // A cell more or less would be looked up beside the table.
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["rows"][0]["cells"].push_back("cell"); }), damaged);
  // What is no cell's name might lead to any file, or to none that a file system can have.
  for (const std::string& id : {std::string("../cell"), std::string(300, 'a')})
    EXPECT_EQ(ErrorOf([&](Json* json) { (*json)["rows"][0]["cells"][0] = id; }), damaged) << id;
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["columns"] = Json::array(); }), damaged);
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["columns"][0]["window_tokens"] = 1e300; }), damaged);
  EXPECT_EQ(ErrorOf([](Json* json) { (*json)["rows"][0]["method"] = 1; }), damaged);
  EXPECT_EQ(ErrorOfText(std::string(200'000, '[')), damaged);
  EXPECT_EQ(ErrorOfText("{"), damaged);
}

TEST_F(ManifestTest, AnotherConfigOfTheSameNameIsNamed) {
  const auto after = [&](const std::string& config) {
    return ErrorOf([&](Json* json) {
      (*json)["config_sha256"] = std::string(64, '0');
      (*json)["config"] = config;
    });
  };
  const std::string again =
      ": run daq-bench x.yaml (finished cells are kept, only new ones are computed)";
  EXPECT_EQ(after((folder_.path() / "x.yaml").string()),
            "x.yaml: the config changed since its last run" + again);
  EXPECT_EQ(after("/other/x.yaml"),
            "x.yaml: another config of this name was run last, /other/x.yaml" + again);
}

}  // namespace
}  // namespace daq
