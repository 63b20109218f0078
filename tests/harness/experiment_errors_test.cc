// The exact message of each kind of mistake in a config.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "harness/parse_experiment.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

std::string ErrorOf(const std::string& text) {
  return MessageOf([&] { ParseExperiment(text, "x.yaml"); });
}

using Cases = std::vector<std::pair<std::string, std::string>>;

TEST(ExperimentErrorTest, TopLevel) {
  const std::string keys = "one of model, memory_budget, calibration, evaluate, recipes, sweep";
  const std::string rest = "evaluate: [gptq-c4]\nrecipes: [fp16]\n";
  const Cases cases = {
      {"", "x.yaml: expected a map with model, evaluate and recipes, found nothing"},
      {"- a\n", "x.yaml:1: expected a map with model, evaluate and recipes, found a list"},
      {"model: m\nevaluate: [gptq-c4]\nrecipies: [fp16]\n",
       "x.yaml:3: recipies: expected " + keys + ", found \"recipies\" (did you mean recipes?)"},
      {"modell: m\n" + rest,
       "x.yaml:1: modell: expected " + keys + ", found \"modell\" (did you mean model?)"},
      {"model: m\ntokenizer: t\n" + rest,
       "x.yaml:2: tokenizer: expected " + keys + ", found \"tokenizer\""},
      {rest, "x.yaml:1: model: expected a folder or a Hugging Face id, found nothing"},
      {"model:\n" + rest, "x.yaml:1: model: expected a folder or a Hugging Face id, found nothing"},
      {"model: [m]\n" + rest,
       "x.yaml:1: model: expected a folder or a Hugging Face id, found a list"},
      {"model: m\nmodel: n\n" + rest,
       "x.yaml:2: model: expected every key once, found it again (first on line 1)"},
      {"model: m\nrecipes: [fp16]\n",
       "x.yaml:1: evaluate: expected a list of evaluations such as [gptq-wikitext2], found "
       "nothing"},
      {"model: m\nevaluate: [gptq-c4]\n",
       "x.yaml:1: recipes: expected a list of recipes such as [fp16, {method: rtn, format: nf4}], "
       "found nothing"},
      {"model: m\nevaluate: [gptq-c4]\nrecipes: []\n",
       "x.yaml:3: recipes: expected a list of recipes such as [fp16, {method: rtn, format: nf4}], "
       "found an empty list"},
      {"model: m\nevaluate: [gptq-c4]\nrecipes: fp16\n",
       "x.yaml:3: recipes: expected a list of recipes such as [fp16, {method: rtn, format: nf4}], "
       "found \"fp16\""},
      {"model: m\nmemory_budget: 12\n" + rest,
       "x.yaml:2: memory_budget: expected a size such as 12GiB (a whole number and B, KB, MB, GB, "
       "TB, KiB, MiB, GiB or "
       "TiB), found 12"},
      {"model: m\nmemory_budget: [12GiB]\n" + rest,
       "x.yaml:2: memory_budget: expected a size such as 12GiB, found a list"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(ErrorOf(text), message) << text;
}

TEST(ExperimentErrorTest, Evaluations) {
  const std::string ids = "one of gptq-wikitext2, gptq-c4, gptq-c4-new, ids";
  const std::string keys =
      "one of protocol, name, file, dataset, dataset_file, window_tokens, max_windows";
  const Cases cases = {
      {"gptq-c4",
       "x.yaml:3: evaluate: expected a list of evaluations such as [gptq-wikitext2], found "
       "\"gptq-c4\""},
      {"[]",
       "x.yaml:3: evaluate: expected a list of evaluations such as [gptq-wikitext2], found an "
       "empty list"},
      {"[wikitext2]", "x.yaml:3: evaluate[0]: expected " + ids +
                          ", found \"wikitext2\" (did you mean gptq-wikitext2?)"},
      {"[gptq-c4, {protocol: ptb}]",
       "x.yaml:3: evaluate[1].protocol: expected " + ids + ", found \"ptb\""},
      {"[{name: a}]", "x.yaml:3: evaluate[0].protocol: expected a protocol's id, found nothing"},
      {"[{protocol: gptq-c4, window_token: 512}]",
       "x.yaml:3: evaluate[0].window_token: expected " + keys +
           ", found \"window_token\" (did you mean window_tokens?)"},
      {"[{protocol: gptq-c4, window_tokens: 1}]",
       "x.yaml:3: evaluate[0].window_tokens: expected an integer from 2 to 1000000, found 1"},
      {"[{protocol: gptq-c4, window_tokens: 0512}]",
       "x.yaml:3: evaluate[0].window_tokens: expected an integer from 2 to 1000000, found 0512"},
      {"[{protocol: gptq-c4, window_tokens: [512, 1024]}]",
       "x.yaml:3: evaluate[0].window_tokens: expected an integer from 2 to 1000000, found a list"},
      {"[{protocol: gptq-c4, max_windows: 0}]",
       "x.yaml:3: evaluate[0].max_windows: expected an integer from 1 to 1000000000, found 0"},
      {"[{protocol: gptq-c4, max_windows: .inf}]",
       "x.yaml:3: evaluate[0].max_windows: expected an integer from 1 to 1000000000, found "
       "\".inf\""},
      {"[{protocol: gptq-c4, name: 'a|b'}]",
       "x.yaml:3: evaluate[0].name: expected a name of 1 to 64 letters, digits and . _ + -, found "
       "\"a|b\""},
      {"[gptq-c4,\n  gptq-c4]",
       "x.yaml:4: evaluate[1].name: expected a name of its own, found \"gptq-c4\", as on line 3"},
      {"[gptq-c4,\n  {protocol: ids, file: w.json, name: gptq-c4}]",
       "x.yaml:4: evaluate[1].name: expected a name of its own, found \"gptq-c4\", as on line 3"},
      {"[ids]",
       "x.yaml:3: evaluate[0]: expected a map with a file, such as {protocol: ids, file: "
       "windows.json}, found \"ids\""},
      {"[{protocol: ids}]",
       "x.yaml:3: evaluate[0].file: expected a file of token ids, found nothing"},
      {"[{protocol: ids, file: w.json, window_tokens: 512}]",
       "x.yaml:3: evaluate[0].window_tokens: expected no such key with protocol ids: its file says "
       "it all, found 512"},
      {"[{protocol: ids, file: w.json, dataset: c4}]",
       "x.yaml:3: evaluate[0].dataset: expected no such key with protocol ids: its file says it "
       "all, found \"c4\""},
      {"[{protocol: gptq-c4, file: ''}]",
       "x.yaml:3: evaluate[0].file: expected a file, found \"\""},
      {"[{protocol: gptq-c4, file: a, dataset: c4}]",
       "x.yaml:3: evaluate[0].dataset: expected file or dataset, not both, found \"c4\""},
      {"[{protocol: gptq-c4, file: a, dataset_file: b}]",
       "x.yaml:3: evaluate[0].dataset_file: expected file or dataset, not both, found \"b\""},
      {"[{protocol: gptq-c4, dataset: wikitext}]",
       "x.yaml:3: evaluate[0].dataset: expected one of wikitext2, c4, found \"wikitext\" (did you "
       "mean wikitext2?)"},
      {"[{protocol: gptq-c4, dataset: wikitext2}]",
       "x.yaml:3: evaluate[0].dataset_file: expected a file of wikitext2, found nothing"},
      {"[{protocol: gptq-wikitext2, dataset_file: wiki.tset.raw}]",
       "x.yaml:3: evaluate[0].dataset_file: expected one of wiki.test.raw, wiki.valid.raw, "
       "wiki.train.raw, found "
       "\"wiki.tset.raw\" (did you mean wiki.test.raw?)"},
  };
  for (const auto& [value, message] : cases) {
    EXPECT_EQ(ErrorOf("model: m\nrecipes: [fp16]\nevaluate: " + value + "\n"), message) << value;
  }
}

TEST(ExperimentErrorTest, Calibration) {
  const std::string shape = "none or a map such as {protocol: text, file: F, windows: 4}";
  const Cases cases = {
      {"", "x.yaml:4: calibration: expected " + shape + ", found nothing"},
      {"null", "x.yaml:4: calibration: expected " + shape + ", found nothing"},
      {"authors", "x.yaml:4: calibration: expected " + shape + ", found \"authors\""},
      {"{file: a}", "x.yaml:4: calibration.protocol: expected text or ids, found nothing"},
      {"{protocol: texts, file: a}",
       "x.yaml:4: calibration.protocol: expected one of text, ids, found \"texts\" (did you mean "
       "text?)"},
      {"{protocol: text}",
       "x.yaml:4: calibration.file: expected a text: file, or dataset and dataset_file, found "
       "nothing"},
      {"{protocol: text, dataset_file: a}",
       "x.yaml:4: calibration.dataset: expected a text: file, or dataset and dataset_file, found "
       "nothing"},
      {"{protocol: text, dataset: c4}",
       "x.yaml:4: calibration.dataset_file: expected a file of c4, found nothing"},
      {"{protocol: ids, file: a, window_tokens: 4}",
       "x.yaml:4: calibration.window_tokens: expected no such key with protocol ids: its file says "
       "it all, found 4"},
      {"{protocol: text, file: a, windows: 1.0}",
       "x.yaml:4: calibration.windows: expected an integer from 1 to 1000000000, found 1.0"},
      {"{protocol: text, file: a, window_tokens: yes}",
       "x.yaml:4: calibration.window_tokens: expected an integer from 2 to 1000000, found \"yes\""},
      {"{protocol: text, file: a, seed: -1}",
       "x.yaml:4: calibration.seed: expected an integer from 0 to 9223372036854775807, found -1"},
      {"{protocol: text, file: a, window: 1}",
       "x.yaml:4: calibration.window: expected one of protocol, file, dataset, dataset_file, "
       "windows, window_tokens, "
       "seed, found \"window\" (did you mean windows?)"},
  };
  for (const auto& [value, message] : cases) {
    EXPECT_EQ(
        ErrorOf("model: m\nrecipes: [fp16]\nevaluate: [gptq-c4]\ncalibration: " + value + "\n"),
        message)
        << value;
  }
}

std::string RecipeError(const std::string& recipe) {
  return ErrorOf("model: m\nevaluate: [gptq-c4]\nrecipes:\n  - fp16\n  - " + recipe + "\n");
}

TEST(ExperimentErrorTest, Recipes) {
  const std::string shape = "fp16 or a map such as {method: rtn, format: nf4}";
  const std::string methods = "one of fp16, rtn, rtn-gptq, rtn-daq, mse";
  const std::string expects_settings =
      "expected a map of settings of minmax (method rtn names it; for another part leave out "
      "method)";
  const Cases cases = {
      {"rtn", "x.yaml:5: recipes[1]: expected " + shape + ", found \"rtn\""},
      {"", "x.yaml:5: recipes[1]: expected " + shape + ", found nothing"},
      {"[fp16]", "x.yaml:5: recipes[1]: expected " + shape + ", found a list"},
      {"{}", "x.yaml:5: recipes[1]: expected method, or range and rounding, found none of them"},
      {"{format: nf4}",
       "x.yaml:5: recipes[1]: expected method, or range and rounding, found none of them"},
      {"{methode: rtn, format: nf4}",
       "x.yaml:5: recipes[1].methode: expected one of method, transform, range, rounding, format, "
       "found \"methode\" (did "
       "you mean method?)"},
      {"{method: rnt, format: nf4}",
       "x.yaml:5: recipes[1].method: expected " + methods + ", found \"rnt\" (did you mean rtn?)"},
      {"{method: awq+daq, format: nf4}",
       "x.yaml:5: recipes[1].method: expected " + methods + ", found \"awq+daq\""},
      {"{method: rtn}",
       "x.yaml:5: recipes[1].format: expected a format such as nf4 or {codebook: int4, group: "
       "128}, found nothing"},
      {"{method: fp16, format: nf4}",
       "x.yaml:5: recipes[1].format: expected no such key beside method fp16, found \"nf4\""},
      {"{method: rtn, range: mse, format: nf4}",
       "x.yaml:5: recipes[1].range: " + expects_settings + ", found \"mse\""},
      {"{method: rtn, range: {name: minmax}, format: nf4}",
       "x.yaml:5: recipes[1].range: " + expects_settings + ", found a map"},
      {"{method: rtn, rounding: {}, format: nf4}",
       "x.yaml:5: recipes[1].rounding: expected no such key, because nearest has no settings, "
       "found an empty map"},
      {"{method: rtn, range: {include_zeros: true}, format: nf4}",
       "x.yaml:5: recipes[1].range.include_zeros: expected one of round_zero_point, include_zero, "
       "found "
       "\"include_zeros\" (did you mean include_zero?)"},
      {"{method: rtn, range: {include_zero: yes}, format: nf4}",
       "x.yaml:5: recipes[1].range.include_zero: expected true or false, found \"yes\""},
      {"{range: minmax, format: nf4}",
       "x.yaml:5: recipes[1].rounding: expected one of nearest, gptq, code_descent, found nothing"},
      {"{rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range: expected one of minmax, mse, found nothing"},
      {"{range: max, rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range: expected one of minmax, mse, found \"max\" (did you mean "
       "minmax?)"},
      {"{range: {grid_points: 5}, rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range.name: expected one of minmax, mse, found nothing"},
      {"{range: {name: mes, grid_points: 5}, rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range.name: expected one of minmax, mse, found \"mes\" (did you mean "
       "mse?)"},
      {"{range: {name: minmax, grid_points: 5}, rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range.grid_points: expected one of name, round_zero_point, "
       "include_zero, found "
       "\"grid_points\""},
      {"{range: {name: mse, grid_points: 0}, rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range.grid_points: expected an integer from 1 to 10000, found 0"},
      {"{range: {name: mse, max_shrink: 1.5}, rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range.max_shrink: expected a number from 0 to 1, found 1.5"},
      {"{range: {name: mse, norm: .nan}, rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range.norm: expected a number from 1 to 10, found \".nan\""},
      {"{transform: hadamard, range: mse, rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].transform: expected none, found \"hadamard\""},
  };
  for (const auto& [recipe, message] : cases) EXPECT_EQ(RecipeError(recipe), message) << recipe;
}

TEST(ExperimentErrorTest, Formats) {
  const std::string books =
      "one of int2, int3, int4, int5, int6, int8, nf2, nf3, nf4, fp4_e2m1, fp4_e2m1_release, "
      "fp4_bnb, fp8_e4m3";
  const std::string path = "x.yaml:5: recipes[1].format";
  const Cases cases = {
      {"nf5", path + ": expected " + books + ", found \"nf5\" (did you mean nf2?)"},
      {"NF4", path + ": expected " + books + ", found \"NF4\" (did you mean nf4?)"},
      {"fp16", path + ": expected " + books + ", found \"fp16\""},
      {"[nf4, nf3]",
       path + ": expected one format (several go under sweep: recipes.format), found a list"},
      {"",
       path +
           ": expected a code book's name or a map with codebook, group, symmetric, found nothing"},
      {"{group: 64}", path + ".codebook: expected " + books + ", found nothing"},
      {"{codebook: int7}",
       path + ".codebook: expected " + books + ", found \"int7\" (did you mean int2?)"},
      {"{codebook: nf4, groups: 64}", path + ".groups: expected one of codebook, group, symmetric, "
                                             "found \"groups\" (did you mean group?)"},
      {"{codebook: nf4, group: 0}",
       path + ".group: expected channel or an integer from 1 to 1000000, found 0"},
      {"{codebook: nf4, group: -1}",
       path + ".group: expected channel or an integer from 1 to 1000000, found -1"},
      {"{codebook: nf4, group: row}",
       path + ".group: expected channel or an integer from 1 to 1000000, found \"row\""},
      {"{codebook: nf4, group: 064}",
       path + ".group: expected channel or an integer from 1 to 1000000, found 064"},
      {"{codebook: nf4, symmetric: on}", path + ".symmetric: expected true or false, found \"on\""},
      {"{codebook: {values: [0, 1]}}",
       path + ".codebook.name: expected a name for the code book, found nothing"},
      {"{codebook: {name: b}}",
       path + ".codebook.values: expected a list of 2 to 256 numbers, found nothing"},
      {"{codebook: {name: b, value: [0, 1]}}",
       path +
           ".codebook.value: expected one of name, values, found \"value\" (did you mean values?)"},
      {"{codebook: {name: nf4, values: [0, 1]}}",
       path + ".codebook.name: expected a name that no built-in code book has, found \"nf4\""},
      {"{codebook: {name: int4-sym, values: [0, 1]}}",
       path + ".codebook.name: expected a name that does not end in -sym or -asym, found "
              "\"int4-sym\""},
      {"{codebook: {name: a b, values: [0, 1]}}",
       path +
           ".codebook.name: expected a name of 1 to 64 letters, digits and . _ + -, found \"a b\""},
      {"{codebook: {name: b, values: [0, x]}}",
       path + ".codebook.values[1]: expected a number from -1.7976931348623157e+308 to "
              "1.7976931348623157e+308, found "
              "\"x\""},
      {"{codebook: {name: b, values: [1]}}",
       path + ".codebook.values: expected 2 to 256 values, found 1"},
      {"{codebook: {name: b, values: [0, 1e39]}}",
       path + ".codebook.values: expected finite float32 values, found 1e+39"},
      {"{codebook: {name: b, values: [0, 1, 1]}}",
       path + ".codebook.values: expected strictly increasing float32 values, found 1 after 1"},
      {"{codebook: {name: b, values: [0, 1]}}",
       "x.yaml:5: recipes[1]: format: symmetric: expected false for b, whose values are of one "
       "sign, found true"},
  };
  for (const auto& [format, message] : cases) {
    EXPECT_EQ(RecipeError("{method: rtn, format: " + format + "}"), message) << format;
  }
}

TEST(ExperimentErrorTest, TheSameQuantiserTwice) {
  EXPECT_EQ(RecipeError("fp16"),
            "x.yaml:5: recipes[1]: expected every quantiser once, found fp16, which is recipes[0] "
            "on line 4");
  EXPECT_EQ(RecipeError("{method: rtn, format: nf4}\n  - {method: rtn, format: {codebook: nf4, "
                        "symmetric: true}}"),
            "x.yaml:6: recipes[2]: expected every quantiser once, found rtn nf4 channel, which is "
            "recipes[1] on line 5");
  // Another name for the same three parts is still the same quantiser.
  EXPECT_EQ(
      RecipeError("{method: mse, format: nf4}\n  - {range: mse, rounding: nearest, format: nf4}"),
      "x.yaml:6: recipes[2]: expected every quantiser once, found none+mse+nearest nf4 channel, "
      "which is recipes[1] "
      "on line 5");
  EXPECT_EQ(RecipeError("{method: rtn, format: nf4}\n  - {method: rtn, format: nf3}"),
            "no exception");
}

}  // namespace
}  // namespace daq
