#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/yaml_reader.h"

namespace daq {

// The matrix that a config's `sweep:` spans: every combination of its lists, the last key varying
// fastest. A point is the document with the values written into it before anything is read, so the
// readers need not know of sweeps, and a mistake in a value is reported at its own line.
class Sweep {
 public:
  // Throws InputError for an unknown key, a value that is no list, is empty or holds a value twice,
  // and for more than 10,000 points (or 4 million values in all points together, a long text
  // counted as several, which bounds time and memory for any file). Without `sweep:` there is one
  // point, the document as it is. Refers to `document`, which must outlive it.
  explicit Sweep(const YamlDocument& document);

  std::size_t points() const { return points_; }
  int line() const { return line_; }  // of `sweep:`; 0 without

  // Key and value of each axis at a point < points(), in the order of the file.
  std::vector<std::pair<std::string, std::string>> Label(std::size_t point) const;

  // The document of a point < points(). A key below `recipes` is set in every recipe but fp16, one
  // below `evaluate` in every evaluation (window_tokens: but ids, whose files have their own), one
  // below `calibration` or `recipes.calibration` where a map stands there.
  // `recipes.format` comes before `recipes.format.group` in whichever order the file has them.
  // Throws InputError if no place takes a value.
  YamlDocument Document(std::size_t point) const;

 private:
  struct Axis {
    std::string_view path;
    const YamlNode* values;
  };

  const YamlNode& ValueAt(std::size_t axis, std::size_t point) const;

  const YamlDocument* document_;
  std::vector<Axis> axes_;
  std::size_t points_ = 1;
  int line_ = 0;
};

}  // namespace daq
