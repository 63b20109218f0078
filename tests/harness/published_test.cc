#include "harness/published.h"

#include <gtest/gtest.h>

#include <set>

#include "eval/protocols.h"
#include "harness/protocol_gate.h"
#include "tests/support/input_error.h"

namespace daq {
namespace {

constexpr const char* kHeader =
    "model,method,format,granularity,calibration,protocol,metric,value,source,table,note\n";

std::string ErrorOf(const std::string& text) {
  return InputErrorOf("", [&] { ParsePublished(text, "p.csv"); });
}

TEST(PublishedTest, TheTableHasFullPrecisionOfThePapersModels) {
  // Printed in the papers of OmniQuant and AWQ and by GPTQ's own repository.
  const auto fp = [](const std::string& model, const std::string& protocol) {
    std::set<std::string> printed;
    for (const PublishedValue* value :
         FindPublished(PublishedValues(), model, "fp16", "f16", "none", protocol))
      printed.insert(value->printed);
    return printed;
  };
  EXPECT_EQ(fp("huggyllama/llama-7b", "gptq-wikitext2"), std::set<std::string>{"5.68"});
  EXPECT_EQ(fp("huggyllama/llama-7b", "gptq-c4"), std::set<std::string>{"7.08"});
  EXPECT_EQ(fp("meta-llama/Llama-2-7b-hf", "gptq-wikitext2"), std::set<std::string>{"5.47"});
  EXPECT_EQ(fp("meta-llama/Llama-2-70b-hf", "gptq-wikitext2"),
            (std::set<std::string>{"3.31", "3.32"}));
  EXPECT_EQ(FindPublished(PublishedValues(), "models/Llama-2-7B", "gptq", "int4", "group-128",
                          "gptq-wikitext2")
                .front()
                ->printed,
            "5.61");
  EXPECT_TRUE(FindPublished(PublishedValues(), "llama-7b", "fp16", "f16", "none", "").empty())
      << "values of unknown protocols are nobody's";
}

TEST(PublishedTest, ProtocolsAreThisProgramsOrNone) {
  for (const PublishedValue& value : PublishedValues()) {
    EXPECT_FALSE(value.source.empty());
    EXPECT_FALSE(value.table.empty()) << value.source;
    // Where a copy was read tells a reader nothing.
    EXPECT_EQ(value.table.find("index file"), std::string::npos) << value.table;
  }
  EXPECT_GT(PublishedValues().size(), 900U);
}

// lm-evaluation-harness prints perplexity by words, and takes the model's context for a window.
TEST(PublishedTest, WordPerplexitiesAreOfTheWindowTheyWereMadeWith) {
  EXPECT_EQ(PublishedMetric("lm-eval-wikitext"), "word_perplexity");
  EXPECT_EQ(PublishedMetric("llamacpp-512"), "perplexity");
  EXPECT_EQ(PublishedMetric("unknown"), "perplexity");
  const auto found = [](Index window_tokens) {
    return FindPublished(PublishedValues(), "llama-2-7b", "fp16", "f16", "none", "lm-eval-wikitext",
                         window_tokens);
  };
  ASSERT_EQ(found(4096).size(), 2U);
  EXPECT_EQ(found(4096)[0]->printed, "8.7921");
  EXPECT_TRUE(found(2048).empty());
  EXPECT_TRUE(found(0).empty()) << "the protocol's usual 2048";
  EXPECT_EQ(
      FindPublished(PublishedValues(), "llama-7b", "fp16", "f16", "none", "gptq-wikitext2", 2048)
          .size(),
      FindPublished(PublishedValues(), "llama-7b", "fp16", "f16", "none", "gptq-wikitext2").size());
  // A number of another kind under that protocol is not one of its published ones.
  const auto values = ParsePublished(
      std::string(kHeader) + "M,fp16,f16,none,,lm-eval-wikitext@64,byte_perplexity,1.5,s,T,n\n" +
          "M,fp16,f16,none,,lm-eval-wikitext@64,word_perplexity,8.79,s,T,n\n",
      "p.csv");
  ASSERT_EQ(values.size(), 2U);
  const auto word = FindPublished(values, "m", "fp16", "f16", "none", "lm-eval-wikitext", 64);
  ASSERT_EQ(word.size(), 1U);
  EXPECT_EQ(word[0]->printed, "8.79");
  EXPECT_EQ(ErrorOf(std::string(kHeader) + "M,rtn,f,c,,p@x,perplexity,5.6,s,T,n\n"),
            "p.csv:2: protocol: expected a number of tokens behind @, found \"x\"");
}

TEST(PublishedTest, ReadsQuotesAndLineFeeds) {
  const auto values =
      ParsePublished(std::string(kHeader) +
                         "M,rtn,int4,channel,,gptq-c4,perplexity,2.6e5,\"a, \"\"b\"\"\nc\",T1,n\r\n"
                         "M,rtn,int4,channel,,gptq-c4,mean KL divergence,0.5,s,T1,n\n",
                     "p.csv");
  ASSERT_EQ(values.size(), 1U) << "only perplexities";
  EXPECT_EQ(values[0].source, "a, \"b\"\nc");
  EXPECT_EQ(values[0].value, 2.6e5);
}

TEST(PublishedTest, DamagedTablesAreNamed) {
  EXPECT_EQ(ErrorOf("model,method\n"), "p.csv:1: header: expected a column format, found none");
  EXPECT_EQ(ErrorOf(std::string(kHeader) + "a,b\n"),
            "p.csv:2: record: expected 11 fields, found 2");
  EXPECT_EQ(ErrorOf(std::string(kHeader) + "M,rtn,f,c,,p,perplexity,5.6x,s,T,n\n"),
            "p.csv:2: value: expected a number above 0 or NaN, found \"5.6x\"");
  for (const std::string value : {"inf", "-1", "0", "1e999"}) {
    EXPECT_EQ(ErrorOf(std::string(kHeader) + "M,rtn,f,c,,p,perplexity," + value + ",s,T,n\n"),
              "p.csv:2: value: expected a number above 0 or NaN, found \"" + value + "\"");
  }
}

TEST(PublishedTest, ModelNamesAreThoseOfPapers) {
  EXPECT_EQ(PublishedModelName("meta-llama/Llama-2-7b-hf"), "llama-2-7b");
  EXPECT_EQ(PublishedModelName("meta-llama/Meta-Llama-3-8B"), "llama-3-8b");
  EXPECT_EQ(PublishedModelName("/models/LLaMA-7B/"), "llama-7b");
}

EvaluationRequest Standard() {
  return {.name = "wt2",
          .protocol = "gptq-wikitext2",
          .source = {.dataset = "wikitext2", .dataset_file = "wiki.test.raw"}};
}

TEST(ProtocolGateTest, StopsAboveOnePercentAndNamesTheSource) {
  const std::vector<PublishedValue> published = {{.model = "LLaMA-7B",
                                                  .method = "fp16",
                                                  .format = "f16",
                                                  .granularity = "none",
                                                  .protocol = "gptq-wikitext2",
                                                  .printed = "5.68",
                                                  .value = 5.68,
                                                  .source = "a paper",
                                                  .table = "Table 1"}};
  const auto problem = [&](double perplexity, const EvaluationRequest& request = Standard()) {
    return GateProblem(published, "huggyllama/llama-7b", request, perplexity);
  };
  EXPECT_EQ(problem(5.677), "");
  EXPECT_EQ(problem(5.68 * 1.0099), "");
  EXPECT_NE(problem(5.68 * 1.0101), "");
  EXPECT_NE(problem(5.68 * 0.9899).find("only part of it"), std::string::npos);
  EXPECT_TRUE(problem(6.43).starts_with(
      "full precision of huggyllama/llama-7b on wt2 has perplexity 6.430; published is 5.68 (a "
      "paper, Table 1), 13.2 % off. Likely: another text"))
      << problem(6.43);
  // What is not the protocol's own text, whole and in its windows, has no published number.
  EvaluationRequest other = Standard();
  other.max_windows = 10;
  EXPECT_EQ(problem(50, other), "");
  other = Standard();
  other.window_tokens = 512;
  EXPECT_EQ(problem(50, other), "");
  other = Standard();
  other.source = {.file = "own.txt"};
  EXPECT_EQ(problem(50, other), "");
  EXPECT_EQ(GateProblem(published, "another/model", Standard(), 50), "");
}

TEST(ProtocolGateTest, ComparesWhatTheProtocolPublishes) {
  const std::vector<PublishedValue> published = {{.model = "M",
                                                  .method = "fp16",
                                                  .format = "f16",
                                                  .granularity = "none",
                                                  .protocol = "lm-eval-wikitext",
                                                  .window_tokens = 4096,
                                                  .metric = "word_perplexity",
                                                  .printed = "8.79",
                                                  .value = 8.79,
                                                  .source = "an issue",
                                                  .table = "1"}};
  EvaluationRequest request = {.name = "words",
                               .protocol = "lm-eval-wikitext",
                               .source = {.dataset = "wikitext2", .dataset_file = "wiki.test.raw"},
                               .window_tokens = 4096};
  EXPECT_EQ(GateProblem(published, "m", request, 8.8), "");
  EXPECT_TRUE(GateProblem(published, "m", request, 5.1)
                  .starts_with("full precision of m on words has word perplexity 5.100; published "
                               "is 8.79 (an issue, 1)"));
  request.window_tokens = 2048;
  EXPECT_EQ(GateProblem(published, "m", request, 5.1), "") << "nothing published of these windows";
}

}  // namespace
}  // namespace daq
