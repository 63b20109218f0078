#include "methods/daq_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "methods/minmax_grid.h"

namespace daq {
namespace {

CenterRule ReadCenterRule(std::string_view name) {
  if (name == "none") return CenterRule::kNone;
  if (name == "mean") return CenterRule::kMean;
  if (name == "median") return CenterRule::kMedian;
  if (name == "quantile") return CenterRule::kQuantile;
  if (name == "histogram") return CenterRule::kHistogram;
  DAQ_CHECK(name == "kde", "one of the choices");
  return CenterRule::kKde;
}

ZeroInit ReadZeroInit(std::string_view name) {
  if (name == "density") return ZeroInit::kDensity;
  if (name == "zero") return ZeroInit::kZero;
  DAQ_CHECK(name == "minmax", "one of the choices");
  return ZeroInit::kMinMax;
}

std::vector<SettingSpec> StageOneSpecs() {
  const SettingCondition stage_one = {"stage", {"both", "1"}};
  return {
      {.name = "stage",
       .default_value = std::string("both"),
       .choices = {"both", "1", "2"},
       .meaning = "1: the density start alone, no calibration data needed; 2: the search alone, "
                  "from the min-max range",
       .source = "DAQ, arXiv 2410.12187: both; the ablation's other two rows"},
      {.name = "center",
       .default_value = std::string("quantile"),
       .choices = {"quantile", "histogram", "kde", "mean", "median", "none"},
       .needs = {stage_one},
       .meaning = "stage 1: how the centre of the dense weights is found; none = 0; asymmetric "
                  "formats only",
       .source = "DAQ's dual quantile; the others were tried in its release's history"},
      {.name = "lower_quantile",
       .default_value = 0.025,
       .lowest = 0,
       .highest = 0.5,
       .needs = {{"center", {"quantile"}}},
       .meaning = "center quantile: midpoint of this quantile and 1 - this",
       .source = "DAQ release"},
      {.name = "shrink",
       .default_value = 0.9,
       .lowest = 0.01,
       .highest = 10,
       .needs = {stage_one},
       .meaning = "stage 1: half the grid's range, in units of the distance from the centre to the "
                  "furthest weight; below 1 clips it",
       .source = "DAQ release"},
      {.name = "histogram_bins",
       .default_value = std::int64_t{80},
       .lowest = 1,
       .highest = 100000,
       .needs = {{"center", {"histogram"}}},
       .meaning = "center histogram: equal bins between the extreme weights",
       .source = "DAQ release"},
      {.name = "histogram_fraction",
       .default_value = 0.95,
       .lowest = 0,
       .highest = 1,
       .needs = {{"center", {"histogram"}}},
       .meaning = "center histogram: share of the weights that the window around the fullest bin "
                  "must hold",
       .source = "DAQ release's history has 0.95 and 0.5"},
      {.name = "kde_bandwidth_rule",
       .default_value = std::string("absolute"),
       .choices = {"absolute", "scott"},
       .needs = {{"center", {"kde"}}},
       .meaning = "center kde: kde_bandwidth itself, or count^(-1/5) times the standard deviation",
       .source = "DAQ release: absolute; scipy's gaussian_kde: scott"},
      {.name = "kde_bandwidth",
       .default_value = 0.1,
       .lowest = 1e-9,
       .highest = 1e9,
       .needs = {{"center", {"kde"}}, {"kde_bandwidth_rule", {"absolute"}}},
       .meaning = "center kde, absolute: the kernel's standard deviation in weight units; 0.1 is "
                  "wider than most layers' weights",
       .source = "DAQ release"},
      {.name = "kde_points",
       .default_value = std::int64_t{1000},
       .lowest = 2,
       .highest = 100000,
       .needs = {{"center", {"kde"}}},
       .meaning = "center kde: points between the extreme weights where the density is computed",
       .source = "DAQ release"},
      {.name = "kde_center",
       .default_value = std::string("argmax"),
       .choices = {"argmax", "mean"},
       .needs = {{"center", {"kde"}}},
       .meaning = "center kde: the densest point, or the mean of all points weighted by density",
       .source = "DAQ release's history has both"},
      {.name = "zero_init",
       .default_value = std::string("density"),
       .choices = {"density", "zero", "minmax"},
       .needs = {stage_one},
       .meaning = "stage 1: what lies on the code book's dense part, the centre or weight 0; "
                  "minmax: the largest weight on the last code; asymmetric formats only",
       .source = "DAQ's paper: density; its release's last commit begins at zero, earlier ones at "
                 "minmax"},
  };
}

std::vector<SettingSpec> StageTwoSpecs() {
  const SettingCondition stage_two = {"stage", {"both", "2"}};
  return {
      {.name = "initial_step",
       .default_value = 0.001,
       .lowest = 1e-12,
       .highest = 10,
       .needs = {stage_two},
       .meaning = "stage 2: eps0 = alpha0, relative for the scale, in code units for the "
                  "zero-point",
       .source = "DAQ release"},
      {.name = "rate",
       .default_value = 5.0,
       .lowest = 1,
       .highest = 1000,
       .needs = {stage_two},
       .meaning = "stage 2: each epoch's wide probe begins at initial_step * rate, its narrow one "
                  "at initial_step / rate",
       .source = "DAQ release"},
      {.name = "epochs",
       .default_value = std::int64_t{10},
       .lowest = 1,
       .highest = 10000,
       .needs = {stage_two},
       .meaning = "stage 2: rounds of steps; a group stops early once a whole round moves nothing",
       .source = "DAQ release"},
      {.name = "iterations",
       .default_value = std::int64_t{100},
       .lowest = 1,
       .highest = 10000,
       .needs = {stage_two},
       .meaning = "stage 2: steps of an epoch, wide and narrow in turn",
       .source = "DAQ release"},
      {.name = "narrow_factor",
       .default_value = 0.9,
       .lowest = 0.01,
       .highest = 1,
       .needs = {stage_two},
       .meaning = "stage 2: factor of the narrow probe, each odd iteration",
       .source = "DAQ release"},
      {.name = "wide_factor",
       .default_value = 1.1,
       .lowest = 1,
       .highest = 100,
       .needs = {stage_two},
       .meaning = "stage 2: factor of the wide probe, each even iteration",
       .source = "DAQ release"},
      {.name = "idle_stop",
       .default_value = false,
       .needs = {stage_two},
       .meaning =
           "stage 2: end an epoch of the whole layer as the release does, once no group has "
           "moved for a few iterations (the count grows at every epoch's begin too, and only a "
           "move resets it). Ties a row's result to its layer's other rows, and costs time "
           "here; without it each group goes on until nothing can change",
       .source = "this project: the release stops, but the rows should not depend on each other"},
      {.name = "search_rows",
       .default_value = std::int64_t{0},
       .lowest = 0,
       .highest = 1000000,
       .needs = {stage_two},
       .meaning = "stage 2: 0: exact. Otherwise a quick search: the output error along so many of "
                  "the inputs' most energetic directions, and of all others as if the errors of "
                  "different weights had nothing to do with each other there; 64, say",
       .source = "this project"},
  };
}

// Where the code book is densest, and how far it goes from there on both sides.
struct BookShape {
  double middle;
  double reach;
};

BookShape ShapeOf(const Format& format) {
  const auto first = static_cast<double>(format.codebook.first());
  const auto last = static_cast<double>(format.codebook.last());
  if (format.symmetric && format.codebook.integer) return {.middle = 0, .reach = last};
  if (first < 0 && last > 0) return {.middle = 0, .reach = std::min(last, -first)};
  return {.middle = (first + last) / 2, .reach = (last - first) / 2};
}

}  // namespace

std::span<const SettingSpec> DaqSettings() {
  static const std::vector<SettingSpec> specs = [] {
    std::vector<SettingSpec> all = StageOneSpecs();
    for (const SettingSpec& spec : StageTwoSpecs()) all.push_back(spec);
    return all;
  }();
  return specs;
}

DaqOptions ReadDaqOptions(const Settings& settings) {
  const std::string& stage = GetString(settings, "stage");
  return {
      .starts_dense = stage != "2",
      .searches = stage != "1",
      .center = {.rule = ReadCenterRule(GetString(settings, "center")),
                 .lower_quantile = GetDouble(settings, "lower_quantile"),
                 .histogram_bins = GetInt(settings, "histogram_bins"),
                 .histogram_fraction = GetDouble(settings, "histogram_fraction"),
                 .kde_scott = GetString(settings, "kde_bandwidth_rule") == "scott",
                 .kde_bandwidth = GetDouble(settings, "kde_bandwidth"),
                 .kde_points = GetInt(settings, "kde_points"),
                 .kde_mean = GetString(settings, "kde_center") == "mean"},
      .shrink = GetDouble(settings, "shrink"),
      .zero_init = ReadZeroInit(GetString(settings, "zero_init")),
      .search = {.initial_step = GetDouble(settings, "initial_step"),
                 .rate = GetDouble(settings, "rate"),
                 .epochs = GetInt(settings, "epochs"),
                 .iterations = GetInt(settings, "iterations"),
                 .shrink = GetDouble(settings, "narrow_factor"),
                 .grow = GetDouble(settings, "wide_factor")},
      .idle_stop = GetBool(settings, "idle_stop"),
      .search_rows = GetInt(settings, "search_rows"),
  };
}

std::string ExplainDaq(const DaqOptions& options, const Format& format) {
  std::string text = options.starts_dense ? "density start" : "min-max start";
  text += options.searches ? fmt::format(", up to {} x {} sign steps", options.search.epochs,
                                         options.search.iterations)
                           : std::string(", no search");
  if (options.searches && options.search_rows > 0)
    text += fmt::format(" on {} directions of the inputs, the others by their diagonal",
                        options.search_rows);
  text += format.symmetric
              ? "; symmetric: zero-point 0, only the scale is learnt; center and zero_init do not "
                "matter"
              : "; zero-point real-valued, 32 bits";
  return text;
}

GridPoint MinMaxPoint(std::span<const float> weights, const Format& format) {
  const GroupGrid grid =
      LayGrid(IntervalOf(weights), {.round_zero_point = false, .include_zero = false}, format);
  return {.scale = static_cast<double>(grid.scale),
          .zero_point = static_cast<double>(grid.zero_point)};
}

GridPoint StartOfDaq(std::span<const float> weights, const Format& format,
                     const DaqOptions& options) {
  if (!options.starts_dense) return MinMaxPoint(weights, format);
  const WeightInterval interval = IntervalOf(weights);
  const auto lowest = static_cast<double>(interval.lowest);
  const auto highest = static_cast<double>(interval.highest);
  const double center = format.symmetric ? 0 : DenseCenter(weights, options.center);
  const BookShape book = ShapeOf(format);
  const double half_width = options.shrink * std::max(highest - center, center - lowest);
  const double scale =
      std::max(half_width / book.reach, static_cast<double>(std::numeric_limits<float>::min()));
  if (format.symmetric) return {.scale = scale, .zero_point = 0};
  switch (options.zero_init) {
    case ZeroInit::kDensity:
      return {.scale = scale, .zero_point = book.middle - center / scale};
    case ZeroInit::kZero:
      return {.scale = scale, .zero_point = book.middle};
    case ZeroInit::kMinMax:
      return {.scale = scale,
              .zero_point = static_cast<double>(format.codebook.last()) - highest / scale};
  }
  DAQ_CHECK(false, "every start has its zero-point");
  return {};
}

}  // namespace daq
