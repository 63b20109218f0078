#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/token_windows.h"

namespace daq {

// How a text becomes the windows that methods are calibrated on, with the authors' own sizes as
// defaults. See docs/protocols.md. A key whose default is empty here is none of the protocol's.
struct CalibrationProtocol {
  std::string_view id;
  std::string_view summary;
  std::string_view source;
  std::string_view dataset;  // the entry of configs/datasets.yaml whose file it reads; empty: a
                             // file must be given
  std::string_view dataset_file;       // the name of the file in that entry
  std::optional<Index> windows;        // how many; empty: they follow from `documents`
  std::optional<Index> documents;      // how many documents make the text
  std::optional<Index> window_tokens;  // empty: the file has its own
  std::optional<std::int64_t> seed;    // of its draws; empty: it draws nothing
};

std::span<const CalibrationProtocol> CalibrationProtocols();
const CalibrationProtocol* FindCalibrationProtocol(std::string_view id);  // nullptr: unknown

// Which windows to make; the keys that the protocol has are set.
struct CalibrationWindowRequest {
  std::string protocol;                   // an id of CalibrationProtocols()
  std::filesystem::path file;             // a text as ReadTextRows takes it or, for `ids`, .json
  std::optional<Index> windows;           // >= 1
  std::optional<Index> documents;         // >= 1
  Index window_tokens = 512;              // >= 2
  std::optional<std::int64_t> seed = {};  // >= 0
};

// The windows of a protocol. Sizes are nested: First(k) equals what a request of k windows gives by
// itself, hashes included, so that one text serves a sweep over sizes.
class CalibrationWindows {
 public:
  // `text_sha256`: of the text that the first k windows were made of, at [k - 1]; or one for all k.
  CalibrationWindows(TokenWindows all, std::vector<std::string> text_sha256);

  Index count() const { return all_.count(); }
  const TokenWindows& all() const { return all_; }
  TokenWindows First(Index count) const;  // 1 <= count <= count()

 private:
  TokenWindows all_;
  std::vector<std::string> text_sha256_;
};

// Reads, draws, tokenises and cuts as the protocol says. A text or file that ends early gives fewer
// windows than asked for, at least one. Throws InputError for a missing, damaged or empty file, a
// text that holds no window or fewer documents than asked for, what RandomCrops refuses, and an id
// outside [0, vocab_size). For `ids` the tokenizer may be null.
CalibrationWindows MakeCalibrationWindows(const CalibrationWindowRequest& request,
                                          const Tokenizer* tokenizer, Index vocab_size);

}  // namespace daq
