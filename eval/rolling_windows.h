#pragma once
#include <optional>
#include <string>
#include <vector>

#include "eval/window_cutting.h"

namespace daq {

// The rolling windows of lm-evaluation-harness over documents, each by itself, with a context of
// one token (EleutherAI/lm-evaluation-harness 0.4.13, lm_eval/utils.py get_rolling_token_windows
// and make_disjoint_window). A document's tokens are all scored, each once: the first window reads
// `prefix` and scores up to window_tokens tokens; each later one scores the next window_tokens; a
// last one with fewer left reaches back, so that it reads window_tokens tokens, and scores only
// those. So a window reads window_tokens tokens and is scored on its last one too (`following`). A
// document shorter than a window is filled up with `prefix`.
//
// Keeps the documents whose windows are all among the first max_windows: a number by words needs
// whole documents. Documents have a token or more. The text hash is of the documents, one after
// another. Throws MaxWindowsError if max_windows does not hold the first document.
TokenWindows RollDocuments(const std::vector<std::string>& documents, const EncodeText& encode,
                           TokenId prefix, Index window_tokens, std::optional<Index> max_windows,
                           const std::string& source, Index* kept_documents);

}  // namespace daq
