#pragma once
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "eval/token_windows.h"

namespace daq {

// How a text becomes windows. The id stands beside every number, because the same model prints
// other numbers under other protocols. See docs/protocols.md.
struct ProtocolInfo {
  std::string_view id;
  std::string_view summary;
  std::string_view source;
  std::string_view dataset;  // the entry of configs/datasets.yaml whose file it reads; empty: a
                             // file must be given
  std::string_view dataset_file;  // the name of the file in that entry
  Index window_tokens = 2048;     // unless a request says otherwise
  // The number that papers and tools print of it, as a result names it (docs/results.md).
  std::string_view published_metric = "perplexity";
};

std::span<const ProtocolInfo> EvaluationProtocols();
const ProtocolInfo* FindEvaluationProtocol(std::string_view id);  // nullptr for an unknown id

struct WindowRequest {
  std::string protocol;  // an id of EvaluationProtocols()
  std::filesystem::path
      file;  // an existing text (.jsonl, .json.gz, .txt, .raw, .tokens) or, for `ids`, .json
  Index window_tokens = 2048;        // >= 2
  std::optional<Index> max_windows;  // keep the first so many windows, which are there; >= 1
};

// Reads, joins, tokenises and cuts as the protocol says. Throws InputError for a missing, damaged
// or empty file, a text shorter than the protocol's windows or without its pages, an id outside [0,
// vocab_size), or `ids` of unequal length, and MaxWindowsError for more max_windows than the text
// or the protocol has (lm-eval-wikitext: or fewer than its first page has). For `ids` the tokenizer
// may be null and window_tokens is the file's own.
TokenWindows MakeEvaluationWindows(const WindowRequest& request, const Tokenizer* tokenizer,
                                   Index vocab_size);

}  // namespace daq
