#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/experiment.h"
#include "harness/workload.h"

namespace daq {

// The shape of an experiment's table: which cell stands where. Written by a run, so that a report
// needs neither the model nor the texts.
struct Manifest {
  struct Column {
    std::string title;
    std::string protocol;
    std::string text;  // which windows of which text, as messages say it
    Index window_tokens = 0;
    // The protocol's own text, whole: what papers' numbers are of.
    bool as_published = false;
  };
  struct Row {
    std::string model;
    std::string method;    // label with the settings that differ from the method's own
    std::string format;    // "nf4-asym" (FormatName)
    std::string codebook;  // "nf4"; the checkpoint's type for full precision, as in `format`
    std::string symmetry;  // "symmetric", "asymmetric"; empty for full precision
    std::string granularity;
    bool full_precision = false;
    std::string calibration;  // label; empty if the recipe reads none
    // Calibrated as the method's authors do, or not at all: what papers' numbers are of.
    bool as_authors = true;
    std::string held_out;            // likewise, of the layer reports' text
    std::vector<std::string> cells;  // one id a column; empty where the matrix has no such cell
  };
  std::string config_sha256;
  std::string config;  // its path, for messages
  std::vector<Column> columns;
  std::vector<Row> rows;
};

// The models of the rows, each once, in their order.
std::vector<std::string> ModelsOf(const Manifest& manifest);

// The row's code book and granularity: results are compared within one such format. A zero-point
// more or less makes no other one, for DAQ's grids are asymmetric where its baselines' are not.
std::string FormatGroup(const Manifest::Row& row);

// A recipe's row without calibration, held-out text and cells. `dtype` is the checkpoint's type.
Manifest::Row MakeManifestRow(const std::string& model, const std::string& dtype,
                              const Recipe& recipe);

Manifest MakeManifest(const ExperimentFile& experiment, const Workload& workload);

void WriteManifest(const Manifest& manifest, const std::filesystem::path& folder);

// Throws InputError if there is none, or if the config changed since it was written, or another of
// the same name was run since: the message says to run it.
Manifest ReadManifest(const ExperimentFile& experiment, const std::filesystem::path& folder);

}  // namespace daq
