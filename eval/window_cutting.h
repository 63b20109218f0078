#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/matrix.h"
#include "base/python_random.h"
#include "eval/text_rows.h"
#include "eval/token_windows.h"

namespace daq {

// The ids of one text, as Tokenizer::Encode gives them. Called from one thread.
using EncodeText = std::function<std::vector<TokenId>(std::string_view)>;

// Tokenises `text` in one call and cuts the ids into disjoint windows from the first id on; a rest
// that fills no window is dropped. Keeps the first max_windows. `source` names the file in the
// result and in messages. Throws InputError if the text gives less than one window.
TokenWindows CutText(std::string_view text, const EncodeText& encode, Index window_tokens,
                     std::optional<Index> max_windows, const std::string& source);

// The chunks of llama.cpp's llama-perplexity (tools/perplexity/perplexity.cpp at 050fc7f):
// tokenises `text` in one call and cuts it as CutText does; the first id of every chunk is then
// replaced by `bos`, if given, and only the second half is scored, positions window_tokens / 2 ..
// window_tokens - 2. Throws InputError if the text gives less than two chunks, or a chunk has
// nothing to score (two tokens).
TokenWindows CutHalfScoredChunks(std::string_view text, const EncodeText& encode,
                                 std::optional<TokenId> bos, Index window_tokens,
                                 std::optional<Index> max_windows, const std::string& source);

// The crops of GPTQ's get_c4 (IST-DASLab/gptq 2d65066, datautils.py), `count` of them, with the
// same draws of `random` in the same order: draws documents randint(0, rows - 1) until one has at
// least window_tokens ids (BOS counts), then its first id randint(0, ids - window_tokens - 1). A
// document may be drawn again; it is tokenised once. The text hash is of the documents of the
// crops, one after another, repeats included. Throws InputError, with the line, for a drawn
// document of exactly window_tokens ids (the authors' randint(0, -1) raises there), and if no
// document is long enough (theirs would draw for ever). `text_sha256`, if given, gets the text hash
// of the first k crops at [k - 1].
TokenWindows RandomCrops(const TextRows& rows, const EncodeText& encode, Index window_tokens,
                         Index count, PythonRandom& random, const std::string& source,
                         std::vector<std::string>* text_sha256 = nullptr);

// The crops of GPTQ's get_wikitext2 (the same file), `count` of them: tokenises `text` in one call
// and draws the first id of each, randint(0, ids - window_tokens - 1). Crops may overlap. Throws
// InputError for a text of no more than window_tokens ids, where the authors' randint raises.
TokenWindows RandomCropsOfText(std::string_view text, const EncodeText& encode, Index window_tokens,
                               Index count, PythonRandom& random, const std::string& source);

// Throws InputError for an id outside [0, vocab_size): the tokenizer is another model's.
void CheckIds(const TokenWindows& windows, Index vocab_size);

// Sets ids_sha256 from `windows.ids` and `following`.
void HashIds(TokenWindows& windows);

}  // namespace daq
