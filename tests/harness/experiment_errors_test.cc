// The exact message of each kind of mistake in a config.
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "harness/nearest_name.h"
#include "harness/parse_experiment.h"
#include "methods/registry.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

std::string ErrorOf(const std::string& text) {
  return MessageOf([&] { ParseExperiment(text, "x.yaml"); });
}

// "nearest", "one of minmax, mse": what is registered, in its order.
template <typename Part>
std::string NamesOf(std::span<const PartEntry<Part>> entries) {
  std::string names;
  for (const PartEntry<Part>& entry : entries)
    names.append(names.empty() ? "" : ", ").append(entry.name);
  return entries.size() == 1 ? names : "one of " + names;
}

using Cases = std::vector<std::pair<std::string, std::string>>;

TEST(ExperimentErrorTest, TopLevel) {
  const std::string keys =
      "one of model, memory_budget, calibration, held_out, evaluate, recipes, sweep, report";
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
      {"model: 12\n" + rest, "x.yaml:1: model: expected a folder or a Hugging Face id, found 12"},
      {"model: true\n" + rest,
       "x.yaml:1: model: expected a folder or a Hugging Face id, found true"},
      {"model: \" \"\n" + rest,
       "x.yaml:1: model: expected a folder or a Hugging Face id, found \" \""},
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
  const std::string ids =
      "one of gptq-wikitext2, gptq-c4, gptq-c4-new, llamacpp-512, "
      "lm-eval-wikitext, ids";
  const std::string keys =
      "one of protocol, name, file, dataset, dataset_file, window_tokens, max_windows, "
      "stop_when, token_metrics";
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
      {"[{protocol: gptq-c4, stop_when: 0.01}]",
       "x.yaml:3: evaluate[0].stop_when: expected a map such as {loss_vs_fp_stderr: 0.01}, found "
       "0.01"},
      {"[{protocol: gptq-c4, stop_when: {loss_vs_fp_stder: 0.01}}]",
       "x.yaml:3: evaluate[0].stop_when.loss_vs_fp_stder: expected loss_vs_fp_stderr, found "
       "\"loss_vs_fp_stder\" (did you mean loss_vs_fp_stderr?)"},
      {"[{protocol: gptq-c4, stop_when: {loss_vs_fp_stderr: 0}}]",
       "x.yaml:3: evaluate[0].stop_when.loss_vs_fp_stderr: expected a number from 1e-06 to "
       "1000000, "
       "found 0"},
      {"[{protocol: lm-eval-wikitext, stop_when: {loss_vs_fp_stderr: 0.01}}]",
       "x.yaml:3: evaluate[0].stop_when: expected no such key with protocol lm-eval-wikitext: its "
       "numbers are of the whole text, found a map"},
      {"[{protocol: gptq-c4, token_metrics: yes}]",
       "x.yaml:3: evaluate[0].token_metrics: expected true or false, found \"yes\""},
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
       "x.yaml:3: evaluate[0].dataset: expected one of wikitext2, c4, pile-val, found \"wikitext\" "
       "(did you "
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

// Mistakes of a calibration are the same for all recipes and for one.
TEST(ExperimentErrorTest, Calibration) {
  const std::string shape =
      ": expected none, authors or a map such as {protocol: daq, windows: 2}, found ";
  const std::string ids = "one of awq-pile-val, daq, gptq-c4, gptq-wikitext2, text, ids";
  const std::string count = ": expected an integer from 1 to 1000000000, found ";
  const Cases cases = {
      {"", shape + "nothing"},
      {"null", shape + "nothing"},
      {"author", shape + "\"author\""},
      {"[daq]", shape + "a list"},
      {"daq", shape + "\"daq\""},
      {"{file: a}", ".protocol: expected " + ids + ", found nothing"},
      {"{protocol: texts, file: a}",
       ".protocol: expected " + ids + ", found \"texts\" (did you mean text?)"},
      {"{protocol: gptq-c4-new}",
       ".protocol: expected " + ids + ", found \"gptq-c4-new\" (did you mean gptq-c4?)"},
      {"{protocol: daq, window: 1}",
       ".window: expected one of protocol, file, dataset, dataset_file, windows, documents, "
       "window_tokens, seed, found \"window\" (did you mean windows?)"},
      // The text.
      {"{protocol: text}",
       ".file: expected a text: file, or dataset and dataset_file, found nothing"},
      {"{protocol: text, dataset_file: a}",
       ".dataset: expected a text: file, or dataset and dataset_file, found nothing"},
      {"{protocol: text, dataset: c4}", ".dataset_file: expected a file of c4, found nothing"},
      {"{protocol: daq, dataset: pile}",
       ".dataset: expected one of wikitext2, c4, pile-val, found \"pile\" (did you mean "
       "pile-val?)"},
      {"{protocol: daq, dataset: c4}", ".dataset_file: expected a file of c4, found nothing"},
      {"{protocol: gptq-wikitext2, file: a, dataset_file: wiki.train.raw}",
       ".dataset_file: expected file or dataset, not both, found \"wiki.train.raw\""},
      {"{protocol: gptq-wikitext2, dataset_file: wiki.trian.raw}",
       ".dataset_file: expected one of wiki.test.raw, wiki.valid.raw, wiki.train.raw, found "
       "\"wiki.trian.raw\" (did you mean wiki.train.raw?)"},
      // Numbers.
      {"{protocol: text, file: a, windows: 1.0}", ".windows" + count + "1.0"},
      {"{protocol: daq, windows: 0}", ".windows" + count + "0"},
      {"{protocol: awq-pile-val, documents: 0}", ".documents" + count + "0"},
      {"{protocol: gptq-c4, window_tokens: yes}",
       ".window_tokens: expected an integer from 2 to 1000000, found \"yes\""},
      {"{protocol: daq, window_tokens: 1}",
       ".window_tokens: expected an integer from 2 to 1000000, found 1"},
      {"{protocol: gptq-c4, seed: -1}",
       ".seed: expected an integer from 0 to 9223372036854775807, found -1"},
      // Keys that a protocol does not have.
      {"{protocol: awq-pile-val, windows: 4}",
       ".windows: expected no such key with protocol awq-pile-val: its windows follow from "
       "documents, found 4"},
      {"{protocol: daq, documents: 4}",
       ".documents: expected no such key with protocol daq: windows says how much text, found 4"},
      {"{protocol: gptq-c4, documents: 4}",
       ".documents: expected no such key with protocol gptq-c4: windows says how much text, found "
       "4"},
      {"{protocol: text, file: a, seed: 1}",
       ".seed: expected no such key with protocol text: it draws nothing at random, found 1"},
      {"{protocol: ids, file: a, window_tokens: 4}",
       ".window_tokens: expected no such key with protocol ids: its file says it all, found 4"},
      {"{protocol: ids, file: a, documents: 4}",
       ".documents: expected no such key with protocol ids: its file says it all, found 4"},
      {"{protocol: ids, file: a, seed: 4}",
       ".seed: expected no such key with protocol ids: its file says it all, found 4"},
      {"{protocol: ids, dataset: c4}", ".file: expected a file of token ids, found nothing"},
  };
  for (const auto& [value, message] : cases) {
    EXPECT_EQ(
        ErrorOf("model: m\nrecipes: [fp16]\nevaluate: [gptq-c4]\ncalibration: " + value + "\n"),
        "x.yaml:4: calibration" + message)
        << value;
    EXPECT_EQ(ErrorOf("model: m\nevaluate: [gptq-c4]\nrecipes:\n  - method: rtn\n    format: nf4\n"
                      "    calibration: " +
                      value + "\n"),
              "x.yaml:6: recipes[0].calibration" + message)
        << value;
  }
}

std::string RecipeError(const std::string& recipe) {
  return ErrorOf("model: m\nevaluate: [gptq-c4]\nrecipes:\n  - fp16\n  - " + recipe + "\n");
}

TEST(ExperimentErrorTest, Recipes) {
  const std::string ranges = NamesOf(Ranges());
  const std::string shape = "fp16 or a map such as {method: rtn, format: nf4}";
  std::vector<std::string_view> names = {"fp16"};
  for (const Preset& preset : Presets()) names.push_back(preset.name);
  const std::string methods = OneOf(names);
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
       "propagate, calibration, found \"methode\" (did you mean method?)"},
      {"{method: rnt, format: nf4}",
       "x.yaml:5: recipes[1].method: expected " + methods + ", found \"rnt\" (did you mean rtn?)"},
      {"{method: awq+dak, format: nf4}", "x.yaml:5: recipes[1].method: expected " + methods +
                                             ", found \"awq+dak\" (did you mean awq+daq?)"},
      {"{method: awq+daq, format: nf4}",
       "x.yaml:5: recipes[1]: expected a calibration, because awq+daq looks at layer inputs, found "
       "calibration: none"},
      {"{method: rtn}",
       "x.yaml:5: recipes[1].format: expected a format such as nf4 or {codebook: int4, group: "
       "128}, found nothing"},
      {"{method: fp16, format: nf4}",
       "x.yaml:5: recipes[1].format: expected no such key beside method fp16, found \"nf4\""},
      {"{method: fp16, calibration: none}",
       "x.yaml:5: recipes[1].calibration: expected no such key beside method fp16, found "
       "\"none\""},
      {"{method: fp16, propagate: quantized}",
       "x.yaml:5: recipes[1].propagate: expected no such key beside method fp16, found "
       "\"quantized\""},
      {"{method: rtn, format: nf4, propagate: none}",
       "x.yaml:5: recipes[1].propagate: expected one of full_precision, quantized, "
       "quantized_within_block, found \"none\""},
      {"{method: rtn, format: nf4, propagate: [quantized]}",
       "x.yaml:5: recipes[1].propagate: expected one of full_precision, quantized, "
       "quantized_within_block, found a list"},
      {"{range: mse, rounding: nearest, format: nf4, calibration: authors}",
       "x.yaml:5: recipes[1].calibration: expected a map or none, because a recipe without method "
       "has no authors, found \"authors\""},
      {"{method: rtn, range: mse, format: nf4}",
       "x.yaml:5: recipes[1].range: " + expects_settings + ", found \"mse\""},
      {"{method: rtn, range: {name: minmax}, format: nf4}",
       "x.yaml:5: recipes[1].range.name: expected no such key (method rtn names it; for another "
       "part leave out method), found \"minmax\""},
      // Settings that would change nothing.
      {"{method: daq, range: {kde_points: 10}, format: nf4}",
       "x.yaml:5: recipes[1].range.kde_points: expected no such key, because it has an effect only "
       "where center is kde, found 10"},
      {"{method: daq, range: {center: kde, kde_bandwidth_rule: scott, kde_bandwidth: 0.2}, "
       "format: nf4}",
       "x.yaml:5: recipes[1].range.kde_bandwidth: expected no such key, because it has an effect "
       "only where kde_bandwidth_rule is absolute, found 0.2"},
      {"{method: daq, range: {stage: 2, lower_quantile: 0.1}, format: nf4}",
       "x.yaml:5: recipes[1].range.lower_quantile: expected no such key, because it has an effect "
       "only where stage is one of both, 1, found 0.1"},
      {"{method: daq, range: {epochs: 3, stage: 1}, format: nf4}",
       "x.yaml:5: recipes[1].range.epochs: expected no such key, because it has an effect only "
       "where stage is one of both, 2, found 3"},
      {"{range: {name: daq_plus, penalty_weight: 1}, rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range.penalty_weight: expected no such key, because it has an effect "
       "only where penalty is fixed, found 1"},
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
       "x.yaml:5: recipes[1].rounding: expected " + NamesOf(Roundings()) + ", found nothing"},
      {"{rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range: expected " + ranges + ", found nothing"},
      {"{range: max, rounding: nearest, format: nf4}", "x.yaml:5: recipes[1].range: expected " +
                                                           ranges +
                                                           ", found \"max\" (did you mean "
                                                           "minmax?)"},
      {"{range: {grid_points: 5}, rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range.name: expected " + ranges + ", found nothing"},
      {"{range: {name: mes, grid_points: 5}, rounding: nearest, format: nf4}",
       "x.yaml:5: recipes[1].range.name: expected " + ranges +
           ", found \"mes\" (did you mean "
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
       "x.yaml:5: recipes[1].transform: expected " + NamesOf(Transforms()) +
           ", found \"hadamard\""},
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
  // rtn reads no layer inputs: neither another text nor another propagation makes it another one.
  EXPECT_EQ(RecipeError("{method: rtn, format: nf4}\n  - {method: rtn, format: nf4, propagate: "
                        "quantized, calibration: {protocol: daq}}"),
            "x.yaml:6: recipes[2]: expected every quantiser once, found rtn nf4 channel, which is "
            "recipes[1] on line 5");
  EXPECT_EQ(RecipeError("{method: rtn, format: nf4}\n  - {method: rtn, format: nf3}"),
            "no exception");
}

TEST(ExperimentErrorTest, OneNameForTwoCodebooks) {
  const auto with = [](const std::string& values) {
    return RecipeError("{method: rtn, format: {codebook: {name: b, values: [-1, 0, 1]}}}\n" +
                       ("  - {method: mse, format: {codebook: {name: b, values: " + values) +
                       "}}}");
  };
  EXPECT_EQ(with("[-1, 0, 1]"), "no exception");
  EXPECT_EQ(with("[-2, 0.5, 1]"),
            "x.yaml:6: recipes[2].format.codebook: expected another name than \"b\", which line 5 "
            "gives to [-1, 0, 1], found [-2, 0.5, 1]");
}

TEST(ExperimentErrorTest, AuthorsOfARecipeWithoutMethod) {
  const std::string config =
      "model: m\ncalibration: authors\nevaluate: [gptq-c4]\nrecipes:\n  - fp16\n"
      "  - {method: rtn, format: nf4}\n  - {range: mse, rounding: nearest, format: nf3";
  EXPECT_EQ(ErrorOf(config + "}\n"),
            "x.yaml:7: recipes[2].calibration: expected a map or none, because a recipe without "
            "method has no authors, found \"authors\"");
  EXPECT_EQ(ErrorOf(config + ", calibration: none}\n"), "no exception");
  EXPECT_EQ(ErrorOf(config + ", calibration: {protocol: daq}}\n"), "no exception");
}

}  // namespace
}  // namespace daq
