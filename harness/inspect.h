#pragma once
#include <filesystem>
#include <string>

#include "harness/run.h"

namespace daq {

// What `inspect` is asked.
struct InspectRequest {
  std::string layer;           // "model.layers.3.mlp.up_proj", or without "model.layers."
  Index row = 0;               // output channel whose weights are drawn
  std::filesystem::path plot;  // SVG file to be written; empty: <results>/<experiment>/<layer>.svg
};

// One layer under every recipe of the experiment: a table of what each did to it, and a plot of one
// channel's weights with the values that each recipe can represent. Quantises the blocks up to the
// layer's, as a run does and with the same bits, so it needs no results. Throws InputError for an
// unknown layer or row, missing inputs, or a config with more than one model.
std::string InspectLayer(const ExperimentFile& experiment, const RunOptions& options,
                         const InspectRequest& request);

// The same numbers of all finished cells, averaged over the blocks: a row for each recipe and kind
// of layer. Throws InputError if there are no results.
std::string InspectResults(const ExperimentFile& experiment, const RunOptions& options);

}  // namespace daq
