#include "harness/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "eval/json_file.h"
#include "harness/authors_calibration.h"
#include "harness/cell_store.h"
#include "harness/published.h"
#include "harness/recipe_label.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFileName = "manifest.json";

std::string ConfigHash(const ExperimentFile& experiment) {
  return Sha256Hex(ReadFile(experiment.path));
}

std::string PathOf(const ExperimentFile& experiment) {
  return std::filesystem::absolute(experiment.path).lexically_normal().string();
}

[[noreturn]] void ThrowDamaged(const std::filesystem::path& file, const std::string& config) {
  throw InputError({file.string()},
                   fmt::format("the file is damaged: delete it and run daq-bench {}", config));
}

// Throws Json::type_error for what is no whole number; get<Index> would cast any other.
Index CountOf(const Json& value) {
  return static_cast<Index>(value.get_ref<const Json::number_unsigned_t&>());
}

// "wikitext2/wiki.test.raw, 512 tokens a window, the first 64 windows".
std::string TextOf(const EvaluationInput& evaluation) {
  const EvaluationRequest& request = evaluation.request;
  const TextSource& source = request.source;
  std::string text = source.file.empty() ? fmt::format("{}/{}", source.dataset, source.dataset_file)
                                         : source.file.string();
  text.append(fmt::format(", {} tokens a window", evaluation.windows.window_tokens));
  if (request.max_windows) text.append(fmt::format(", the first {} windows", *request.max_windows));
  if (request.stop_when)
    text.append(
        fmt::format(", until loss_vs_fp_stderr is {}", request.stop_when->loss_vs_fp_stderr));
  return text;
}

}  // namespace

std::vector<std::string> ModelsOf(const Manifest& manifest) {
  std::vector<std::string> models;
  for (const Manifest::Row& row : manifest.rows) {
    if (std::find(models.begin(), models.end(), row.model) == models.end())
      models.push_back(row.model);
  }
  return models;
}

std::string FormatGroup(const Manifest::Row& row) {
  return fmt::format("{} {}", row.codebook, row.granularity);
}

Manifest::Row MakeManifestRow(const std::string& model, const std::string& dtype,
                              const Recipe& recipe) {
  const Format& format = recipe.format;
  Manifest::Row row{.model = model,
                    .method = MethodLabel(recipe),
                    .format = FullPrecisionFormat(dtype),
                    .codebook = FullPrecisionFormat(dtype),
                    .symmetry = "",
                    .granularity = "none",
                    .full_precision = recipe.full_precision,
                    .calibration = "",
                    .held_out = "",
                    .cells = {}};
  if (recipe.full_precision) return row;
  row.format = FormatName(format);
  row.codebook = format.codebook.name;
  row.symmetry = format.symmetric ? "symmetric" : "asymmetric";
  row.granularity = GranularityName(format);
  return row;
}

Manifest MakeManifest(const ExperimentFile& experiment, const Workload& workload) {
  Manifest manifest{.config_sha256 = ConfigHash(experiment),
                    .config = PathOf(experiment),
                    .columns = {},
                    .rows = {}};
  manifest.columns.resize(workload.columns.size());
  for (const EvaluationInput& evaluation : workload.evaluations) {
    manifest.columns[evaluation.column] = {.title = workload.columns[evaluation.column],
                                           .protocol = evaluation.request.protocol,
                                           .text = TextOf(evaluation),
                                           .window_tokens = evaluation.windows.window_tokens,
                                           .as_published = IsAsPublished(evaluation.request)};
  }
  for (const Arm& arm : workload.arms) {
    const ModelInput& model = *workload.models[arm.model];
    Manifest::Row row = MakeManifestRow(model.name, model.checkpoint.dtype(), arm.recipe);
    if (arm.calibration && NeedsCalibration(arm.recipe)) {
      const CalibrationInput& calibration = workload.calibrations[*arm.calibration];
      row.calibration = CalibrationLabel(calibration);
      row.as_authors = FindAuthorsCalibration(arm.recipe.method) == calibration.request;
    }
    if (arm.held_out) row.held_out = CalibrationLabel(workload.calibrations[*arm.held_out]);
    row.cells.resize(manifest.columns.size());
    manifest.rows.push_back(std::move(row));
  }
  for (const Place& place : workload.places) {
    manifest.rows[place.arm].cells[workload.evaluations[place.evaluation].column] = place.cell;
  }
  return manifest;
}

void WriteManifest(const Manifest& manifest, const std::filesystem::path& folder) {
  Json json = {{"config_sha256", manifest.config_sha256},
               {"config", manifest.config},
               {"columns", Json::array()},
               {"rows", Json::array()}};
  for (const Manifest::Column& column : manifest.columns) {
    json["columns"].push_back({{"title", column.title},
                               {"protocol", column.protocol},
                               {"text", column.text},
                               {"window_tokens", column.window_tokens},
                               {"as_published", column.as_published}});
  }
  for (const Manifest::Row& row : manifest.rows) {
    json["rows"].push_back({{"model", row.model},
                            {"method", row.method},
                            {"format", row.format},
                            {"codebook", row.codebook},
                            {"symmetry", row.symmetry},
                            {"granularity", row.granularity},
                            {"full_precision", row.full_precision},
                            {"calibration", row.calibration},
                            {"as_authors", row.as_authors},
                            {"held_out", row.held_out},
                            {"cells", row.cells}});
  }
  WriteFileAtomically(folder / kFileName, json.dump(1) + "\n");
}

Manifest ReadManifest(const ExperimentFile& experiment, const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kFileName;
  const std::string config = experiment.path.string();
  if (!std::filesystem::exists(file)) {
    throw InputError({file.string()}, fmt::format("no results yet: run daq-bench {}", config));
  }
  Manifest manifest;
  try {
    const Json json = ParseOrderedJson(ReadFile(file), file.string());
    json.at("config_sha256").get_to(manifest.config_sha256);
    manifest.config = json.value("config", PathOf(experiment));
    for (const Json& column : json.at("columns")) {
      manifest.columns.push_back({.title = column.at("title"),
                                  .protocol = column.at("protocol"),
                                  .text = column.at("text"),
                                  .window_tokens = CountOf(column.at("window_tokens")),
                                  .as_published = column.value("as_published", false)});
    }
    for (const Json& row : json.at("rows")) {
      manifest.rows.push_back({.model = row.at("model"),
                               .method = row.at("method"),
                               .format = row.at("format"),
                               .codebook = row.at("codebook"),
                               .symmetry = row.at("symmetry"),
                               .granularity = row.at("granularity"),
                               .full_precision = row.at("full_precision"),
                               .calibration = row.at("calibration"),
                               .as_authors = row.at("as_authors"),
                               .held_out = row.at("held_out"),
                               .cells = row.at("cells")});
      const std::vector<std::string>& cells = manifest.rows.back().cells;
      const bool are_cells = std::all_of(cells.begin(), cells.end(), [](const std::string& id) {
        return id.empty() || IsCellId(id);
      });
      if (cells.size() != manifest.columns.size() || !are_cells) ThrowDamaged(file, config);
    }
  } catch (const Json::exception&) {
    ThrowDamaged(file, config);
  } catch (const InputError&) {  // no JSON
    ThrowDamaged(file, config);
  }
  if (manifest.config_sha256 != ConfigHash(experiment)) {
    const std::string what =
        manifest.config == PathOf(experiment)
            ? "the config changed since its last run"
            : fmt::format("another config of this name was run last, {}", manifest.config);
    throw InputError({config},
                     fmt::format("{}: run daq-bench {} (finished cells are kept, only new ones are "
                                 "computed)",
                                 what, config));
  }
  return manifest;
}

}  // namespace daq
