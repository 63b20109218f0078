#include "eval/protocols.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "base/python_random.h"
#include "eval/id_windows.h"
#include "eval/max_windows.h"
#include "eval/rolling_windows.h"
#include "eval/text_rows.h"
#include "eval/tokenizer.h"
#include "eval/utf8.h"
#include "eval/wikitext_pages.h"
#include "eval/window_cutting.h"

namespace daq {
namespace {

constexpr Index kC4Windows = 256;     // both C4 protocols: 256 windows
constexpr Index kC4Documents = 1100;  // gptq-c4-new: valdata[:1100]
constexpr std::string_view kC4File = "c4-validation.00000-of-00008.json.gz";

EncodeText EncodeBy(const Tokenizer& tokenizer) {
  return [&tokenizer](std::string_view text) { return tokenizer.Encode(text); };
}

TokenWindows MakeWikiText2(const WindowRequest& request, const Tokenizer& tokenizer) {
  const std::string text = JoinRows(ReadTextRows(request.file), "\n\n");
  return CutText(text, EncodeBy(tokenizer), request.window_tokens, request.max_windows,
                 request.file.string());
}

// How many of a C4 protocol's windows are asked for.
Index C4Windows(const WindowRequest& request) {
  const Index count = request.max_windows.value_or(kC4Windows);
  if (count > kC4Windows) {
    throw MaxWindowsError(
        request.file.string(),
        fmt::format("at most {}, the windows of {}", kC4Windows, request.protocol), count);
  }
  return count;
}

TokenWindows MakeC4(const WindowRequest& request, const Tokenizer& tokenizer) {
  PythonRandom random(0);
  return RandomCrops(ReadTextRows(request.file), EncodeBy(tokenizer), request.window_tokens,
                     C4Windows(request), random, request.file.string());
}

TokenWindows MakeC4New(const WindowRequest& request, const Tokenizer& tokenizer) {
  const Index wanted = C4Windows(request);
  const TextRows rows = ReadTextRows(request.file, kC4Documents);
  TokenWindows windows = CutText(JoinRows(rows, " "), EncodeBy(tokenizer), request.window_tokens,
                                 wanted, request.file.string());
  // 1100 documents may give fewer than 256 windows: that is the protocol. Fewer documents stand for
  // the 1100 only where they reach as far, because then the ids are the same.
  if (rows.count() < kC4Documents && windows.count() < wanted) {
    throw InputError(
        {windows.source},
        fmt::format(
            "the first {} documents are needed, found {}, which give {} of {} windows of {} tokens",
            kC4Documents, rows.count(), windows.count(), wanted, request.window_tokens));
  }
  return windows;
}

TokenWindows MakeLlamaCpp(const WindowRequest& request, const Tokenizer& tokenizer) {
  const std::string source = request.file.string();
  if (tokenizer.add_eos()) {
    throw InputError({source},
                     "the tokenizer adds an EOS to a text, for which the protocol is not defined "
                     "(llama-perplexity stops there)");
  }
  std::string text = ReadRawText(request.file);
  if (text.ends_with('\n')) text.pop_back();  // as llama.cpp does with a file given by --file
  std::optional<TokenId> bos;
  if (tokenizer.add_bos()) bos = tokenizer.bos_id();
  return CutHalfScoredChunks(text, EncodeBy(tokenizer), bos, request.window_tokens,
                             request.max_windows, source);
}

// lm-evaluation-harness's prefix token: BOS, or else EOS.
TokenId PrefixOf(const Tokenizer& tokenizer, const std::string& source) {
  if (tokenizer.bos_id() >= 0) return tokenizer.bos_id();
  if (tokenizer.eos_id() >= 0) return tokenizer.eos_id();
  throw InputError({source},
                   "the tokenizer has neither a BOS nor an EOS, one of which has to stand "
                   "before the first token of a page");
}

// What the text has is less than what is asked for.
void RefuseMoreThan(const TokenWindows& windows, const WindowRequest& request) {
  if (request.max_windows.value_or(0) <= windows.count()) return;
  throw MaxWindowsError(windows.source,
                        fmt::format("at most {} windows of {} tokens, all that {} has",
                                    windows.count(), windows.window_tokens, windows.source),
                        *request.max_windows);
}

TokenWindows MakeLmEvalWikiText(const WindowRequest& request, const Tokenizer& tokenizer) {
  const std::string source = request.file.string();
  const std::vector<std::string> pages = WikiTextPages(WithLineFeeds(ReadRawText(request.file)));
  if (pages.empty()) {
    throw InputError({source},
                     "no page: expected a line such as \" = Title = \", at which a page begins");
  }
  std::vector<std::string> documents;
  for (const std::string& page : pages) documents.push_back(DetokenizeWikiText(page));
  Index kept = 0;
  TokenWindows windows = RollDocuments(documents, EncodeBy(tokenizer), PrefixOf(tokenizer, source),
                                       request.window_tokens, request.max_windows, source, &kept);
  if (kept == static_cast<Index>(pages.size())) RefuseMoreThan(windows, request);
  windows.text_size = TextSize{};
  for (const std::string& page : std::span(pages).first(static_cast<std::size_t>(kept))) {
    windows.text_size->words += CountPiecesAtSpace(page);
    windows.text_size->bytes += static_cast<std::int64_t>(page.size());
  }
  return windows;
}

constexpr std::array<ProtocolInfo, 6> kProtocols = {{
    {"gptq-wikitext2", "all rows joined by two line feeds, tokenised at once, disjoint windows",
     "IST-DASLab/gptq 2d65066, datautils.py get_wikitext2", "wikitext2", "wiki.test.raw"},
    {"gptq-c4", "256 random crops of documents that are long enough, random.seed(0)",
     "IST-DASLab/gptq 2d65066, datautils.py get_c4", "c4", kC4File},
    {"gptq-c4-new",
     "the first 1100 documents joined by a space, tokenised at once, the first 256 windows",
     "IST-DASLab/gptq 2d65066, datautils.py get_c4_new", "c4", kC4File},
    {.id = "llamacpp-512",
     .summary =
         "the raw file tokenised at once, disjoint windows, the first token of each replaced "
         "by BOS, the second half of each scored",
     .source = "llama.cpp 050fc7f, tools/perplexity/perplexity.cpp perplexity",
     .dataset = "wikitext2",
     .dataset_file = "wiki.test.raw",
     .window_tokens = 512},
    {.id = "lm-eval-wikitext",
     .summary = "the pages of WikiText-2, detokenised and tokenised one by one, every token scored "
                "once in windows that follow each other; also perplexity by words and bytes",
     .source = "lm-evaluation-harness 0.4.13, task wikitext",
     .dataset = "wikitext2",
     .dataset_file = "wiki.test.raw",
     .published_metric = "word_perplexity"},
    {"ids", "windows of token ids from a JSON file", "daq-bench", "", ""},
}};

// What makes the windows of the protocol in the same row; none for `ids`, which needs no tokenizer.
using MakeWindows = TokenWindows (*)(const WindowRequest&, const Tokenizer&);
constexpr std::array<MakeWindows, kProtocols.size()> kMakers = {
    MakeWikiText2, MakeC4, MakeC4New, MakeLlamaCpp, MakeLmEvalWikiText, nullptr};

}  // namespace

std::span<const ProtocolInfo> EvaluationProtocols() { return kProtocols; }

const ProtocolInfo* FindEvaluationProtocol(std::string_view id) {
  const auto* found = std::find_if(kProtocols.begin(), kProtocols.end(),
                                   [&](const auto& info) { return info.id == id; });
  return found == kProtocols.end() ? nullptr : &*found;
}

TokenWindows MakeEvaluationWindows(const WindowRequest& request, const Tokenizer* tokenizer,
                                   Index vocab_size) {
  const ProtocolInfo* info = FindEvaluationProtocol(request.protocol);
  DAQ_CHECK(info != nullptr, request.protocol);
  DAQ_CHECK(request.window_tokens >= 2 && request.max_windows.value_or(1) >= 1,
            "sizes checked where they were read");
  const MakeWindows make = kMakers.at(static_cast<std::size_t>(info - kProtocols.data()));
  DAQ_CHECK(make == nullptr || tokenizer != nullptr, "a text needs a tokenizer");
  TokenWindows windows = make == nullptr
                             ? ReadIdWindows(request.file, request.max_windows, vocab_size)
                             : make(request, *tokenizer);
  if (make != MakeLmEvalWikiText) RefuseMoreThan(windows, request);
  if (make != nullptr) CheckIds(windows, vocab_size);
  return windows;
}

}  // namespace daq
