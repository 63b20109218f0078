#include "harness/density_plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>

#include "tests/harness/svg_plot.h"

namespace daq {
namespace {

// "" if `xml` is well formed as far as the plot uses XML: tags balanced and closed in order,
// attributes quoted, no stray < or &. Otherwise what is wrong.
std::string FindXmlFault(const std::string& xml) {
  static const std::regex tag("^<(/?)([a-z]+)((?: [a-zA-Z-]+=\"[^\"<]*\")*)(/?)>");
  static const std::regex entity("^&(amp|lt|gt|quot);");
  std::vector<std::string> open;
  for (auto at = xml.begin(); at != xml.end();) {
    std::smatch match;
    const auto once = std::regex_constants::match_continuous;
    if (static_cast<unsigned char>(*at) < 0x20 && *at != '\n') return "control character";
    if (*at == '&') {
      if (!std::regex_search(at, xml.end(), match, entity, once)) return "stray &";
      at = match[0].second;
    } else if (*at == '<') {
      if (!std::regex_search(at, xml.end(), match, tag, once))
        return "no tag: " + std::string(at, std::min(at + 40, xml.end()));
      if (match[1].length() > 0) {
        if (open.empty() || open.back() != match[2]) return "closes " + match[2].str();
        open.pop_back();
      } else if (match[4].length() == 0) {
        if (open.empty() && at != xml.begin()) return "second root";
        open.push_back(match[2]);
      }
      at = match[0].second;
    } else {
      if (open.empty() && *at != '\n') return "text outside the root";
      ++at;
    }
  }
  return open.empty() ? "" : "left open: " + open.back();
}

// The heights of the histogram's bars by their left end, in weight units.
std::map<double, double> Bars(const std::string& svg) {
  const Axis axis(svg);
  const auto path = FindAll(svg, "class=\"density\" d=\"M([0-9.]+) ([0-9.]+)([^\"]*)\"");
  EXPECT_EQ(path.size(), 1U);
  double left = std::stod(path[0][1]);
  const double base = std::stod(path[0][2]);
  const std::string steps = path[0][3];
  std::map<double, double> bars;
  for (const std::smatch& step : FindAll(steps, "V([0-9.]+)H([0-9.]+)")) {
    bars[axis.ValueAt(left)] = base - std::stod(step[1]);
    left = std::stod(step[2]);
  }
  return bars;
}

double HeightAt(const std::map<double, double>& bars, double value) {
  return std::prev(bars.upper_bound(value))->second;
}

TEST(DensityPlotTest, IsWellFormedAndEscapesLabels) {
  const std::vector<float> weights = {-1, 0, 0.5F, 2};
  const std::string svg =
      DrawDensityPlot({.title = "a < b & \"c\"",
                       .weights = weights,
                       .recipes = {{.label = "<script>&amp;\x01", .values = {-1, 1}},
                                   {.label = "γ 4 bits", .values = {}}}});
  EXPECT_EQ(FindXmlFault(svg), "");
  EXPECT_NE(svg.find("<title>a &lt; b &amp; &quot;c&quot;</title>"), std::string::npos);
  EXPECT_NE(svg.find(">&lt;script&gt;&amp;amp;\xEF\xBF\xBD</text>"), std::string::npos);
  EXPECT_NE(svg.find(">γ 4 bits</text>"), std::string::npos);
  EXPECT_EQ(FindXmlFault("<svg><g></svg>"), "closes svg");  // the check itself can fail
}

TEST(DensityPlotTest, NoTwoOfManyRecipesLookAlike) {
  const std::vector<float> weights = {-0.03F, 0.01F, 0.02F, 0.045F};
  std::vector<CodePositions> recipes(14, {.label = "one", .values = {0.01}});
  std::set<std::string> styles;
  for (const Strip& strip :
       StripsOf(DrawDensityPlot({.title = "many", .weights = weights, .recipes = recipes})))
    styles.insert(strip.style);
  EXPECT_EQ(styles.size(), recipes.size());
}

TEST(DensityPlotTest, CodesStandWhereTheAxisSays) {
  const std::vector<float> weights = {-0.03F, 0.01F, 0.02F, 0.045F};
  const std::vector<std::vector<double>> codes = {{-0.06, -0.01, 0, 0.0301, 0.05}, {0.12, 0.2}};
  const std::string svg = DrawDensityPlot(
      {.title = "codes",
       .weights = weights,
       .recipes = {{.label = "one", .values = codes[0]}, {.label = "two", .values = codes[1]}}});
  const Axis axis(svg);
  EXPECT_GE(axis.count, 4U);
  EXPECT_LE(axis.count, 12U);
  const std::vector<Strip> strips = StripsOf(svg);
  ASSERT_EQ(strips.size(), 2U);
  EXPECT_NE(strips[0].style, strips[1].style);
  for (std::size_t strip = 0; strip < 2; ++strip) {
    EXPECT_EQ(strips[strip].label, strip == 0 ? "one" : "two");
    ASSERT_EQ(strips[strip].values.size(), codes[strip].size());
    for (std::size_t i = 0; i < codes[strip].size(); ++i)
      EXPECT_NEAR(strips[strip].values[i], codes[strip][i], axis.Resolution());
  }
}

TEST(DensityPlotTest, BarsAreAsHighAsTheirShareOfTheWeights) {
  std::vector<float> weights(900, 0.1F);
  weights.insert(weights.end(), 300, 0.7F);
  weights.push_back(-2.0F);
  const std::string svg = DrawDensityPlot({.title = "bars", .weights = weights, .recipes = {}});
  EXPECT_EQ(FindXmlFault(svg), "");
  const std::map<double, double> bars = Bars(svg);
  EXPECT_NEAR(HeightAt(bars, 0.1), 220, 0.02);  // the highest one fills the plot
  EXPECT_NEAR(HeightAt(bars, 0.7), 220.0 / 3, 0.02);
  EXPECT_NEAR(HeightAt(bars, -2.0), 3, 0.02);  // an outlier shows
  EXPECT_EQ(HeightAt(bars, -1.0), 0);
}

TEST(DensityPlotTest, DegenerateDataStillHasAnAxis) {
  for (const float value : {0.0F, 0.25F, -3e38F, 1e-44F}) {
    const std::vector<float> weights(5, value);
    const std::string svg =
        DrawDensityPlot({.title = "constant", .weights = weights, .recipes = {}});
    EXPECT_EQ(FindXmlFault(svg), "") << value;
    EXPECT_GE(Axis(svg).count, 2U) << value;
    EXPECT_EQ(svg.find("nan"), std::string::npos) << value;
    EXPECT_EQ(svg.find("inf"), std::string::npos) << value;
  }
}

TEST(DensityPlotDeathTest, NothingToDrawIsABug) {
  EXPECT_DEATH(DrawDensityPlot({.title = "none", .weights = {}, .recipes = {}}), "weights to draw");
}

}  // namespace
}  // namespace daq
