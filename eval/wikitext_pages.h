#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace daq {

// The pages (articles) of a WikiText file as EleutherAI's data set `wikitext_document_level` has
// them: a page begins at each line that is a heading of the first level, " = Title = ", and is all
// lines up to the next one, joined by line feeds, so that the feed before the next heading belongs
// to no page. What stands before the first heading is a page unless it is blank. `text` is valid
// UTF-8 without "\r". Empty if no line is a heading.
// Source: EleutherAI/lm-evaluation-harness 2444412, lm_eval/datasets/wikitext/wikitext.py,
// _generate_examples, the script that the data set was made by.
std::vector<std::string> WikiTextPages(std::string_view text);

// A page as lm-evaluation-harness gives it to the model: WikiText's spaces around punctuation and
// its " @-@ " taken away. Equal to the authors' function in every quirk: quotation marks are paired
// in the order in which they come, over line ends too, and one rule can match nothing but itself.
// Source: the same repository, 0.4.13, lm_eval/tasks/wikitext/preprocess_wikitext.py,
// wikitext_detokenizer.
std::string DetokenizeWikiText(std::string_view page);

}  // namespace daq
