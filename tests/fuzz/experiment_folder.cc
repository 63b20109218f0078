#include "tests/fuzz/experiment_folder.h"

#include "base/sha256.h"
#include "harness/cell_store.h"
#include "harness/inspect.h"
#include "harness/report.h"
#include "harness/run.h"
#include "methods/registry.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

constexpr const char* kConfig = "model: m\n";

CellRecord MakeCell(const std::string& method, Index windows) {
  CellRecord cell;
  cell.id = method;
  cell.model = "m";
  cell.model_sha256 = Sha256Hex("model");
  cell.model_dtype = "F16";
  cell.recipe.method = method;
  cell.recipe.full_precision = method == "fp16";
  const CalibrationRecord text{.protocol = "daq",
                               .dataset = "text.txt",
                               .windows = 2,
                               .window_tokens = 512,
                               .seed = 3,
                               .ids_sha256 = Sha256Hex("ids")};
  if (!cell.recipe.full_precision) {
    cell.recipe = MakeRecipe(*FindPreset(method),
                             {.codebook = *FindCodebook("nf4", true), .symmetric = true});
    cell.calibration = text;
    cell.held_out = text;
    cell.bits_per_weight = 4.25;
    for (const char* layer : {"0.mlp.up_proj", "1.mlp.up_proj"})
      cell.layers.push_back({.layer = std::string("model.layers.") + layer,
                             .output_mse = 0.5,
                             .output_error_vs_rtn = 0.75,
                             .held_out_error_vs_rtn = 0.875,
                             .diagnostics = {{"daq.loss_after", 0.25}}});
  }
  cell.evaluation = {.name = "text",
                     .protocol = "gptq-wikitext2",
                     .dataset = "text.txt",
                     .window_tokens = 8,
                     .text_sha256 = Sha256Hex("text"),
                     .ids_sha256 = Sha256Hex("ids"),
                     .tokens = 7 * windows,
                     .window_losses = std::vector<double>(static_cast<std::size_t>(windows), 2.5),
                     .token_metrics = true};
  cell.evaluation.window_losses.front() = method == "fp16" ? 2.0 : 2.25;
  if (!cell.recipe.full_precision) cell.evaluation.comparison = TokenComparison{.kl_mean = 0.125};
  cell.host = {
      {"processor", "p"}, {"threads", 2}, {"system", "s"}, {"compiler", "c"}, {"blas", "b"}};
  cell.version = "0.1.0";
  return cell;
}

}  // namespace

ExperimentResults::ExperimentResults(Index windows)
    : experiment_{.name = "x",
                  .path = WriteText(folder_.path(), "x.yaml", kConfig),
                  .memory_budget_bytes = {},
                  .points = {}} {
  manifest_.config_sha256 = Sha256Hex(kConfig);
  manifest_.columns = {{.title = "text",
                        .protocol = "gptq-wikitext2",
                        .text = "text.txt",
                        .window_tokens = 8,
                        .as_published = true}};
  for (const char* method : {"fp16", "rtn", "daq"}) {
    const CellRecord cell = MakeCell(method, windows);
    CellStore(folder()).Write(cell);
    const bool fp = cell.recipe.full_precision;
    // A model of which values are published.
    Manifest::Row& row =
        manifest_.rows.emplace_back(MakeManifestRow("llama-7b", cell.model_dtype, cell.recipe));
    row.calibration = fp ? "" : "daq 2x512 seed 3";
    row.held_out = fp ? "" : "daq 2x512 seed 4";
    row.cells = {method};
  }
  WriteManifest(manifest_, folder());
}

void ReportSomehow(const ExperimentResults& results, const Manifest& manifest, std::size_t choice) {
  ExperimentFile experiment = results.experiment();
  const auto report = [&](ReportFormat format, const std::string& against) {
    Report(experiment, manifest, results.folder(), {.format = format, .against = against});
  };
  switch (choice % 6) {
    case 0:
      return report(ReportFormat::kMarkdown, "");
    case 1:
      return report(ReportFormat::kCsv, "fp16");
    case 2:
      return report(ReportFormat::kJson, "rtn");
    case 3:
      return report(ReportFormat::kLatex, "");
    case 4: {
      experiment.report = ReportLayout{
          .rows = {ReportField::kMethod},
          .columns = {ReportField::kFormat, ReportField::kEvaluation},
          .bold = choice % 12 < 6 ? ReportLayout::Bold::kBest : ReportLayout::Bold::kNotWorse,
          .published = true,
          .where = {}};
      return report(ReportFormat::kMarkdown, "");
    }
    default:
      RunOptions options;
      options.results = results.all_results();
      InspectResults(experiment, options);
  }
}

}  // namespace daq
