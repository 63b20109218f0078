#include "eval/rolling_windows.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/sha256.h"
#include "eval/max_windows.h"

namespace daq {
namespace {

// The window that reads window_tokens of `tokens` from `first` on and is scored on `scored`.
// Behind the end stands `fill`.
void AppendWindow(const std::vector<TokenId>& tokens, Index first, ScoredRange scored, TokenId fill,
                  TokenWindows* windows) {
  const auto token = [&](Index at) {
    return at < static_cast<Index>(tokens.size()) ? tokens[static_cast<std::size_t>(at)] : fill;
  };
  for (Index i = 0; i < windows->window_tokens; ++i) windows->ids.push_back(token(first + i));
  windows->following.push_back(token(first + windows->window_tokens));
  windows->scored.push_back(scored);
}

// `tokens` are the prefix and the document's own, all of which are scored.
void AppendDocument(const std::vector<TokenId>& tokens, TokenWindows* windows) {
  const Index length = windows->window_tokens;
  const auto document = static_cast<Index>(tokens.size()) - 1;
  AppendWindow(tokens, 0, {.begin = 0, .end = std::min(length, document)}, tokens.front(), windows);
  for (Index done = length; done < document; done += length) {
    const Index count = std::min(length, document - done);
    // Its last scored token is tokens[done + count], which follows what it reads.
    AppendWindow(tokens, done + count - length, {.begin = length - count, .end = length},
                 tokens.front(), windows);
  }
}

}  // namespace

TokenWindows RollDocuments(const std::vector<std::string>& documents, const EncodeText& encode,
                           TokenId prefix, Index window_tokens, std::optional<Index> max_windows,
                           const std::string& source, Index* kept_documents) {
  TokenWindows windows;
  windows.window_tokens = window_tokens;
  windows.source = source;
  Sha256 text;
  *kept_documents = 0;
  for (const std::string& document : documents) {
    ThrowIfInterrupted();
    std::vector<TokenId> tokens = {prefix};
    const std::vector<TokenId> own = encode(document);
    DAQ_CHECK(!own.empty(), "a document has a token");
    const Index count = (static_cast<Index>(own.size()) + window_tokens - 1) / window_tokens;
    if (max_windows && windows.count() + count > *max_windows) {
      if (*kept_documents > 0) break;
      throw MaxWindowsError(source, fmt::format("{} or more, the windows of the first page", count),
                            *max_windows);
    }
    tokens.insert(tokens.end(), own.begin(), own.end());
    AppendDocument(tokens, &windows);
    text.Update(document);
    ++*kept_documents;
  }
  windows.text_sha256 = text.HexDigest();
  HashIds(windows);
  return windows;
}

}  // namespace daq
