// Configs: YAML, the recipes and texts in it, sweeps.
#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "harness/explain.h"
#include "harness/parse_experiment.h"
#include "tests/fuzz/fuzz_target.h"

namespace daq {

FuzzTarget ConfigTarget();

namespace {

namespace fs = std::filesystem;

void ReadConfig(std::string_view bytes) {
  const ExperimentFile file = ParseExperiment(bytes, "/fuzz/config.yaml");
  // What is said of every point, where that is little work.
  if (file.points.size() <= 2) Explain(file);
}

// The project's configs that are read fast, and one with everything that they leave out.
std::vector<std::string> Configs() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(DAQ_SOURCE_DIR) / "configs")) {
    if (entry.path().extension() == ".yaml" && entry.path().filename() != "datasets.yaml")
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());  // the file system's order is not everywhere the same
  std::vector<std::string> configs = {
      "model: m\nevaluate: [{protocol: ids, file: a.json, max_windows: 3}]\nrecipes: [fp16]\n",
      "model: m\nmemory_budget: 12GiB\n"
      "evaluate: [{protocol: gptq-wikitext2, file: a.txt, window_tokens: 64, name: x}]\n"
      "calibration: {protocol: daq, windows: 2, seed: 3}\nheld_out: none\n"
      "recipes:\n  - {range: {name: clip}, rounding: gptq, transform: awq_scale,\n"
      "     format: {codebook: {name: my3, values: [-1, 0, 1e-3]}, group: 64, symmetric: true}}\n"
      "  - {method: gptq, format: {codebook: int4, group: channel}, calibration: authors}\n"
      "sweep:\n  recipes.format.group: [32, 64]\n  evaluate.window_tokens: [32, 64]\n"
      "report: {rows: [method], columns: [format, evaluation, granularity], bold: best}\n"};
  for (const fs::path& file : files) {
    if (ReadExperimentFile(file).points.size() <= 2) configs.push_back(ReadFile(file));
  }
  return configs;
}

}  // namespace

FuzzTarget ConfigTarget() {
  return {.name = "config",
          .run = ReadConfig,
          .seeds = Configs(),
          .words = {"model: m\n",
                    "recipes:\n",
                    "sweep:\n",
                    "  - ",
                    "&a ",
                    "*a",
                    "<<: ",
                    "!!int ",
                    "---\n",
                    "%YAML 1.2\n",
                    "? ",
                    "| ",
                    "> ",
                    "~",
                    "yes",
                    ".nan",
                    "0x10",
                    "010",
                    "recipes.format: [nf4, nf3]\n",
                    "method: daq",
                    "fp16",
                    "channel",
                    "values: [",
                    "12GiB",
                    "999999999TiB",
                    "protocol: ids"}};
}

}  // namespace daq
