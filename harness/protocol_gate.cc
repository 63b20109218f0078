#include "harness/protocol_gate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace daq {
namespace {

std::string NameOfMetric(const std::string& protocol) {
  std::string name = PublishedMetric(protocol);
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

// What is published of full precision on an evaluation.
std::vector<const PublishedValue*> FullPrecisionValues(const std::vector<PublishedValue>& published,
                                                       const std::string& model,
                                                       const EvaluationRequest& evaluation) {
  if (!IsAsPublished(evaluation)) return {};
  return FindPublished(published, model, "fp16", "f16", "none", evaluation.protocol,
                       evaluation.window_tokens);
}

}  // namespace

std::string GateProblem(const std::vector<PublishedValue>& published, const std::string& model,
                        const EvaluationRequest& evaluation, double perplexity) {
  const std::vector<const PublishedValue*> values =
      FullPrecisionValues(published, model, evaluation);
  if (values.empty()) return "";
  const auto distance = [&](const PublishedValue* value) {
    return std::abs(perplexity / value->value - 1);
  };
  const PublishedValue* nearest =
      *std::min_element(values.begin(), values.end(),
                        [&](const auto* a, const auto* b) { return distance(a) < distance(b); });
  if (distance(nearest) <= kGateTolerance) return "";
  // Each cause shows in its own way (docs/protocols.md has numbers of them).
  const char* cause =
      perplexity > nearest->value
          ? "Likely: another text (hash above the table), a checkpoint that is not this model's or "
            "was fine-tuned, or a tokenizer that adds no BOS or another"
          : "Likely: a longer or overlapping context, a text that the model has seen, or only part "
            "of it";
  return fmt::format(
      "full precision of {} on {} has {} {:.3f}; published is {} ({}, {}), {:.1f} % off. {}. "
      "Numbers of this run would not compare with papers'. To go on nevertheless: --no-gate",
      model, evaluation.name, NameOfMetric(evaluation.protocol), perplexity, nearest->printed,
      nearest->source, nearest->table, 100 * distance(nearest), cause);
}

std::vector<std::size_t> GateCells(const Workload& work, std::size_t model) {
  std::vector<std::size_t> cells;
  for (std::size_t cell = 0; cell < work.cells.size(); ++cell) {
    const Arm& arm = work.arms[work.cells[cell].arm];
    if (arm.model == model && arm.recipe.full_precision &&
        !FullPrecisionValues(PublishedValues(), work.models[model]->name,
                             work.evaluations[work.cells[cell].evaluation].request)
             .empty())
      cells.push_back(cell);
  }
  return cells;
}

std::vector<std::size_t> OpenGateCells(const Workload& work, std::size_t model,
                                       const CellStore& store) {
  std::vector<std::size_t> open;
  for (const std::size_t cell : GateCells(work, model)) {
    if (!store.IsDone(work.cells[cell].id)) {
      open.push_back(cell);
      continue;
    }
    const EvaluationRequest& request = work.evaluations[work.cells[cell].evaluation].request;
    const std::string& name = work.models[model]->name;
    const nlohmann::ordered_json metrics = store.Read(work.cells[cell].id)->at("metrics");
    const std::string problem = GateProblem(PublishedValues(), name, request,
                                            metrics.front().at(PublishedMetric(request.protocol)));
    if (!problem.empty()) throw InputError({name}, problem);
  }
  return open;
}

std::string DescribeGate(const Workload& work) {
  if (std::none_of(work.arms.begin(), work.arms.end(),
                   [](const Arm& arm) { return arm.recipe.full_precision; }))
    return "nothing is compared with published values: no fp16 among the recipes";
  std::vector<std::string> compared;
  for (std::size_t model = 0; model < work.models.size(); ++model) {
    for (const std::size_t cell : GateCells(work, model)) {
      compared.push_back(fmt::format("{} on {}", work.models[model]->name,
                                     work.evaluations[work.cells[cell].evaluation].request.name));
    }
  }
  if (compared.empty())
    return "nothing is compared with published values: there is none of fp16 here";
  return fmt::format("fp16 of {} must be within {:.0f} % of its published perplexity",
                     fmt::join(compared, ", "), 100 * kGateTolerance);
}

}  // namespace daq
