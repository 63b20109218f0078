#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/checkpoint.h"
#include "eval/token_windows.h"
#include "eval/tokenizer.h"
#include "harness/cell_record.h"
#include "harness/experiment.h"

namespace daq {

// A checkpoint of the experiment, opened and named by its content.
struct ModelInput {
  std::string name;  // as the config says it
  Checkpoint checkpoint;
  std::string content_hash;
  ConfigPlace place = {};  // of `model`, the first of several
};

// A calibration or held-out text as windows of one model's tokens. Equal requests share one.
struct CalibrationInput {
  CalibrationRequest request;
  TokenWindows windows;
};

// An evaluation text as windows of one model's tokens.
struct EvaluationInput {
  EvaluationRequest request;
  TokenWindows windows;    // with stop_when in the order of StopOrder
  std::size_t column = 0;  // of the table
};

// One row of the table: a model under one recipe.
struct Arm {
  std::size_t model = 0;
  std::optional<std::size_t> calibration;  // also where only the layer reports look at it
  std::optional<std::size_t> held_out;     // one of the calibrations; for the layer reports
  Recipe recipe;
  // Names the quantised model and its layer reports by content: where no part of the recipe reads
  // layer inputs, it is one arm for all points of a calibration sweep, and the calibration in its
  // name is the one that the layer reports look at, the sweep's first.
  std::string id;
  std::string description;
};

// One number to be had: an arm under an evaluation.
struct Cell {
  std::size_t arm = 0;
  std::size_t evaluation = 0;
  std::string id;
  // With token metrics: the id of full precision's cell under the same evaluation, which need not
  // be among the cells; its own for that cell itself. Empty without.
  std::string reference = {};
  // Where the evaluation may stop early: the id of full precision's cell likewise.
  std::string stops_against = {};

  // Whether its predictions are compared with full precision's, token by token.
  bool compared() const { return !reference.empty() && reference != id; }
};

// Where a number stands in the table. Two places hold the same cell where the config asks for the
// same thing twice: two folders with one checkpoint, two evaluations that come to the same ids.
struct Place {
  std::size_t arm = 0;
  std::size_t evaluation = 0;
  std::string cell;  // its id
};

// Everything an experiment file asks for, with its inputs found, read and hashed. Arms and cells
// that several points of a sweep share are there once.
struct Workload {
  std::vector<std::unique_ptr<ModelInput>> models;
  std::vector<CalibrationInput> calibrations;
  std::vector<EvaluationInput> evaluations;
  std::vector<std::string> columns;   // titles of the evaluations that share a column across models
  std::vector<Arm> arms;              // in the order of the file
  std::vector<Cell> cells;            // full precision first, then arm by arm; each id once
  std::vector<Place> places;          // of the whole table
  std::vector<std::string> problems;  // inputs that are missing or wrong, one message each
  std::vector<std::string> warnings;  // what a user should know, though the numbers are as defined

  // A cell's model, and the text that it is evaluated on.
  const Checkpoint& CheckpointOf(const Cell& cell) const {
    return models[arms[cell.arm].model]->checkpoint;
  }
  const TokenWindows& WindowsOf(const Cell& cell) const {
    return evaluations[cell.evaluation].windows;
  }
};

// Where inputs are looked for and what is remembered about them.
struct InputFolders {
  std::filesystem::path data;     // dataset files
  std::filesystem::path results;  // keeps the content hashes of checkpoints seen before
};

// "daq 1x512": protocol, windows, tokens of a window; in parentheses a text or seed that is not the
// protocol's own: "gptq-c4 128x2048 (train.jsonl, seed 1)".
std::string CalibrationLabel(const CalibrationInput& input);

// What a result says of its calibration.
CalibrationRecord MakeCalibrationRecord(const CalibrationInput& input);

// Opens models, reads and tokenises texts, names arms and cells by content. With a wrong input,
// goes on and lists it in `problems`; what depends on it is left out.
Workload ResolveWorkload(const ExperimentFile& experiment, const InputFolders& folders);

}  // namespace daq
