#include "harness/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "eval/json_file.h"
#include "harness/arm_family.h"
#include "harness/cell_store.h"
#include "harness/density_plot.h"
#include "harness/diagnostics_table.h"
#include "harness/folder_lock.h"
#include "harness/manifest.h"
#include "harness/nearest_name.h"
#include "harness/report_json.h"
#include "harness/text_table.h"
#include "methods/quantize_layer.h"

namespace daq {
namespace {

// A folder that goes away with this.
class WorkFolder {
 public:
  explicit WorkFolder(std::filesystem::path path) : path_(std::move(path)) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~WorkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct LayerPlace {
  Index block = 0;
  LinearLayer layer = LinearLayer::kQuery;
};

LayerPlace FindLayer(const ModelConfig& config, const std::string& name) {
  constexpr std::string_view kPrefix = "model.layers.";
  const std::string full = name.starts_with(kPrefix) ? name : fmt::format("{}{}", kPrefix, name);
  std::vector<std::string> names;
  for (Index block = 0; block < config.num_layers; ++block) {
    for (const LinearLayer layer : kLinearLayers) {
      if (full == LinearLayerName(block, layer)) return {.block = block, .layer = layer};
      names.push_back(LinearLayerName(block, layer));
    }
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  throw InputError({}, "--layer",
                   fmt::format("a linear layer of the model's {} blocks, such as {}",
                               config.num_layers, names.front()),
                   fmt::format("\"{}\"{}", name, DidYouMean(full, views)));
}

// "0.123", or nothing for what was not measured.
std::string Number(const std::optional<double>& value, int digits = 4) {
  return value ? fmt::format("{:.{}g}", *value, digits) : "";
}

// Sums of reports, to average them.
struct Average {
  static constexpr std::array kOptional = {&LayerReport::output_relative_error,
                                           &LayerReport::output_error_vs_rtn,
                                           &LayerReport::held_out_error_vs_rtn};
  double count = 0;
  LayerReport sum;  // its diagnostics and what kOptional names are means already
  std::array<double, kOptional.size()> optional_counts{};
  std::map<std::string, double> diagnostic_counts;

  void Add(const LayerReport& report) {
    ++count;
    sum.weight_mse += report.weight_mse;
    sum.clipped_share += report.clipped_share;
    sum.code_entropy_bits += report.code_entropy_bits;
    sum.dense_center += report.dense_center;
    sum.dense_width += report.dense_width;
    sum.range_center += report.range_center;
    sum.range_width += report.range_width;
    for (std::size_t i = 0; i < kOptional.size(); ++i) {
      if (const std::optional<double>& value = report.*kOptional[i]) {
        if (!(sum.*kOptional[i])) sum.*kOptional[i] = 0;
        AddToMean(*value, &*(sum.*kOptional[i]), &optional_counts[i]);
      }
    }
    for (const auto& [name, value] : report.diagnostics)
      AddToMean(value, &sum.diagnostics[name], &diagnostic_counts[name]);
  }

  std::vector<std::string> Cells() const {
    const auto mean = [&](double value) { return Number(value / count); };
    return {mean(sum.weight_mse),
            Number(sum.output_relative_error),
            Number(sum.output_error_vs_rtn),
            Number(sum.held_out_error_vs_rtn),
            fmt::format("{:.2f}", 100 * sum.clipped_share / count),
            fmt::format("{:.3f}", sum.code_entropy_bits / count),
            mean(sum.dense_center),
            mean(sum.dense_width),
            mean(sum.range_center),
            mean(sum.range_width)};
  }

 private:
  static void AddToMean(double value, double* mean, double* count) {
    *mean += (value - *mean) / ++*count;
  }
};

void AddReportColumns(TextTable* table) {
  for (const char* title :
       {"weight mse", "output error", "vs rtn", "held out vs rtn", "clipped %", "entropy bits",
        "dense center", "dense width", "range center", "range width"})
    table->AddColumn(title, TextTable::kRight);
}

constexpr std::string_view kLegend =
    "output error: squared error of the layer's outputs on the calibration tokens over their "
    "square; "
    "vs rtn: over that of round to nearest in the same format. Behind a transform, weights are the "
    "rewritten ones. docs/methods.md defines every column.\n";

// What parts say of themselves, behind the first table.
std::string DiagnosticsText(const DiagnosticsTable& diagnostics) {
  const std::string text = diagnostics.ToMarkdown();
  return text.empty() ? "" : fmt::format("\n## What the parts say of their work\n\n{}\n", text);
}

// The values that one row of a matrix can take, of all its groups.
std::vector<double> CodesOf(const QuantizedMatrix& matrix, Index row) {
  std::vector<double> positions;
  for (Index group = 0; group < matrix.grid.scale.cols(); ++group) {
    const auto scale = static_cast<double>(matrix.grid.scale(row, group));
    const auto zero_point = static_cast<double>(matrix.grid.zero_point(row, group));
    for (const float value : matrix.format.codebook.values)
      positions.push_back((static_cast<double>(value) - zero_point) * scale);
  }
  return positions;
}

// Quantises a block with the arms, and those before it that they are calibrated behind.
void QuantizeArms(const Workload& work, const std::vector<const Arm*>& arms, Index block,
                  const Stage& stage) {
  for (const ArmFamily& family : FamiliesOf(work, arms)) {
    std::vector<QuantizeJob> jobs = JobsOf(work, family, stage.work_folder);
    QuantizeModel(work.models[arms.front()->model]->checkpoint, family.texts,
                  {.first = block, .end = block + 1}, &jobs, stage);
    for (const QuantizeJob& job : jobs) {
      if (!job.error.empty())
        throw std::runtime_error(fmt::format("{}: {}", job.description, job.error));
    }
  }
}

// A layer of a finished cell in `folder`.
LayerReport LayerOf(const nlohmann::ordered_json& json, const std::filesystem::path& folder) {
  try {
    return LayerReportFromJson(json);
  } catch (const nlohmann::ordered_json::exception&) {
    throw InputError({(folder / "cells").string()},
                     fmt::format("the report of {} in a cell is damaged: delete that cell and run "
                                 "again",
                                 DescribeName(json.at("layer").get<std::string>())));
  }
}

}  // namespace

std::string InspectLayer(const ExperimentFile& experiment, const RunOptions& options,
                         const InspectRequest& request) {
  const Workload work =
      ResolveWorkload(experiment, {.data = options.data, .results = options.results});
  RefuseProblems(work);
  if (work.models.size() != 1) {
    throw InputError({experiment.path.string()}, "model", "one model, whose layer is to be shown",
                     std::to_string(work.models.size()));
  }
  const Checkpoint& checkpoint = work.models.front()->checkpoint;
  const ModelConfig& config = checkpoint.config();
  const LayerPlace place = FindLayer(config, request.layer);
  const std::string name = LinearLayerName(place.block, place.layer);
  const MatrixShape shape = LinearLayerShape(config, place.layer);
  if (request.row < 0 || request.row >= shape.out_features) {
    throw InputError({}, "--row",
                     fmt::format("an output channel of {}, 0 to {}", name, shape.out_features - 1),
                     std::to_string(request.row));
  }
  std::vector<const Arm*> arms;
  for (const Arm& arm : work.arms) {
    if (!arm.recipe.full_precision) arms.push_back(&arm);
  }
  const std::filesystem::path folder = ExperimentFolder(experiment, options.results);
  const FolderLock lock(folder / "inspect", FolderLock::Kind::kAlone);
  const WorkFolder work_folder(folder / "inspect" / "blocks");
  ThreadPool pool(options.threads);
  const MachineRates rates =
      options.quiet ? MachineRates{} : KeptRates(RatesFile(), &pool);  // quiet: not looked at
  Progress progress(rates.Seconds(QuantizeWorkOf(work, FamiliesOf(work, arms), place.block + 1)),
                    options.quiet);
  QuantizeArms(work, arms, place.block,
               {.pool = &pool,
                .progress = &progress,
                .rates = rates,
                .work_folder = work_folder.path(),
                .save_interval = options.save_interval,
                .memory_budget_bytes = options.memory_budget_bytes});

  VectorF weights(shape.in_features);
  checkpoint.ReadRows(name + ".weight", request.row,
                      Eigen::Map<MatrixF>(weights.data(), 1, weights.size()));
  DensityPlot plot{.title = fmt::format("{}, output channel {}", name, request.row),
                   .weights = {weights.data(), static_cast<std::size_t>(weights.size())},
                   .recipes = {}};
  TextTable table;
  table.AddColumn("recipe", TextTable::kLeft);
  AddReportColumns(&table);
  DiagnosticsTable diagnostics({"recipe"}, {"value"});
  std::string notes;
  for (const Arm* arm : arms) {
    const QuantizedStore store(work_folder.path() / arm->id);
    Average average;
    average.Add(store.ReadReport(place.block).layers[static_cast<std::size_t>(place.layer)]);
    std::vector<TextCell> cells = {arm->description};
    std::ranges::move(average.Cells(), std::back_inserter(cells));
    table.AddRow(std::move(cells));
    diagnostics.Add({arm->description}, {average.sum.diagnostics});
    if (!MakeParts(arm->recipe).transform->is_identity()) {
      notes.append(
          fmt::format("not drawn: {}: its codes stand for other weights in each column, which its "
                      "transform scaled by a factor of its own\n",
                      arm->description));
      continue;
    }
    plot.recipes.push_back({.label = arm->description,
                            .values = CodesOf(store.ReadBlock(place.block, checkpoint.config())
                                                  .layers[static_cast<std::size_t>(place.layer)],
                                              request.row)});
  }
  const std::filesystem::path file = request.plot.empty() ? folder / (name + ".svg") : request.plot;
  WriteFileAtomically(file, DrawDensityPlot(plot));
  return fmt::format("# {}, {} x {}\n\n{}\n{}{}{}plot: {}\n", name, shape.out_features,
                     shape.in_features, table.ToMarkdown(), kLegend, DiagnosticsText(diagnostics),
                     notes, file.string());
}

std::string InspectResults(const ExperimentFile& experiment, const RunOptions& options) {
  const std::filesystem::path folder = ExperimentFolder(experiment, options.results);
  const Manifest manifest = ReadManifest(experiment, folder);
  const CellStore store(folder);
  TextTable table;
  for (const char* title : {"model", "recipe", "layer"}) table.AddColumn(title, TextTable::kLeft);
  AddReportColumns(&table);
  std::vector<std::string> kinds;
  for (const LinearLayer layer : kLinearLayers) kinds.emplace_back(LinearLayerName(layer));
  DiagnosticsTable diagnostics({"model", "recipe"}, kinds);
  bool any = false;
  for (const Manifest::Row& row : manifest.rows) {
    std::optional<nlohmann::ordered_json> cell;
    for (const std::string& id : row.cells) {
      if (!id.empty() && store.IsDone(id)) cell = store.Read(id);
    }
    if (row.full_precision || !cell) continue;
    any = true;
    std::map<std::string_view, Average> by_kind;
    for (const nlohmann::ordered_json& json : cell->at("layers")) {
      const LayerReport report = LayerOf(json, folder);
      for (const LinearLayer layer : kLinearLayers) {
        if (report.layer.ends_with(LinearLayerName(layer)))
          by_kind[LinearLayerName(layer)].Add(report);
      }
    }
    const std::string recipe =
        fmt::format("{} {} {}{}{}", row.method, cell->at("format").get<std::string>(),
                    cell->at("granularity").get<std::string>(), row.calibration.empty() ? "" : " ",
                    row.calibration);
    std::vector<Diagnostics> of_kinds;
    for (const LinearLayer layer : kLinearLayers) {
      const auto found = by_kind.find(LinearLayerName(layer));
      of_kinds.push_back(found == by_kind.end() ? Diagnostics{} : found->second.sum.diagnostics);
      if (found == by_kind.end()) continue;
      std::vector<TextCell> cells = {row.model, recipe, std::string(LinearLayerName(layer))};
      std::ranges::move(found->second.Cells(), std::back_inserter(cells));
      table.AddRow(std::move(cells));
    }
    diagnostics.Add({row.model, recipe}, of_kinds);
  }
  if (!any) {
    throw InputError({folder.string()},
                     fmt::format("no finished quantised cells yet: run daq-bench {}, or name a "
                                 "layer with --layer",
                                 experiment.path.string()));
  }
  return fmt::format("Means over the blocks.\n\n{}\n{}{}", table.ToMarkdown(), kLegend,
                     DiagnosticsText(diagnostics));
}

}  // namespace daq
