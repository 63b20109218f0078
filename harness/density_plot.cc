#include "harness/density_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include "base/error.h"
#include "harness/text_table.h"

namespace daq {
namespace {

// All in SVG user units (pixels at 100 %).
constexpr double kWidth = 900;
constexpr double kRight = 24;
constexpr double kTop = 56;  // below the title
constexpr double kHistogramHeight = 220;
constexpr double kStripHeight = 30;
constexpr double kCodeTick = 18;
constexpr double kStripsGap = 14;
constexpr double kAxisHeight = 58;
constexpr double kCharacter = 7.2;  // of a label, roughly: fonts differ
constexpr double kLeastLeft = 84;   // room for the vertical axis
constexpr int kBins = 180;
constexpr double kLeastBar = 3;  // of a bin that holds any weight
constexpr std::size_t kColors = 6;

// Light and dark, chosen to differ in lightness as well as in hue. Beyond the colours (c) ticks are
// broad, then dashed (d).
constexpr std::string_view kStyle = R"(
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .quiet { fill: #57606a; font-size: 12px }
  .page { fill: #ffffff }
  .grid { stroke: #d8dee4; fill: none }
  .axis { stroke: #8c959f; fill: none }
  .density { fill: #9db7d5; stroke: #4a6f9c; stroke-linejoin: round }
  .code { stroke-width: 1.6; fill: none }
  .c0 { stroke: #0550ae } .c1 { stroke: #bc4c00 } .c2 { stroke: #116329 }
  .c3 { stroke: #8250df } .c4 { stroke: #a40e26 } .c5 { stroke: #4d4d4d }
  .d1 { stroke-width: 3 } .d2 { stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #9da7b3 }
    .page { fill: #0d1117 }
    .grid { stroke: #2a313a }
    .axis { stroke: #6e7681 }
    .density { fill: #2f4a69; stroke: #7aa7dd }
    .c0 { stroke: #79c0ff } .c1 { stroke: #ffa657 } .c2 { stroke: #7ee787 }
    .c3 { stroke: #d2a8ff } .c4 { stroke: #ff7b72 } .c5 { stroke: #c9d1d9 }
  }
)";

// Characters, not bytes, of UTF-8.
double Characters(std::string_view text) {
  return static_cast<double>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// 1, 2 or 5 times a power of ten, so that about `count` steps make up `length`.
double NiceStep(double length, double count) {
  const double rough = length / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double multiple : {1.0, 2.0, 5.0}) {
    if (multiple * power >= rough) return multiple * power;
  }
  return 10 * power;
}

// A value on an axis and its position.
class Scale {
 public:
  Scale(double low, double high, double from, double to)
      : low_(low), per_unit_((to - from) / (high - low)), from_(from) {}
  double At(double value) const { return from_ + (value - low_) * per_unit_; }

 private:
  double low_;
  double per_unit_;
  double from_;
};

class Drawing {
 public:
  explicit Drawing(const DensityPlot& plot) : plot_(plot) {
    DAQ_CHECK(!plot.weights.empty(), "weights to draw");
    FindInterval();
    for (const CodePositions& recipe : plot.recipes)
      left_ = std::max(left_, 24 + kCharacter * Characters(recipe.label));
    bottom_ = kTop + kHistogramHeight + (plot.recipes.empty() ? 0 : kStripsGap) +
              kStripHeight * static_cast<double>(plot.recipes.size());
  }

  std::string Draw() {
    const double height = bottom_ + kAxisHeight;
    const double width = std::max(kWidth, left_ + 600);
    x_ = Scale(low_, high_, left_, width - kRight);
    Append(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\" role=\"img\">\n<title>{2}</title>\n<style>{3}</style>\n"
        "<rect class=\"page\" width=\"{0:.0f}\" height=\"{1:.0f}\"/>\n"
        "<text class=\"title\" x=\"{4:.2f}\" y=\"30\">{2}</text>\n",
        width, height, EscapeHtml(plot_.title), kStyle, left_);
    DrawWeightAxis();
    DrawHistogram();
    double top = kTop + kHistogramHeight + kStripsGap;
    for (std::size_t i = 0; i < plot_.recipes.size(); ++i, top += kStripHeight)
      DrawStrip(plot_.recipes[i], i, top);
    svg_.append("</svg>\n");
    return std::move(svg_);
  }

 private:
  template <typename... Values>
  void Append(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(svg_), format, std::forward<Values>(values)...);
  }

  // The axis reaches over all weights and codes and a little further.
  void FindInterval() {
    const auto [lowest, highest] = std::minmax_element(plot_.weights.begin(), plot_.weights.end());
    low_ = static_cast<double>(*lowest);
    high_ = static_cast<double>(*highest);
    for (const CodePositions& recipe : plot_.recipes) {
      for (const double value : recipe.values) {
        low_ = std::min(low_, value);
        high_ = std::max(high_, value);
      }
    }
    DAQ_CHECK(std::isfinite(low_) && std::isfinite(high_), "finite weights and codes");
    const double pad = high_ > low_ ? 0.02 * (high_ - low_) : std::max(std::abs(high_), 1e-30);
    low_ -= pad;
    high_ += pad;
  }

  void DrawWeightAxis() {
    const double step = NiceStep(high_ - low_, 8);
    for (double i = std::ceil(low_ / step); i * step <= high_; ++i) {
      const double x = x_.At(i * step);
      Append("<path class=\"grid\" d=\"M{0:.2f} {1:.2f}V{2:.2f}\"/>\n", x, kTop, bottom_);
      Append(
          "<text class=\"quiet tick\" x=\"{:.2f}\" y=\"{:.2f}\" text-anchor=\"middle\">{:.6g}"
          "</text>\n",
          x, bottom_ + 18, i == 0 ? 0.0 : i * step);
    }
    Append("<path class=\"axis\" d=\"M{:.2f} {:.2f}H{:.2f}\"/>\n", x_.At(low_), bottom_,
           x_.At(high_));
    Append("<text class=\"quiet\" x=\"{:.2f}\" y=\"{:.2f}\" text-anchor=\"middle\">weight</text>\n",
           (x_.At(low_) + x_.At(high_)) / 2, bottom_ + 40);
  }

  void DrawHistogram() {
    std::vector<double> share(kBins);
    const double one = 100.0 / static_cast<double>(plot_.weights.size());
    for (const float weight : plot_.weights) {
      const double position = (static_cast<double>(weight) - low_) / (high_ - low_);
      share[static_cast<std::size_t>(std::min(position * kBins, kBins - 1.0))] += one;
    }
    const double largest = *std::max_element(share.begin(), share.end());
    const double base = kTop + kHistogramHeight;
    const Scale y(0, largest, base, kTop);
    const double step = NiceStep(largest, 4);
    for (double i = 1; i * step <= largest; ++i) {
      Append("<path class=\"grid\" d=\"M{:.2f} {:.2f}H{:.2f}\"/>\n", x_.At(low_), y.At(i * step),
             x_.At(high_));
      Append(
          "<text class=\"quiet\" x=\"{:.2f}\" y=\"{:.2f}\" text-anchor=\"end\">{:.6g} %</text>\n",
          left_ - 8, y.At(i * step) + 4, i * step);
    }
    Append(
        "<text class=\"quiet\" x=\"{:.2f}\" y=\"{:.2f}\" text-anchor=\"end\">{} weights, share per "
        "bin"
        "</text>\n",
        x_.At(high_), kTop - 8, plot_.weights.size());
    Append("<path class=\"density\" d=\"M{:.2f} {:.2f}", x_.At(low_), base);
    for (std::size_t bin = 0; bin < share.size(); ++bin) {
      const double height = share[bin] > 0 ? std::min(y.At(share[bin]), base - kLeastBar) : base;
      const double end = low_ + (high_ - low_) * static_cast<double>(bin + 1) / kBins;
      Append("V{:.2f}H{:.2f}", height, x_.At(end));
    }
    Append("V{:.2f}Z\"/>\n", base);
  }

  void DrawStrip(const CodePositions& recipe, std::size_t number, double top) {
    const double middle = top + kStripHeight / 2;
    const std::string label = EscapeHtml(recipe.label);
    Append("<g>\n<title>{}: {} codes</title>\n", label, recipe.values.size());
    Append("<text x=\"{:.2f}\" y=\"{:.2f}\" text-anchor=\"end\">{}</text>\n", left_ - 8,
           middle + 4.5, label);
    Append("<path class=\"grid\" d=\"M{:.2f} {:.2f}H{:.2f}\"/>\n", x_.At(low_), middle,
           x_.At(high_));
    Append("<path class=\"code c{} d{}\" d=\"", number % kColors, number / kColors);
    for (const double value : recipe.values)
      Append("M{:.2f} {:.2f}v{:.0f}", x_.At(value), middle - kCodeTick / 2, kCodeTick);
    Append("\"/>\n</g>\n");
  }

  const DensityPlot& plot_;
  double low_ = 0;
  double high_ = 1;
  double left_ = kLeastLeft;
  double bottom_ = 0;
  Scale x_{0, 1, 0, 1};
  std::string svg_;
};

}  // namespace

std::string DrawDensityPlot(const DensityPlot& plot) { return Drawing(plot).Draw(); }

}  // namespace daq
