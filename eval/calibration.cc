#include "eval/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/python_random.h"
#include "base/sha256.h"
#include "eval/id_windows.h"
#include "eval/shuffled_documents.h"
#include "eval/text_rows.h"
#include "eval/tokenizer.h"
#include "eval/utf8.h"
#include "eval/window_cutting.h"

namespace daq {
namespace {

// llm-awq's calib_data.py skips longer documents whatever its block size is: the number stands
// there as it is.
constexpr Index kLongestDocument = 512;

std::uint64_t SeedOf(const CalibrationWindowRequest& request) {
  return static_cast<std::uint64_t>(*request.seed);
}

CalibrationWindows MakeText(const CalibrationWindowRequest& request, const EncodeText& encode) {
  TokenWindows windows = CutText(JoinRows(ReadTextRows(request.file), "\n\n"), encode,
                                 request.window_tokens, request.windows, request.file.string());
  std::string hash = windows.text_sha256;
  return {std::move(windows), {std::move(hash)}};
}

CalibrationWindows MakeGptqWikiText2(const CalibrationWindowRequest& request,
                                     const EncodeText& encode) {
  PythonRandom random(SeedOf(request));
  TokenWindows windows =
      RandomCropsOfText(JoinRows(ReadTextRows(request.file), "\n\n"), encode, request.window_tokens,
                        *request.windows, random, request.file.string());
  std::string hash = windows.text_sha256;
  return {std::move(windows), {std::move(hash)}};
}

CalibrationWindows MakeGptqC4(const CalibrationWindowRequest& request, const EncodeText& encode) {
  PythonRandom random(SeedOf(request));
  std::vector<std::string> hashes;
  TokenWindows windows = RandomCrops(ReadTextRows(request.file), encode, request.window_tokens,
                                     *request.windows, random, request.file.string(), &hashes);
  return {std::move(windows), std::move(hashes)};
}

// The ids of short documents in shuffled order, one after another: what both protocols on the Pile
// cut into windows.
class ShortDocuments {
 public:
  ShortDocuments(const CalibrationWindowRequest& request, const EncodeText& encode)
      : documents_(request.file, SeedOf(request)), encode_(encode) {}

  // Takes one more document; false if there is none.
  bool TakeOne() {
    std::string row;
    while (documents_.Next(&row)) {
      ThrowIfInterrupted();
      const std::string_view text = Strip(row);
      const std::vector<TokenId> ids = encode_(text);
      if (ids.empty() || static_cast<Index>(ids.size()) > kLongestDocument) continue;
      ids_.insert(ids_.end(), ids.begin(), ids.end());
      hash_.Update(text);
      ++taken_;
      return true;
    }
    return false;
  }

  Index taken() const { return taken_; }
  Index tokens() const { return static_cast<Index>(ids_.size()); }
  // Of the documents taken, one after another.
  std::string TextHash() const { return hash_.HexDigestSoFar(); }

  // The first `count` windows of the ids so far. Throws InputError if they are none.
  TokenWindows Cut(const CalibrationWindowRequest& request, Index count) {
    const std::string source = request.file.string();
    if (count == 0) {
      throw InputError(
          {source}, fmt::format("the documents of 1 to {} tokens are shorter than one window: {} "
                                "tokens in {} of {} documents, a window has {}",
                                kLongestDocument, tokens(), taken_, documents_.count(),
                                request.window_tokens));
    }
    TokenWindows windows;
    windows.window_tokens = request.window_tokens;
    windows.source = source;
    windows.ids = std::move(ids_);
    windows.ids.resize(static_cast<std::size_t>(count * request.window_tokens));
    return windows;
  }

 private:
  ShuffledDocuments documents_;
  const EncodeText& encode_;
  std::vector<TokenId> ids_;
  Sha256 hash_;
  Index taken_ = 0;
};

CalibrationWindows MakeAwqPileVal(const CalibrationWindowRequest& request,
                                  const EncodeText& encode) {
  ShortDocuments documents(request, encode);
  while (documents.taken() < *request.documents && documents.TakeOne()) {
  }
  if (documents.taken() < *request.documents) {
    throw InputError({request.file.string()},
                     fmt::format("the text has {} documents of 1 to {} tokens, fewer than the {} "
                                 "asked for",
                                 documents.taken(), kLongestDocument, *request.documents));
  }
  std::string hash = documents.TextHash();
  const Index count = documents.tokens() / request.window_tokens;
  return {documents.Cut(request, count), {std::move(hash)}};
}

CalibrationWindows MakeDaq(const CalibrationWindowRequest& request, const EncodeText& encode) {
  ShortDocuments documents(request, encode);
  std::vector<std::string> hashes;
  Index complete = 0;
  while (complete < *request.windows && documents.TakeOne()) {
    // Several windows may end in one document; the text of each is all that was read by then.
    for (; complete < std::min(documents.tokens() / request.window_tokens, *request.windows);
         ++complete) {
      hashes.push_back(documents.TextHash());
    }
  }
  return {documents.Cut(request, complete), std::move(hashes)};
}

constexpr std::string_view kPileFile = "val.jsonl.zst";

constexpr std::array<CalibrationProtocol, 6> kProtocols = {{
    {"awq-pile-val",
     "the first documents of a shuffled text that have 1 to 512 tokens, each stripped and with its "
     "BOS, concatenated, disjoint windows",
     "mit-han-lab/llm-awq d6e797a, awq/utils/calib_data.py get_calib_dataset", "pile-val",
     kPileFile, std::nullopt, 128, 512, 42},
    {"daq", "the same stream of documents, read until it fills the windows",
     "LuoYingSong/DAQ 3d3eea9, awq/utils/calib_data.py get_calib_dataset, token_size", "pile-val",
     kPileFile, 1, std::nullopt, 512, 42},
    {"gptq-c4", "random crops of documents that are long enough",
     "IST-DASLab/gptq 2d65066, datautils.py get_c4", "c4", "c4-train.00000-of-01024.json.gz", 128,
     std::nullopt, 2048, 0},
    {"gptq-wikitext2", "random crops of all rows joined by two line feeds and tokenised at once",
     "IST-DASLab/gptq 2d65066, datautils.py get_wikitext2", "wikitext2", "wiki.train.raw", 128,
     std::nullopt, 2048, 0},
    {"text", "all rows joined by two line feeds, tokenised at once, disjoint windows", "daq-bench",
     "", "", 1, std::nullopt, 512, std::nullopt},
    {"ids", "windows of token ids from a JSON file", "daq-bench", "", "", 1, std::nullopt,
     std::nullopt, std::nullopt},
}};

// What makes the windows of the protocol in the same row; none for `ids`, which needs no tokenizer.
using MakeWindows = CalibrationWindows (*)(const CalibrationWindowRequest&, const EncodeText&);
constexpr std::array<MakeWindows, kProtocols.size()> kMakers = {
    MakeAwqPileVal, MakeDaq, MakeGptqC4, MakeGptqWikiText2, MakeText, nullptr};

void CheckRequest(const CalibrationWindowRequest& request, const CalibrationProtocol& protocol) {
  DAQ_CHECK(request.windows.has_value() == protocol.windows.has_value() &&
                request.documents.has_value() == protocol.documents.has_value() &&
                request.seed.has_value() == protocol.seed.has_value(),
            "the keys of the protocol, checked where they were read");
  DAQ_CHECK(request.window_tokens >= 2 && request.windows.value_or(1) >= 1 &&
                request.documents.value_or(1) >= 1 && request.seed.value_or(0) >= 0,
            "sizes checked where they were read");
}

}  // namespace

CalibrationWindows::CalibrationWindows(TokenWindows all, std::vector<std::string> text_sha256)
    : all_(std::move(all)), text_sha256_(std::move(text_sha256)) {
  const auto hashes = static_cast<Index>(text_sha256_.size());
  DAQ_CHECK(count() >= 1 && (hashes == 1 || hashes == count()), "a text hash for every size");
  all_.text_sha256 = text_sha256_.back();
  HashIds(all_);
}

TokenWindows CalibrationWindows::First(Index count) const {
  DAQ_CHECK(count >= 1 && count <= all_.count(), "windows that are there");
  if (count == all_.count()) return all_;
  TokenWindows first;
  first.window_tokens = all_.window_tokens;
  first.ids.assign(all_.ids.begin(), all_.ids.begin() + count * all_.window_tokens);
  first.source = all_.source;
  first.text_sha256 = text_sha256_[static_cast<std::size_t>(
      std::min(count, static_cast<Index>(text_sha256_.size())) - 1)];
  HashIds(first);
  return first;
}

std::span<const CalibrationProtocol> CalibrationProtocols() { return kProtocols; }

const CalibrationProtocol* FindCalibrationProtocol(std::string_view id) {
  const auto* found = std::find_if(kProtocols.begin(), kProtocols.end(),
                                   [&](const auto& protocol) { return protocol.id == id; });
  return found == kProtocols.end() ? nullptr : &*found;
}

CalibrationWindows MakeCalibrationWindows(const CalibrationWindowRequest& request,
                                          const Tokenizer* tokenizer, Index vocab_size) {
  const CalibrationProtocol* protocol = FindCalibrationProtocol(request.protocol);
  DAQ_CHECK(protocol != nullptr, request.protocol);
  CheckRequest(request, *protocol);
  const MakeWindows make = kMakers.at(static_cast<std::size_t>(protocol - kProtocols.data()));
  if (make == nullptr) {
    TokenWindows windows = ReadIdWindows(request.file, request.windows, vocab_size);
    std::string hash = windows.text_sha256;
    return {std::move(windows), {std::move(hash)}};
  }
  DAQ_CHECK(tokenizer != nullptr, "a text needs a tokenizer");
  const EncodeText encode = [tokenizer](std::string_view text) { return tokenizer->Encode(text); };
  CalibrationWindows windows = make(request, encode);
  CheckIds(windows.all(), vocab_size);
  return windows;
}

}  // namespace daq
