#include "harness/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include "base/sha256.h"
#include "eval/block_weights.h"
#include "eval/calibration.h"
#include "eval/max_windows.h"
#include "eval/model_locator.h"
#include "eval/protocols.h"
#include "harness/calibration_texts.h"
#include "harness/content_hashes.h"
#include "harness/datasets.h"
#include "harness/propagation.h"
#include "harness/recipe_json.h"
#include "harness/recipe_label.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

// A short name for a content: 96 bits of its SHA-256 keep accidents out of any number of runs.
std::string ContentId(const Json& content) { return Sha256Hex(content.dump()).substr(0, 24); }

class Resolver {
 public:
  Resolver(const ExperimentFile& file, const InputFolders& folders)
      : file_(file), folders_(folders), calibration_texts_(file) {}

  Workload Resolve() {
    for (const Experiment& point : file_.points) {
      Attempt([&] { AddPoint(point); });
    }
    // Full precision first: the others are compared with it, and a wrong text or checkpoint shows
    // before hours are spent.
    std::stable_partition(work_.cells.begin(), work_.cells.end(), [&](const Cell& cell) {
      return work_.arms[cell.arm].recipe.full_precision;
    });
    return std::move(work_);
  }

 private:
  // Runs `step`; a wrong input becomes a line of `problems` (once, though many points may share
  // it).
  template <typename Step>
  void Attempt(const Step& step) {
    try {
      step();
    } catch (const InputError& error) {
      if (std::find(work_.problems.begin(), work_.problems.end(), error.what()) ==
          work_.problems.end()) {
        work_.problems.emplace_back(error.what());
      }
    }
  }

  void AddPoint(const Experiment& point) {
    std::optional<std::size_t> found;
    Attempt([&] { found = point.model_place.Explain([&] { return FindModel(point); }); });
    if (!found) {
      CheckFiles(point);
      return;
    }
    const std::size_t model = *found;
    std::vector<std::size_t> evaluations;
    for (const EvaluationRequest& request : point.evaluations) {
      Attempt([&] { evaluations.push_back(FindEvaluation(model, request)); });
    }
    std::optional<std::size_t> held_out;
    if (point.held_out) Attempt([&] { held_out = FindCalibration(model, *point.held_out); });
    if (point.held_out && !held_out) return;
    for (const RecipeRequest& request : point.recipes) {
      Attempt([&] { AddArm(model, request, held_out, evaluations); });
    }
  }

  // Without the model no text can be tokenised, but which ones are missing can be said at once.
  void CheckFiles(const Experiment& point) {
    for (const EvaluationRequest& request : point.evaluations)
      Attempt([&] { FileOf(request.source); });
    for (const RecipeRequest& request : point.recipes) {
      if (request.calibration) Attempt([&] { FileOf(request.calibration->source); });
    }
    if (point.held_out) Attempt([&] { FileOf(point.held_out->source); });
  }

  std::size_t FindModel(const Experiment& point) {
    for (std::size_t i = 0; i < work_.models.size(); ++i) {
      if (work_.models[i]->name == point.model) return i;
    }
    if (failed_models_.contains(point.model)) throw InputError(failed_models_.at(point.model));
    try {
      Checkpoint checkpoint(LocateModel(point.model, file_.path.parent_path()));
      std::string hash = ContentHashOf(checkpoint, folders_.results);
      work_.models.push_back(
          std::make_unique<ModelInput>(ModelInput{.name = point.model,
                                                  .checkpoint = std::move(checkpoint),
                                                  .content_hash = std::move(hash),
                                                  .place = point.model_place}));
    } catch (const InputError& error) {
      failed_models_.emplace(point.model, error);
      throw;
    }
    return work_.models.size() - 1;
  }

  // Null for `ids`, which holds tokens already.
  const Tokenizer* TokenizerOf(std::size_t model, std::string_view protocol) {
    if (protocol == "ids") return nullptr;
    auto found = tokenizers_.find(model);
    if (found == tokenizers_.end()) {
      const ModelInput& input = *work_.models[model];
      const auto read = [&] { return Tokenizer(input.checkpoint.folder()); };
      found = tokenizers_.emplace(model, input.place.Explain(read)).first;
    }
    return &found->second;
  }

  // Throws InputError if it is not there.
  std::filesystem::path FileOf(const TextSource& source) const {
    return source.place.Explain([&] {
      if (source.file.empty())
        return FindDatasetFile(Datasets(), source.dataset, source.dataset_file, folders_.data);
      if (!std::filesystem::exists(source.file))
        throw InputError({source.file.string()}, std::strerror(ENOENT));
      return source.file;
    });
  }

  TokenWindows ReadWindows(std::size_t model, const EvaluationRequest& request) {
    const std::filesystem::path file = FileOf(request.source);
    const Tokenizer* tokenizer = TokenizerOf(model, request.protocol);
    try {
      return MakeEvaluationWindows({.protocol = request.protocol,
                                    .file = file,
                                    .window_tokens = request.window_tokens,
                                    .max_windows = request.max_windows},
                                   tokenizer, work_.models[model]->checkpoint.config().vocab_size);
    } catch (const MaxWindowsError& error) {
      throw InputError(request.max_windows_place.where, request.max_windows_place.path,
                       error.expected(), std::to_string(*request.max_windows));
    } catch (const InputError& error) {
      throw request.source.place.Before(error);
    }
  }

  std::size_t FindEvaluation(std::size_t model, const EvaluationRequest& request) {
    for (std::size_t i = 0; i < work_.evaluations.size(); ++i) {
      if (evaluation_models_[i] == model && work_.evaluations[i].request == request) return i;
    }
    EvaluationInput input{
        .request = request, .windows = ReadWindows(model, request), .column = FindColumn(request)};
    const Index longest = work_.models[model]->checkpoint.config().max_position_embeddings;
    if (longest > 0 && input.windows.window_tokens > longest) {
      work_.warnings.push_back(
          fmt::format("{}: {}: windows of {} tokens exceed the {} positions the model was made for",
                      file_.path.string(), request.name, input.windows.window_tokens, longest));
    }
    // Its order is part of what is evaluated; hashes stay those of the text's own.
    if (request.stop_when) input.windows = input.windows.InOrder(StopOrder(input.windows.count()));
    work_.evaluations.push_back(std::move(input));
    evaluation_models_.push_back(model);
    return work_.evaluations.size() - 1;
  }

  // The same request for another model is the same column; a request that differs anywhere has one
  // of its own, so no column ever holds numbers of two protocols.
  std::size_t FindColumn(const EvaluationRequest& request) {
    const auto found = std::find(column_requests_.begin(), column_requests_.end(), request);
    if (found != column_requests_.end())
      return static_cast<std::size_t>(found - column_requests_.begin());
    const bool name_taken =
        std::any_of(column_requests_.begin(), column_requests_.end(),
                    [&](const EvaluationRequest& other) { return other.name == request.name; });
    column_requests_.push_back(request);
    work_.columns.push_back(name_taken
                                ? fmt::format("{} ({} tokens)", request.name, request.window_tokens)
                                : request.name);
    return work_.columns.size() - 1;
  }

  std::size_t FindCalibration(std::size_t model, const CalibrationRequest& request) {
    for (std::size_t i = 0; i < work_.calibrations.size(); ++i) {
      if (calibration_models_[i] == model && work_.calibrations[i].request == request) return i;
    }
    const std::filesystem::path file = FileOf(request.source);
    const Tokenizer* tokenizer = TokenizerOf(model, request.protocol);
    TokenWindows windows = calibration_texts_.Windows(
        work_.models[model]->name, request, [&](const CalibrationRequest& largest) {
          return MakeCalibrationWindows({.protocol = largest.protocol,
                                         .file = file,
                                         .windows = largest.windows,
                                         .documents = largest.documents,
                                         .window_tokens = largest.window_tokens,
                                         .seed = largest.seed},
                                        tokenizer,
                                        work_.models[model]->checkpoint.config().vocab_size);
        });
    work_.calibrations.push_back({.request = request, .windows = std::move(windows)});
    calibration_models_.push_back(model);
    return work_.calibrations.size() - 1;
  }

  // The same ids cut into windows of another length are other inputs.
  Json WindowsContent(std::size_t calibration) const {
    const TokenWindows& windows = work_.calibrations[calibration].windows;
    return {{"ids", windows.ids_sha256}, {"window_tokens", windows.window_tokens}};
  }

  void AddArm(std::size_t model, const RecipeRequest& request, std::optional<std::size_t> held_out,
              const std::vector<std::size_t>& evaluations) {
    const ModelInput& input = *work_.models[model];
    const Recipe& recipe = request.recipe;
    if (!recipe.full_precision) CheckGroups(input.checkpoint.config(), request);
    std::optional<std::size_t> calibration;
    if (request.calibration) calibration = FindCalibration(model, *request.calibration);
    const bool depends = NeedsCalibration(recipe);
    DAQ_CHECK(!depends || calibration, "checked where the recipe was read");
    Json content = ArmContent(model, recipe, depends ? WindowsContent(*calibration) : Json());
    if (recipe.full_precision) held_out.reset();
    if (held_out) content["held_out"] = WindowsContent(*held_out);
    // What determines the quantised model, whatever its layer reports are measured on.
    const auto [known, is_new] = arms_of_.try_emplace({model, content.dump()}, work_.arms.size());
    if (is_new) {
      // The layer reports look at the calibration text even where the recipe does not.
      if (!depends && !recipe.full_precision && calibration) {
        content["reported_on"] = WindowsContent(*calibration);
        content["reported_on"]["propagate"] = PropagationName(recipe.propagation);
      }
      const std::string id = ContentId(content);
      std::string description = RecipeLabel(recipe);
      if (depends) description += " " + CalibrationLabel(work_.calibrations[*calibration]);
      work_.arms.push_back({.model = model,
                            .calibration = calibration,
                            .held_out = held_out,
                            .recipe = recipe,
                            .id = id,
                            .description = description});
    }
    for (const std::size_t evaluation : evaluations) AddCell(known->second, evaluation);
  }

  void AddCell(std::size_t arm, std::size_t evaluation) {
    const EvaluationInput& input = work_.evaluations[evaluation];
    std::string id = CellId(work_.arms[arm].id, input);
    work_.places.push_back({.arm = arm, .evaluation = evaluation, .cell = id});
    const bool known = std::any_of(work_.cells.begin(), work_.cells.end(),
                                   [&](const Cell& other) { return other.id == id; });
    if (known) return;
    work_.cells.push_back({.arm = arm, .evaluation = evaluation, .id = std::move(id)});
    const std::string full_precision = CellId(FullPrecisionId(work_.arms[arm].model), input);
    if (input.request.token_metrics) work_.cells.back().reference = full_precision;
    if (input.request.stop_when) work_.cells.back().stops_against = full_precision;
  }

  // What the cell holds beside perplexity is part of its name: it is never changed once it is
  // there.
  static std::string CellId(const std::string& arm, const EvaluationInput& input) {
    Json content = {{"arm", arm},
                    {"protocol", input.request.protocol},
                    {"window_tokens", input.windows.window_tokens},
                    {"text", input.windows.text_sha256},
                    {"ids", input.windows.ids_sha256}};
    // What ids do not tell: which of them are scored, and what the loss is divided by.
    for (const ScoredRange& range : input.windows.scored)
      content["scored"].push_back({range.begin, range.end});
    if (const std::optional<TextSize>& size = input.windows.text_size)
      content["text_size"] = {size->words, size->bytes};
    if (input.request.token_metrics) content["token_metrics"] = true;
    if (const std::optional<StopRule>& rule = input.request.stop_when)
      content["stop_when"] = {{"loss_vs_fp_stderr", rule->loss_vs_fp_stderr}};
    return ContentId(content);
  }

  std::string FullPrecisionId(std::size_t model) const {
    Recipe recipe;
    recipe.full_precision = true;
    return ContentId(ArmContent(model, recipe, Json()));
  }

  Json ArmContent(std::size_t model, const Recipe& recipe, const Json& calibration) const {
    return {{"numerics", kNumericsVersion},
            {"model", work_.models[model]->content_hash},
            {"recipe", RecipeContent(recipe)},
            {"calibration", calibration}};
  }

  static void CheckGroups(const ModelConfig& config, const RecipeRequest& request) {
    for (const LinearLayer layer : kLinearLayers) {
      const Index in_features = LinearLayerShape(config, layer).in_features;
      const Index group = request.recipe.format.group_size;
      if (group == 0 || in_features % group == 0) continue;
      throw InputError(request.format_place.where, request.format_place.path + ".group",
                       fmt::format("a divisor of {}, the in_features of {}", in_features,
                                   LinearLayerName(layer)),
                       std::to_string(group));
    }
  }

  const ExperimentFile& file_;
  const InputFolders& folders_;
  CalibrationTexts calibration_texts_;
  Workload work_;
  std::map<std::string, InputError> failed_models_;
  std::map<std::size_t, Tokenizer> tokenizers_;
  std::vector<std::size_t> evaluation_models_;
  std::vector<std::size_t> calibration_models_;
  std::map<std::pair<std::size_t, std::string>, std::size_t> arms_of_;  // by model and content
  std::vector<EvaluationRequest> column_requests_;
};

std::string FileName(const CalibrationInput& input) {
  return std::filesystem::path(input.windows.source).filename().string();
}

}  // namespace

std::string CalibrationLabel(const CalibrationInput& input) {
  const CalibrationRequest& request = input.request;
  const CalibrationProtocol* protocol = FindCalibrationProtocol(request.protocol);
  DAQ_CHECK(protocol != nullptr, request.protocol);
  std::string differs;
  if (request.source.dataset.empty() || request.source.dataset != protocol->dataset ||
      request.source.dataset_file != protocol->dataset_file) {
    differs = FileName(input);
  }
  if (request.seed != protocol->seed) {
    differs.append(fmt::format("{}seed {}", differs.empty() ? "" : ", ", *request.seed));
  }
  return fmt::format("{} {}x{}{}", request.protocol, input.windows.count(),
                     input.windows.window_tokens,
                     differs.empty() ? "" : fmt::format(" ({})", differs));
}

CalibrationRecord MakeCalibrationRecord(const CalibrationInput& input) {
  return {.protocol = input.request.protocol,
          .dataset = FileName(input),
          .windows = input.windows.count(),
          .window_tokens = input.windows.window_tokens,
          .documents = input.request.documents,
          .seed = input.request.seed,
          .text_sha256 = input.windows.text_sha256,
          .ids_sha256 = input.windows.ids_sha256};
}

Workload ResolveWorkload(const ExperimentFile& experiment, const InputFolders& folders) {
  return Resolver(experiment, folders).Resolve();
}

}  // namespace daq
