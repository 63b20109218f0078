#include "eval/window_cutting.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <span>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/sha256.h"

namespace daq {
namespace {

// The tokenised documents of a draw: those long enough keep their ids, the others only the fact.
class DocumentCache {
 public:
  DocumentCache(const TextRows& rows, const EncodeText& encode, Index window_tokens)
      : rows_(rows), encode_(encode), window_tokens_(window_tokens) {}

  // The ids of a document, or nullptr if they are fewer than a window.
  const std::vector<TokenId>* Find(Index document) {
    auto found = ids_.find(document);
    if (found == ids_.end()) {
      ThrowIfInterrupted();
      std::vector<TokenId> ids = encode_(rows_.row(document));
      const bool short_document = static_cast<Index>(ids.size()) < window_tokens_;
      if (short_document) ++short_documents_;
      longest_ = std::max(longest_, static_cast<Index>(ids.size()));
      found =
          ids_.emplace(document, short_document ? std::vector<TokenId>() : std::move(ids)).first;
    }
    return found->second.empty() ? nullptr : &found->second;
  }

  bool AllAreShort() const { return short_documents_ == rows_.count(); }
  Index longest() const { return longest_; }

 private:
  const TextRows& rows_;
  const EncodeText& encode_;
  Index window_tokens_;
  std::unordered_map<Index, std::vector<TokenId>> ids_;
  Index short_documents_ = 0;
  Index longest_ = 0;
};

Index DrawDocument(DocumentCache& documents, const TextRows& rows, Index window_tokens,
                   PythonRandom& random, const std::string& source) {
  while (true) {
    const Index document = random.RandInt(0, rows.count() - 1);
    if (documents.Find(document) != nullptr) return document;
    if (documents.AllAreShort()) {
      throw InputError(
          {source},
          fmt::format("none of the {} documents has the {} tokens of a window: the longest has {}",
                      rows.count(), window_tokens, documents.longest()));
    }
  }
}

// Appends the window that begins at ids[first].
void AppendCrop(const std::vector<TokenId>& ids, Index first, TokenWindows* windows) {
  const auto crop = std::span(ids).subspan(static_cast<std::size_t>(first),
                                           static_cast<std::size_t>(windows->window_tokens));
  windows->ids.insert(windows->ids.end(), crop.begin(), crop.end());
}

}  // namespace

TokenWindows CutText(std::string_view text, const EncodeText& encode, Index window_tokens,
                     std::optional<Index> max_windows, const std::string& source) {
  TokenWindows windows;
  windows.window_tokens = window_tokens;
  windows.source = source;
  windows.ids = encode(text);
  const auto tokens = static_cast<Index>(windows.ids.size());
  if (tokens < window_tokens) {
    throw InputError({source},
                     fmt::format("the text is shorter than one window: {} tokens, a window has {}",
                                 tokens, window_tokens));
  }
  const Index count = std::min(tokens / window_tokens, max_windows.value_or(tokens));
  windows.ids.resize(static_cast<std::size_t>(count * window_tokens));
  windows.ids.shrink_to_fit();
  windows.text_sha256 = Sha256Hex(text);
  HashIds(windows);
  return windows;
}

TokenWindows CutHalfScoredChunks(std::string_view text, const EncodeText& encode,
                                 std::optional<TokenId> bos, Index window_tokens,
                                 std::optional<Index> max_windows, const std::string& source) {
  if (window_tokens < 3) {
    throw InputError({source}, "window_tokens", "3 or more, for half of a window is scored",
                     fmt::format("{}", window_tokens));
  }
  TokenWindows windows;
  windows.window_tokens = window_tokens;
  windows.source = source;
  windows.ids = encode(text);
  const auto tokens = static_cast<Index>(windows.ids.size());
  if (tokens < 2 * window_tokens) {
    throw InputError({source}, fmt::format("the text is shorter than two windows of {} tokens, "
                                           "which llama-perplexity needs: {} tokens",
                                           window_tokens, tokens));
  }
  const Index count = std::min(tokens / window_tokens, max_windows.value_or(tokens));
  windows.ids.resize(static_cast<std::size_t>(count * window_tokens));
  windows.ids.shrink_to_fit();
  for (Index first = 0; bos && first < count * window_tokens; first += window_tokens)
    windows.ids[static_cast<std::size_t>(first)] = *bos;
  windows.scored.assign(static_cast<std::size_t>(count),
                        {.begin = window_tokens / 2, .end = window_tokens - 1});
  windows.text_sha256 = Sha256Hex(text);
  HashIds(windows);
  return windows;
}

TokenWindows RandomCrops(const TextRows& rows, const EncodeText& encode, Index window_tokens,
                         Index count, PythonRandom& random, const std::string& source,
                         std::vector<std::string>* text_sha256) {
  TokenWindows windows;
  windows.window_tokens = window_tokens;
  windows.source = source;
  DocumentCache documents(rows, encode, window_tokens);
  Sha256 text;
  for (Index crop = 0; crop < count; ++crop) {
    const Index document = DrawDocument(documents, rows, window_tokens, random, source);
    const std::vector<TokenId>& ids = *documents.Find(document);
    const Index spare = static_cast<Index>(ids.size()) - window_tokens;
    if (spare == 0) {
      throw InputError(
          {source, static_cast<int>(document + 1)},
          fmt::format(
              "a document of exactly {0} tokens was drawn, for which the protocol is not defined "
              "(randint(0, -1) in its authors' code); use other window_tokens than {0}",
              window_tokens));
    }
    const Index first = random.RandInt(0, spare - 1);
    AppendCrop(ids, first, &windows);
    text.Update(rows.row(document));
    if (text_sha256 != nullptr) text_sha256->push_back(text.HexDigestSoFar());
  }
  windows.text_sha256 = text.HexDigest();
  HashIds(windows);
  return windows;
}

TokenWindows RandomCropsOfText(std::string_view text, const EncodeText& encode, Index window_tokens,
                               Index count, PythonRandom& random, const std::string& source) {
  const std::vector<TokenId> ids = encode(text);
  const Index spare = static_cast<Index>(ids.size()) - window_tokens;
  if (spare <= 0) {
    throw InputError(
        {source}, fmt::format("the text has {} tokens: random crops of {} need one more or longer",
                              ids.size(), window_tokens));
  }
  TokenWindows windows;
  windows.window_tokens = window_tokens;
  windows.source = source;
  for (Index crop = 0; crop < count; ++crop)
    AppendCrop(ids, random.RandInt(0, spare - 1), &windows);
  windows.text_sha256 = Sha256Hex(text);
  HashIds(windows);
  return windows;
}

void CheckIds(const TokenWindows& windows, Index vocab_size) {
  const auto check = [&](TokenId id, Index window, Index token) {
    if (id >= 0 && id < vocab_size) return;
    throw InputError({windows.source}, fmt::format("token {} of window {} has id {}, the model has "
                                                   "ids 0..{}: the tokenizer is not the model's",
                                                   token, window, id, vocab_size - 1));
  };
  const Index tokens = windows.window_tokens;
  for (std::size_t at = 0; at < windows.ids.size(); ++at)
    check(windows.ids[at], static_cast<Index>(at) / tokens, static_cast<Index>(at) % tokens);
  for (std::size_t window = 0; window < windows.following.size(); ++window)
    check(windows.following[window], static_cast<Index>(window), tokens);
}

void HashIds(TokenWindows& windows) {
  static_assert(std::endian::native == std::endian::little, "ids are hashed as they lie in memory");
  Sha256 hash;
  hash.Update(std::as_bytes(std::span(windows.ids)));
  hash.Update(std::as_bytes(std::span(windows.following)));
  windows.ids_sha256 = hash.HexDigest();
}

}  // namespace daq
