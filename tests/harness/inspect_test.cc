// What `inspect` shows is what the blocks' reports and grids hold.
#include "harness/inspect.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/blas.h"
#include "base/file.h"
#include "harness/quantize_stage.h"
#include "tests/harness/svg_plot.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

using Row = std::map<std::string, std::string>;  // title to cell

std::vector<std::string> CellsOf(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream parts(line.substr(1));
  for (std::string cell; std::getline(parts, cell, '|');) {
    const std::size_t first = cell.find_first_not_of(' ');
    cells.push_back(first == std::string::npos
                        ? ""
                        : cell.substr(first, cell.find_last_not_of(' ') - first + 1));
  }
  return cells;
}

// The rows of all Markdown tables, one table after the other.
std::vector<Row> RowsOf(const std::string& markdown) {
  std::vector<Row> rows;
  std::vector<std::string> titles;
  std::istringstream lines(markdown);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("|")) {
      titles.clear();
    } else if (titles.empty()) {
      titles = CellsOf(line);
    } else if (!line.starts_with("|--") && !line.starts_with("|:")) {
      const std::vector<std::string> cells = CellsOf(line);
      Row row;
      for (std::size_t i = 0; i < titles.size(); ++i) row[titles[i]] = cells.at(i);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

// A two-block model, two calibration windows, and recipes whose parts all have something to say.
class InspectTest : public testing::Test {
 protected:
  InspectTest() {
    SetUpBlas();
    WriteTinyCheckpoint(folder_.path() / "model", {});
    windows_.window_tokens = 64;
    nlohmann::json lists = nlohmann::json::array();
    for (int window = 0; window < 2; ++window) {
      nlohmann::json ids = nlohmann::json::array();
      for (int i = 0; i < 64; ++i) ids.push_back((window * 31 + i * i) % 64);
      for (const nlohmann::json& id : ids) windows_.ids.push_back(id.get<TokenId>());
      lists.push_back(ids);
    }
    WriteFileAtomically(folder_.path() / "w.json", nlohmann::json({{"windows", lists}}).dump());
    WriteFileAtomically(folder_.path() / "test.yaml", R"(model: model
calibration: {protocol: ids, file: w.json, windows: 2}
held_out: {protocol: ids, file: w.json, windows: 2}
evaluate: [{protocol: ids, file: w.json}]
recipes:
  - fp16
  - {method: rtn, format: nf3}
  - {range: daq, rounding: code_descent, format: {codebook: nf3, group: 16, symmetric: false}}
  - {range: daq_plus, rounding: nearest, format: nf3}
  - {range: {name: daq, stage: "1"}, rounding: nearest, format: nf2}
  - {method: awq+gptq, format: {codebook: int3, group: 16}}
)");
    experiment_ = ReadExperimentFile(folder_.path() / "test.yaml");
    options_ = {.threads = 2,
                .memory_budget_bytes = 1ULL << 30U,
                .results = folder_.path() / "results",
                .data = {},
                .quiet = true,
                .gate = false};
  }

  // The blocks of recipe `index` of the config.
  QuantizedStore Quantized(std::size_t index) {
    const Recipe& recipe = experiment_.points[0].recipes[index].recipe;
    const QuantizedStore store(folder_.path() / fmt::format("blocks{}", index));
    ThreadPool pool(1);
    Progress progress(0, /*quiet=*/true);
    std::vector<QuantizeJob> jobs = {
        {.recipe = recipe, .description = "test", .windows = 2, .store = store}};
    const Checkpoint checkpoint(folder_.path() / "model");
    QuantizeModel(checkpoint, {.calibration = &windows_, .held_out = &windows_}, {.end = 2}, &jobs,
                  {.pool = &pool,
                   .progress = &progress,
                   .work_folder = folder_.path() / "work",
                   .memory_budget_bytes = 1ULL << 30U});
    EXPECT_EQ(jobs[0].error, "");
    return store;
  }

  static constexpr LinearLayer kLayer = LinearLayer::kUp;
  static std::size_t At(LinearLayer layer) { return static_cast<std::size_t>(layer); }

  static InspectRequest Request(Index row = 0, const std::filesystem::path& plot = {}) {
    return {.layer = "1." + std::string(LinearLayerName(kLayer)), .row = row, .plot = plot};
  }

  // The rows that hold `cells`.
  static std::vector<Row> RowsWith(const std::string& markdown, const Row& cells) {
    std::vector<Row> rows = RowsOf(markdown);
    std::erase_if(rows, [&](const Row& row) {
      return !std::ranges::all_of(cells, [&](const auto& cell) {
        const auto found = row.find(cell.first);
        return found != row.end() && found->second == cell.second;
      });
    });
    return rows;
  }

  static Row ReportRow(const LayerReport& report, Row row) {
    const auto four = [](std::optional<double> value) {
      return value ? fmt::format("{:.4g}", *value) : "";
    };
    row["weight mse"] = four(report.weight_mse);
    row["output error"] = four(report.output_relative_error);
    row["vs rtn"] = four(report.output_error_vs_rtn);
    row["held out vs rtn"] = four(report.held_out_error_vs_rtn);
    row["clipped %"] = fmt::format("{:.2f}", 100 * report.clipped_share);
    row["entropy bits"] = fmt::format("{:.3f}", report.code_entropy_bits);
    row["dense center"] = four(report.dense_center);
    row["dense width"] = four(report.dense_width);
    row["range center"] = four(report.range_center);
    row["range width"] = four(report.range_width);
    return row;
  }

  // As tables call the config's recipes.
  static constexpr std::array kDescriptions = {
      "fp16",
      "rtn nf3 channel",
      "none+daq+code_descent nf3-asym group-16 ids 2x64 (w.json)",
      "none+daq_plus+nearest nf3 channel ids 2x64 (w.json)",
      "none+daq+nearest (stage=1) nf2 channel",
      "awq+gptq int3 group-16 ids 2x64 (w.json)"};

  TemporaryFolder folder_;
  TokenWindows windows_;
  ExperimentFile experiment_;
  RunOptions options_;
};

TEST_F(InspectTest, CellsAreTheBlockReports) {
  const std::string text = InspectLayer(experiment_, options_, Request());
  for (std::size_t recipe = 1; recipe < kDescriptions.size(); ++recipe) {
    SCOPED_TRACE(kDescriptions[recipe]);
    const LayerReport report = Quantized(recipe).ReadReport(1).layers[At(kLayer)];
    std::vector<Row> rows = RowsWith(text, {{"recipe", kDescriptions[recipe]}});
    ASSERT_EQ(rows.size(), 1 + report.diagnostics.size());
    EXPECT_EQ(rows[0], ReportRow(report, {{"recipe", kDescriptions[recipe]}}));
    for (std::size_t i = 1; i < rows.size(); ++i) {
      const std::string& name = rows[i].at("diagnostic");
      EXPECT_EQ(rows[i].at("value"), fmt::format("{:.6g}", report.diagnostics.at(name))) << name;
      EXPECT_NE(text.find("\n- `" + name + "`: "), std::string::npos) << name;
    }
  }
  // Each part's own, in the order of stages; what stage 1 alone does, no part measures.
  const auto names = [&](std::size_t recipe) {
    std::string joined;
    for (const Row& row : RowsWith(text, {{"recipe", kDescriptions[recipe]}}))
      joined += row.contains("diagnostic") ? row.at("diagnostic") + " " : "";
    return joined;
  };
  EXPECT_EQ(names(1), "");
  EXPECT_EQ(names(2),
            "daq.loss_minmax daq.loss_start daq.loss_end daq.iterations daq.scale_moves "
            "daq.zero_point_moves code_descent.loss_start code_descent.loss_end "
            "code_descent.changes code_descent.sweeps ");
  EXPECT_EQ(names(3),
            "daq.loss_minmax daq.loss_start daq.loss_end daq.iterations daq.scale_moves "
            "daq.zero_point_moves daq_plus.lambda daq_plus.loss_daq daq_plus.loss_end ");
  EXPECT_EQ(names(4), "");
  EXPECT_EQ(names(5),
            "awq_scale.ratio awq_scale.loss_unscaled awq_scale.loss clip.shrink clip.loss_start "
            "clip.loss_end gptq.error gptq.damp_percent gptq.dead_columns gptq.trace ");
}

TEST_F(InspectTest, TicksStandAtTheValuesOfTheStoredGrid) {
  constexpr Index kRow = 3;
  const std::filesystem::path file = folder_.path() / "plot.svg";
  const std::string text = InspectLayer(experiment_, options_, Request(kRow, file));
  const std::string svg = ReadFile(file);
  std::map<std::string, std::vector<double>> drawn;
  for (const Strip& strip : StripsOf(svg)) drawn[strip.label] = strip.values;
  EXPECT_EQ(drawn.size(), 4U);
  const ModelConfig config = Checkpoint(folder_.path() / "model").config();
  for (std::size_t recipe = 1; recipe < kDescriptions.size(); ++recipe) {
    SCOPED_TRACE(kDescriptions[recipe]);
    const bool is_scaled = experiment_.points[0].recipes[recipe].recipe.transform.name != "none";
    EXPECT_EQ(text.find(std::string("not drawn: ") + kDescriptions[recipe]) != std::string::npos,
              is_scaled);
    EXPECT_EQ(drawn.contains(kDescriptions[recipe]), !is_scaled);
    if (is_scaled) continue;
    const QuantizedMatrix matrix = Quantized(recipe).ReadBlock(1, config).layers[At(kLayer)];
    const std::vector<double>& values = drawn.at(kDescriptions[recipe]);
    const std::size_t codes = matrix.format.codebook.values.size();
    ASSERT_EQ(values.size(), codes * static_cast<std::size_t>(matrix.grid.scale.cols()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto group = static_cast<Index>(i / codes);
      const float value = matrix.format.codebook.values[i % codes];
      const float expected =
          (value - matrix.grid.zero_point(kRow, group)) * matrix.grid.scale(kRow, group);
      EXPECT_NEAR(values[i], static_cast<double>(expected), Axis(svg).Resolution());
    }
  }
}

TEST_F(InspectTest, ResultsAreMeansOverTheBlocks) {
  ASSERT_EQ(RunExperiment(experiment_, options_), RunOutcome::kDone);
  const std::string text = InspectResults(experiment_, options_);
  for (const std::size_t recipe : {2U, 5U}) {
    SCOPED_TRACE(kDescriptions[recipe]);
    std::vector<QuantizedBlockReport> blocks;
    for (const Index block : {0, 1}) blocks.push_back(Quantized(recipe).ReadReport(block));
    const std::vector<Row> rows = RowsWith(text, {{"recipe", kDescriptions[recipe]}});
    EXPECT_GT(rows.size(), kLinearLayers.size());
    for (const Row& row : rows) {
      if (!row.contains("diagnostic")) {
        const auto layer = std::ranges::find(kLinearLayers, row.at("layer"), [](LinearLayer kind) {
          return std::string(LinearLayerName(kind));
        });
        const double mean =
            (blocks[0].layers[At(*layer)].weight_mse + blocks[1].layers[At(*layer)].weight_mse) / 2;
        EXPECT_EQ(row.at("weight mse"), fmt::format("{:.4g}", mean));
        continue;
      }
      const std::string& name = row.at("diagnostic");
      for (const LinearLayer layer : kLinearLayers) {
        double sum = 0;
        double count = 0;
        for (const QuantizedBlockReport& block : blocks) {
          const Diagnostics& found = block.layers[At(layer)].diagnostics;
          if (!found.contains(name)) continue;
          sum += found.at(name);
          ++count;
        }
        EXPECT_EQ(row.at(std::string(LinearLayerName(layer))),
                  count == 0 ? "" : fmt::format("{:.6g}", sum / count))
            << name << " " << LinearLayerName(layer);
      }
    }
  }
}

}  // namespace
}  // namespace daq
