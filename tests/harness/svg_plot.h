#pragma once
#include <cmath>
#include <regex>
#include <string>
#include <vector>

// Reading back what density plots show.
namespace daq {

inline std::vector<std::smatch> FindAll(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  return {std::sregex_iterator(text.begin(), text.end(), regex), std::sregex_iterator()};
}

// The weight that a horizontal position stands for, from two labels of the axis.
struct Axis {
  explicit Axis(const std::string& svg) {
    const auto ticks = FindAll(svg, "<text class=\"quiet tick\" x=\"([0-9.]+)\"[^>]*>([^<]+)<");
    count = ticks.size();
    if (count < 2) return;
    x0 = std::stod(ticks.front()[1]);
    value0 = std::stod(ticks.front()[2]);
    per_pixel = (std::stod(ticks.back()[2]) - value0) / (std::stod(ticks.back()[1]) - x0);
  }
  double ValueAt(double x) const { return value0 + (x - x0) * per_pixel; }
  // Positions are written to a hundredth of a pixel; those of the labels too.
  double Resolution() const { return 0.02 * per_pixel; }

  std::size_t count = 0;
  double x0 = 0;
  double value0 = 0;
  double per_pixel = 0;
};

// What one recipe's strip shows.
struct Strip {
  std::string label;
  std::string style;           // colour and kind of tick
  std::vector<double> values;  // where the ticks stand, by the axis
};

inline std::vector<Strip> StripsOf(const std::string& svg) {
  const Axis axis(svg);
  std::vector<Strip> strips;
  for (const std::smatch& found : FindAll(svg,
                                          "<title>([^<]*): [0-9]+ codes</title>\\n.*\\n.*\\n<path "
                                          "class=\"code (c[0-9] d[0-9])\" d=\"([^\"]*)\"")) {
    Strip strip{.label = found[1], .style = found[2], .values = {}};
    const std::string path = found[3];
    for (const std::smatch& tick : FindAll(path, "M([0-9.]+) [0-9.]+v18"))
      strip.values.push_back(axis.ValueAt(std::stod(tick[1])));
    strips.push_back(std::move(strip));
  }
  return strips;
}

}  // namespace daq
