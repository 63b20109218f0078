#include "harness/report_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kDivergence = "{:.4f}";

constexpr std::array<ReportValue, 12> kValues = {{
    {.name = "perplexity",
     .title = "perplexity",
     .meaning = "perplexity = exp(mean loss of the windows)",
     .follows_perplexity = true,
     .has_standard_error = true},
    {.name = "loss_vs_fp",
     .title = "loss vs fp16",
     .meaning = "loss vs fp16 = perplexity minus the unquantised model's on the same windows",
     .pattern = "{:+.3f}",
     .follows_perplexity = true,
     .has_standard_error = true,
     .has_interval = true},
    {.name = "loss_reduction",
     .title = "loss reduction",
     .meaning =
         "loss reduction = 1 - loss / loss of the best of rtn, gptq and awq in the same code "
         "book and granularity, on the same calibration where it is there",
     .pattern = "{:.1f}",
     .factor = 100,
     .unit = " %",
     .higher_is_better = true,
     .has_interval = true},
    {.name = "kl_mean",
     .title = "KL",
     .meaning = "KL = mean over tokens of KL(full precision || quantised), in nats",
     .pattern = kDivergence},
    {.name = "kl_p50",
     .title = "KL median",
     .meaning = "KL median = over tokens, of KL(full precision || quantised), in nats",
     .pattern = kDivergence},
    {.name = "kl_p90",
     .title = "KL 90 %",
     .meaning = "KL 90 % = 90th percentile over tokens of KL(full precision || quantised), in nats",
     .pattern = kDivergence},
    {.name = "kl_p99",
     .title = "KL 99 %",
     .meaning = "KL 99 % = 99th percentile over tokens of KL(full precision || quantised), in nats",
     .pattern = kDivergence},
    {.name = "top1_agreement",
     .title = "top-1",
     .meaning = "top-1 = share of tokens for which both models have the same most probable next "
                "token",
     .pattern = "{:.1f}",
     .factor = 100,
     .unit = " %",
     .higher_is_better = true},
    {.name = "bits_per_weight",
     .title = "bits/weight",
     .meaning = "bits/weight = bits stored for a weight of the linear layers, scales and "
                "zero-points included"},
    {.name = "word_perplexity",
     .title = "word ppl",
     .meaning = "word ppl = exp(loss of all tokens / words of the text)",
     .follows_perplexity = true},
    {.name = "byte_perplexity",
     .title = "byte ppl",
     .meaning = "byte ppl = exp(loss of all tokens / bytes of the text)",
     .follows_perplexity = true},
    {.name = "bits_per_byte",
     .title = "bits/byte",
     .meaning = "bits/byte = loss of all tokens in bits / bytes of the text",
     .follows_perplexity = true},
}};

std::string NumberText(const ReportValue& value, const Json& number) {
  return fmt::format(fmt::runtime(value.pattern), value.factor * number.get<double>());
}

// "[+0.361, +0.521]" behind a space; empty where the metric has none.
std::string IntervalText(const ReportValue& value, const Json& metric) {
  const std::string name(value.name);
  if (metric.at(name + "_low").is_null()) return "";
  return fmt::format(" [{}, {}]", NumberText(value, metric.at(name + "_low")),
                     NumberText(value, metric.at(name + "_high")));
}

// " ± 0.012"; empty where there is none (a single window).
std::string StandardErrorText(const ReportValue& value, const Json& metric) {
  const char* field = value.name == "perplexity" ? "stderr" : "loss_vs_fp_stderr";
  return metric.at(field).is_null() ? "" : fmt::format(" ± {:.3f}", metric.at(field).get<double>());
}

}  // namespace

std::span<const ReportValue> ReportValues() { return kValues; }

const ReportValue& FindReportValue(std::string_view name) {
  const auto found = std::find_if(kValues.begin(), kValues.end(),
                                  [&](const ReportValue& value) { return value.name == name; });
  DAQ_CHECK(found != kValues.end(), std::string(name));
  return *found;
}

std::string ReportText(const ReportValue& value, const Json& metric, ReportLayout::Error error) {
  const auto found = metric.find(value.name);
  if (found == metric.end() || found->is_null()) return "";
  std::string text = NumberText(value, *found).append(value.unit);
  if (error == ReportLayout::Error::kStandardError && value.has_standard_error)
    text.append(StandardErrorText(value, metric));
  if (error == ReportLayout::Error::kInterval && value.has_interval)
    text.append(IntervalText(value, metric));
  return text;
}

std::string AgainstText(const Json& metric) {
  constexpr ReportValue kDifference = {
      .name = "difference", .title = "", .meaning = "", .pattern = "{:+.3f}", .has_interval = true};
  std::string text = ReportText(kDifference, metric, ReportLayout::Error::kInterval);
  return metric.at("significant") == true ? text + " *" : text;
}

std::string AgainstMeaning(const std::string& against) {
  return fmt::format(
      "vs {} = perplexity minus that row's [95 % interval]; * significant: the interval excludes "
      "0.\n",
      against);
}

}  // namespace daq
