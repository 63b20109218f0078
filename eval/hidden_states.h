#pragma once
#include <cstdint>
#include <filesystem>

#include "base/matrix.h"

namespace daq {

// The residual stream of all windows between two decoder blocks, [windows * window_tokens, hidden],
// float32. Lives in memory or, where that would pass the memory budget, in a memory-mapped scratch
// file, which has no name and vanishes with the process.
class HiddenStates {
 public:
  // In memory if `scratch_folder` is empty, else in a file there (made if missing). Throws
  // std::runtime_error if the memory or the disk space is not to be had; the file's space is
  // reserved here, never found missing later.
  HiddenStates(Index windows, Index window_tokens, Index hidden_size,
               const std::filesystem::path& scratch_folder);
  ~HiddenStates();
  HiddenStates(const HiddenStates&) = delete;
  HiddenStates& operator=(const HiddenStates&) = delete;

  Index windows() const { return windows_; }
  Index window_tokens() const { return window_tokens_; }
  Index hidden_size() const { return hidden_size_; }

  // The rows of windows [first, first + count), [count * window_tokens, hidden].
  MatrixView rows(Index first, Index count);
  MatrixView all() { return rows(0, windows_); }

  // Says that these windows are not needed for a while: a scratch file's pages leave resident
  // memory.
  void Release(Index first, Index count);

  static std::uint64_t Bytes(Index windows, Index window_tokens, Index hidden_size);

 private:
  Index windows_;
  Index window_tokens_;
  Index hidden_size_;
  bool in_file_;
  float* data_ = nullptr;
};

}  // namespace daq
