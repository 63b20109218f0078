#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/matrix.h"
#include "harness/config_place.h"
#include "harness/stop_rule.h"
#include "methods/recipe.h"

namespace daq {

// Which file a protocol reads: one given in the config (relative to the config's folder), or the
// named file of a dataset entry, looked up when the run starts.
struct TextSource {
  std::filesystem::path file = {};  // empty: the dataset's file below
  std::string dataset = {};         // an entry of the dataset table; empty where `file` is given
  std::string dataset_file = {};    // one of that entry's files
  ConfigPlace place = {};           // which names it, or what it is the text of

  bool operator==(const TextSource&) const = default;
};

// The calibration text of a recipe, for the parts and reports that look at a layer's inputs.
struct CalibrationRequest {
  std::string protocol;  // an id of CalibrationProtocols(); the keys that it has are set
  TextSource source;
  std::optional<Index> windows = {};      // >= 1; empty where they follow from `documents`
  std::optional<Index> documents = {};    // >= 1
  Index window_tokens = 512;              // >= 2; for `ids` the file has its own
  std::optional<std::int64_t> seed = {};  // >= 0; empty: nothing is drawn at random
  ConfigPlace windows_place = {};         // of `windows`, or of the whole where it is not given

  bool operator==(const CalibrationRequest&) const = default;
};

// One evaluation of a config.
struct EvaluationRequest {
  std::string
      name;  // the key of its metrics and the table's column; the protocol's id unless given
  std::string protocol;  // an id of EvaluationProtocols()
  TextSource source;
  Index window_tokens = 2048;  // the protocol's own, unless given
  std::optional<Index> max_windows = {};
  ConfigPlace max_windows_place = {};  // where it is given
  bool token_metrics = false;          // also compare each token's prediction with full precision's
  std::optional<StopRule> stop_when = {};  // empty: all windows

  bool operator==(const EvaluationRequest&) const = default;
};

// A recipe, what it is calibrated on, and where the config has its format.
struct RecipeRequest {
  Recipe recipe;
  std::optional<CalibrationRequest> calibration = {};  // empty: none; always so for full precision
  ConfigPlace format_place = {};
};

// What a row or a column of a table may stand for.
enum class ReportField {
  kModel,
  kMethod,
  kFormat,       // the code book
  kSymmetry,     // whether grids have a zero-point
  kGranularity,  // how many weights share a scale
  kCalibration,
  kEvaluation
};

// How a report arranges an experiment's numbers, where the config says it.
struct ReportLayout {
  // Which numbers stand out among those of one column, model and evaluation.
  enum class Bold { kNone, kBest, kNotWorse };

  // What stands beside a number that has it.
  enum class Error { kNone, kStandardError, kInterval };

  std::vector<ReportField> rows;
  std::vector<ReportField> columns;
  std::vector<std::string> values = {"perplexity"};  // of ReportValues(), a column each
  Error error = Error::kNone;
  Bold bold = Bold::kNotWorse;
  bool published = false;  // published values behind the measured ones
  FileLocation where;
};

// One point of a config's sweep (a config without a sweep has one point).
struct Experiment {
  std::vector<std::pair<std::string, std::string>>
      sweep_point;  // key and value, in the order of the file
  std::string
      model;  // a folder (relative to the config's folder, or absolute) or a Hugging Face id
  ConfigPlace model_place = {};
  std::vector<EvaluationRequest> evaluations;
  std::vector<RecipeRequest> recipes;
  std::optional<CalibrationRequest> held_out = {};  // for layer reports only
};

// A config file, read and checked, every default filled in.
struct ExperimentFile {
  std::string name;  // the file's stem: names its folder below the results
  std::filesystem::path path;
  std::optional<std::uint64_t> memory_budget_bytes;
  std::vector<Experiment> points;
  std::optional<ReportLayout> report = {};
};

// Reads a config strictly (configs/README.md has every key). Throws InputError with file, line,
// key, expected and found for an unknown, duplicate, missing or mistyped key or value, and names
// the nearest known one.
ExperimentFile ReadExperimentFile(const std::filesystem::path& path);

}  // namespace daq
