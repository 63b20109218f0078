#include "harness/protocol_gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace daq {
namespace {

std::string NameOfMetric(const std::string& protocol) {
  std::string name = PublishedMetric(protocol);
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

}  // namespace

std::string GateProblem(const std::vector<PublishedValue>& published, const std::string& model,
                        const EvaluationRequest& evaluation, double perplexity) {
  if (!IsAsPublished(evaluation)) return "";
  const std::vector<const PublishedValue*> values = FindPublished(
      published, model, "fp16", "f16", "none", evaluation.protocol, evaluation.window_tokens);
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

}  // namespace daq
