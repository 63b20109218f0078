#include "eval/protocols.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "base/python_random.h"
#include "eval/id_windows.h"
#include "eval/text_rows.h"
#include "eval/tokenizer.h"
#include "eval/window_cutting.h"

namespace daq {
namespace {

constexpr Index kC4Windows = 256;     // both C4 protocols: 256 windows
constexpr Index kC4Documents = 1100;  // gptq-c4-new: valdata[:1100]
constexpr std::string_view kC4File = "c4-validation.00000-of-00008.json.gz";

TokenWindows MakeWikiText2(const WindowRequest& request, const EncodeText& encode) {
  const std::string text = JoinRows(ReadTextRows(request.file), "\n\n");
  return CutText(text, encode, request.window_tokens, request.max_windows, request.file.string());
}

TokenWindows MakeC4(const WindowRequest& request, const EncodeText& encode) {
  PythonRandom random(0);
  const Index count = std::min(kC4Windows, request.max_windows.value_or(kC4Windows));
  return RandomCrops(ReadTextRows(request.file), encode, request.window_tokens, count, random,
                     request.file.string());
}

TokenWindows MakeC4New(const WindowRequest& request, const EncodeText& encode) {
  const TextRows rows = ReadTextRows(request.file, kC4Documents);
  const Index wanted = std::min(kC4Windows, request.max_windows.value_or(kC4Windows));
  TokenWindows windows =
      CutText(JoinRows(rows, " "), encode, request.window_tokens, wanted, request.file.string());
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

constexpr std::array<ProtocolInfo, 4> kProtocols = {{
    {"gptq-wikitext2", "all rows joined by two line feeds, tokenised at once, disjoint windows",
     "IST-DASLab/gptq 2d65066, datautils.py get_wikitext2", "wikitext2", "wiki.test.raw"},
    {"gptq-c4", "256 random crops of documents that are long enough, random.seed(0)",
     "IST-DASLab/gptq 2d65066, datautils.py get_c4", "c4", kC4File},
    {"gptq-c4-new",
     "the first 1100 documents joined by a space, tokenised at once, the first 256 windows",
     "IST-DASLab/gptq 2d65066, datautils.py get_c4_new", "c4", kC4File},
    {"ids", "windows of token ids from a JSON file", "daq-bench", "", ""},
}};

// What makes the windows of the protocol in the same row; none for `ids`, which needs no tokenizer.
using MakeWindows = TokenWindows (*)(const WindowRequest&, const EncodeText&);
constexpr std::array<MakeWindows, kProtocols.size()> kMakers = {MakeWikiText2, MakeC4, MakeC4New,
                                                                nullptr};

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
  if (make == nullptr) return ReadIdWindows(request.file, request.max_windows, vocab_size);
  DAQ_CHECK(tokenizer != nullptr, "a text needs a tokenizer");
  TokenWindows windows =
      make(request, [tokenizer](std::string_view text) { return tokenizer->Encode(text); });
  CheckIds(windows, vocab_size);
  return windows;
}

}  // namespace daq
