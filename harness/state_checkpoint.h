#pragma once
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "eval/hidden_states.h"

namespace daq {

// Saves the hidden states between two decoder blocks now and then, so that a stopped pass over a
// large model goes on where it was instead of from its first block. One file a pass, replaced
// atomically.
class StateCheckpoint {
 public:
  // `key` names the pass by content; a file with another key is ignored. A save is due `interval`
  // after the last one.
  StateCheckpoint(std::filesystem::path file, std::string key, std::chrono::seconds interval);

  // Fills `states` from the file and returns the number of blocks they have passed, or nothing if
  // there is no usable file (none, another pass's, or damaged: then the pass starts at its
  // beginning, which gives the same numbers).
  std::optional<Index> Load(HiddenStates* states) const;

  // Saves now. `blocks_done` decoder blocks have run. Throws std::runtime_error if the disk is
  // full.
  void Save(Index blocks_done, HiddenStates* states);

  // Saves if a save is due.
  void SaveIfDue(Index blocks_done, HiddenStates* states);

  // The pass is complete: removes the file.
  void Remove() const;

 private:
  std::filesystem::path file_;
  std::string key_;
  std::chrono::seconds interval_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace daq
