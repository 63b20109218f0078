#pragma once
#include <string>

#include "base/matrix.h"
#include "methods/codebook.h"

namespace daq {

// Which values a weight may take, and how many weights share one scale and zero-point.
struct Format {
  Codebook codebook;
  bool symmetric = false;  // true: every zero_point is 0 and none is stored
  Index group_size =
      0;  // weights along in_features that share a scale; 0 = the whole channel (row)

  bool operator==(const Format&) const = default;
};

// Groups in a row of `in_features` weights. Throws InputError, naming the layer, if group_size does
// not divide it.
Index GroupsPerRow(const Format& format, Index in_features, const std::string& layer);

// Weights that share a scale in a row of `in_features`: group_size, or the whole row.
Index GroupLength(const Format& format, Index in_features);

// "nf4", "int4": the book as tables name it, with "-sym" or "-asym" where it departs from the
// book's default (integer grids asymmetric, floating-point books symmetric).
std::string FormatName(const Format& format);

// "channel", "group-128".
std::string GranularityName(const Format& format);

}  // namespace daq
