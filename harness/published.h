#pragma once
#include <string>
#include <vector>

#include "harness/experiment.h"

namespace daq {

// A perplexity that a paper or tool reports: a row of results/published.csv.
struct PublishedValue {
  std::string model;             // "LLaMA-2-7B"
  std::string method;            // as this project names it where it has it: "gptq"
  std::string format;            // likewise: "int4", "f16"
  std::string granularity;       // "channel", "group-128"; "none" for full precision
  std::string calibration = {};  // in the source's words; empty where it tells none
  std::string protocol;     // an id of docs/protocols.md; empty where it is another or not told
  Index window_tokens = 0;  // 0: the protocol's usual
  std::string metric = "perplexity";  // which one, as a result names it
  std::string printed;                // the number as printed: "5.68", "2.6e5"
  double value = 0;
  std::string source;
  std::string table;  // where in the source
};

// The perplexities of results/published.csv as it was when the program was built, in its order.
const std::vector<PublishedValue>& PublishedValues();

// The same from the text of such a file; `name` is what messages call it. A protocol may say its
// window where that is not the usual one: "lm-eval-wikitext@4096". Throws InputError for a line
// with another number of fields, a missing column, or a value or window that is no number.
std::vector<PublishedValue> ParsePublished(const std::string& text, const std::string& name);

// The name under which papers write a model that a config calls `model`: the last part of the path
// or id, in lower case, without "meta-" before and "-hf" behind. The published models' names are
// compared in lower case too: "meta-llama/Llama-2-7b-hf" is "llama-2-7b" is "LLaMA-2-7B".
std::string PublishedModelName(const std::string& model);

// The number of a result's metric that published values of a protocol are of: "perplexity",
// "word_perplexity".
std::string PublishedMetric(const std::string& protocol);

// Whether an evaluation is of a text that published numbers of its protocol are of: the protocol's
// own, whole.
bool IsAsPublished(const EvaluationRequest& request);

// Values of one model, recipe and protocol in windows of that length (0: its usual), of its
// PublishedMetric, in the file's order.
std::vector<const PublishedValue*> FindPublished(
    const std::vector<PublishedValue>& values, const std::string& model, const std::string& method,
    const std::string& format, const std::string& granularity, const std::string& protocol,
    Index window_tokens = 0);

}  // namespace daq
