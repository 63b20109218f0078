#pragma once
#include <string>
#include <string_view>

namespace daq {

// Runs a gnuplot script and returns the svg element that it drew; the script sets no terminal or
// output. `name` makes the element's ids differ from those of others on a page. Texts are plain,
// not gnuplot's markup. Throws std::runtime_error if gnuplot is not installed or refuses.
std::string DrawWithGnuplot(const std::string& script, const std::string& name, int width,
                            int height);

// A text as a gnuplot script writes it, in double quotes.
std::string GnuplotText(std::string_view text);

}  // namespace daq
