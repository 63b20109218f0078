// The forward pass of one decoder block, and of the logits, against the matrix products that it is
// made of: the same products on their own, at the same shapes and on the same number of threads, as
// fast as the BLAS goes. Run: build/release/forward_bench. The counter `rate` is operations a
// second: a block's or head's divided by the products' is its share of what is possible.
// Arguments: shape (names below), threads.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include <array>

#include "eval/block_forward.h"
#include "eval/checkpoint.h"
#include "eval/window_scores.h"
#include "harness/estimate.h"
#include "tests/methods/matrices.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

struct Shape {
  const char* name;
  TinyCheckpointSpec spec;
  Index windows;
  Index window_tokens;
};

const std::array<Shape, 4>& Shapes() {
  static const std::array<Shape, 4> shapes = {{
      {"llama-7b",
       {.hidden_size = 4096,
        .intermediate_size = 11008,
        .num_layers = 1,
        .num_heads = 32,
        .num_kv_heads = 32,
        .head_dim = 128,
        .vocab_size = 32000},
       1,
       2048},
      {"smollm2-135m",
       {.hidden_size = 576,
        .intermediate_size = 1536,
        .num_layers = 1,
        .num_heads = 9,
        .num_kv_heads = 3,
        .head_dim = 64,
        .vocab_size = 49152},
       2,
       2048},
      {"demo",
       {.hidden_size = 256,
        .intermediate_size = 768,
        .num_layers = 1,
        .num_heads = 8,
        .num_kv_heads = 4,
        .head_dim = 32,
        .vocab_size = 2048},
       16,
       512},
      {"tiny", {}, 2, 64},  // for ctest: does it run?
  }};
  return shapes;
}

// A checkpoint of that shape, written at its first use.
const Checkpoint& CheckpointOf(std::size_t shape) {
  static const TemporaryFolder folder;
  static std::array<std::unique_ptr<Checkpoint>, 4> checkpoints;
  if (!checkpoints[shape]) {
    const std::filesystem::path path = folder.path() / Shapes()[shape].name;
    WriteTinyCheckpoint(path, Shapes()[shape].spec);
    checkpoints[shape] = std::make_unique<Checkpoint>(path);
  }
  return *checkpoints[shape];
}

struct Bench {
  const Shape& shape;
  const Checkpoint& checkpoint;
  const ModelConfig& config;
  ThreadPool pool;

  explicit Bench(const benchmark::State& state)
      : shape(Shapes()[static_cast<std::size_t>(state.range(0))]),
        checkpoint(CheckpointOf(static_cast<std::size_t>(state.range(0)))),
        config(checkpoint.config()),
        pool(static_cast<int>(state.range(1))) {}

  TokenWindows Windows() const {
    TokenWindows windows;
    windows.window_tokens = shape.window_tokens;
    for (Index i = 0; i < shape.windows * shape.window_tokens; ++i)
      windows.ids.push_back(static_cast<TokenId>((i * 7919) % config.vocab_size));
    return windows;
  }

  double tokens() const {
    return static_cast<double>(shape.windows) * static_cast<double>(shape.window_tokens);
  }

  void Finish(benchmark::State* state, double operations) const {
    state->SetLabel(shape.name);
    state->counters["rate"] =
        benchmark::Counter(operations, benchmark::Counter::kIsIterationInvariantRate);
  }
};

void BM_Block(benchmark::State& state) {
  Bench bench(state);
  BlockWeights weights(bench.config);
  ReadNorms(bench.checkpoint, 0, &weights);
  ReadLinearLayers(bench.checkpoint, 0, &bench.pool, &weights);
  const TokenWindows windows = bench.Windows();
  HiddenStates states(bench.shape.windows, bench.shape.window_tokens, bench.config.hidden_size, {});
  BlockForward forward(bench.config, bench.shape.window_tokens, &bench.pool);
  for (auto _ : state) {
    state.PauseTiming();
    EmbedTokens(bench.checkpoint, windows, &bench.pool, &states);
    state.ResumeTiming();
    forward.Run(weights, &states);
  }
  bench.Finish(&state, BlockFlops(bench.config, bench.shape.windows, bench.shape.window_tokens));
}

void BM_Head(benchmark::State& state) {
  Bench bench(state);
  const TokenWindows windows = bench.Windows();
  HiddenStates states(bench.shape.windows, bench.shape.window_tokens, bench.config.hidden_size, {});
  for (auto _ : state) {
    state.PauseTiming();
    EmbedTokens(bench.checkpoint, windows, &bench.pool, &states);
    state.ResumeTiming();
    benchmark::DoNotOptimize(ScoreWindows(bench.checkpoint, windows, &bench.pool, &states));
  }
  bench.Finish(&state, HeadFlops(bench.config, bench.shape.windows, bench.shape.window_tokens));
}

// c = a * b^T by OpenBLAS: the measure of the forward pass, whose products are our own.
void Sgemm(const ConstMatrixView& a, const ConstMatrixView& b, MatrixView c) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(c.rows()),
              static_cast<int>(c.cols()), static_cast<int>(a.cols()), 1.0F, a.data(),
              static_cast<int>(a.outerStride()), b.data(), static_cast<int>(b.outerStride()), 0.0F,
              c.data(), static_cast<int>(c.outerStride()));
}

// The products of the linear layers alone, layers of one input as one product. Every thread takes
// whole products of a share of the tokens, the largest that there can be.
void BM_Products(benchmark::State& state) {
  Bench bench(state);
  const BlockWeights weights(bench.config);
  const std::array<const MatrixF*, 4> matrices = {&weights.query_key_value, &weights.output,
                                                  &weights.gate_up, &weights.down};
  const Index rows = bench.shape.windows * bench.shape.window_tokens;
  const Index threads = bench.pool.threads();
  const Index share = rows / threads;
  std::array<MatrixF, 4> inputs;
  std::array<MatrixF, 4> outputs;
  std::array<MatrixF, 4> copies;
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    copies[i] = MatrixF::Constant(matrices[i]->rows(), matrices[i]->cols(), 0.01F);
    inputs[i] = MatrixF::Constant(rows, copies[i].cols(), 0.5F);
    outputs[i] = MatrixF::Zero(rows, copies[i].rows());
  }
  for (auto _ : state) {
    bench.pool.ParallelFor(threads, [&](Index thread, int) {
      for (std::size_t i = 0; i < copies.size(); ++i) {
        Sgemm(inputs[i].middleRows(thread * share, share), copies[i],
              outputs[i].middleRows(thread * share, share));
      }
    });
    benchmark::ClobberMemory();
  }
  bench.Finish(&state, 2 * bench.tokens() * static_cast<double>(LinearWeights(bench.config)));
}

// The logits' product alone.
void BM_HeadProduct(benchmark::State& state) {
  Bench bench(state);
  const Index rows = 1024;
  const MatrixF head = MatrixF::Constant(bench.config.vocab_size, bench.config.hidden_size, 0.01F);
  const MatrixF inputs =
      MatrixF::Constant(rows * bench.pool.threads(), bench.config.hidden_size, 0.5F);
  MatrixF outputs(inputs.rows(), head.rows());
  for (auto _ : state) {
    bench.pool.ParallelFor(bench.pool.threads(), [&](Index thread, int) {
      Sgemm(inputs.middleRows(thread * rows, rows), head, outputs.middleRows(thread * rows, rows));
    });
    benchmark::ClobberMemory();
  }
  bench.Finish(&state, 2.0 * static_cast<double>(inputs.rows()) *
                           static_cast<double>(head.rows() * head.cols()));
}

void Arguments(benchmark::internal::Benchmark* benchmark) {
  for (const int shape : {0, 1, 2, 3}) {
    for (const int threads : {1, 2}) benchmark->Args({shape, threads});
  }
  benchmark->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK(BM_Products)->Apply(Arguments);
BENCHMARK(BM_Block)->Apply(Arguments);
BENCHMARK(BM_HeadProduct)->Apply(Arguments);
BENCHMARK(BM_Head)->Apply(Arguments);

}  // namespace
}  // namespace daq
