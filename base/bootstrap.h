#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/matrix.h"

namespace daq {

// The paired block bootstrap over windows: how far a number made of mean losses might have come out
// otherwise, had the text been another one like it. Windows are drawn with replacement and the
// number is computed again on each draw, so unlike the delta method (base/statistics.h) it assumes
// no shape of its distribution, and takes any function of perplexities, ratios too.
//
// Draw d of any two series of the same length, in the same blocks, is of the same windows, whatever
// else was asked for before: that is what makes differences paired, and results the same in any
// order of calls.
//
// Windows are contiguous pieces of one text, and neighbours may be alike (one article spans several
// windows). Then single windows are drawn as if they told more than they do, and the interval is
// too narrow. Blocks of consecutive windows mend that, at the price of fewer independent pieces,
// from which an interval is itself less certain.

// The block for `windows` >= 1 windows of running text: the whole part of their cube root, the
// order of length that serves intervals best (Hall, Horowitz and Jing, 1995). On WikiText-2 pairing
// does not do away with the likeness of neighbours: docs/metrics.md has what was measured.
Index UsualBlockWindows(Index windows);

// Of fewer blocks there is no interval. The bootstrap knows the spread between blocks only as far as
// the blocks at hand show it, and of few of them that is too small: of independent windows, what
// should hold the truth in 95 of 100 texts holds it in 50 for two blocks, in 84 for four, in 90 for
// eight (docs/metrics.md). Eight is also the least number that the usual blocks of any 16 windows or
// more come to, so that more windows never lose their interval.
inline constexpr Index kLeastBlocks = 8;

// Whether so many windows, in blocks of so many, have an interval.
bool HasInterval(Index windows, Index block_windows);

inline constexpr std::uint64_t kBootstrapSeed = 0;

// 40 k + 1 of them, so that the 2.5 % and 97.5 % quantiles are draws themselves, nothing lies
// between two, and exchanging the sides of a difference negates its interval to the bit. The ends'
// own chance from drawing is near 1 % of the interval's width.
inline constexpr int kBootstrapDraws = 10001;

// A 95 % interval; both ends are NaN where there is none.
struct Interval {
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();

  // True if zero lies outside: what is measured differs from nothing by more than chance.
  bool ExcludesZero() const { return low > 0 || high < 0; }
};

// The perplexity (base/statistics.h) of each series of window losses on each of kBootstrapDraws
// draws: result[series][draw]. A draw of n windows is blocks of `block_windows` >= 1 consecutive
// windows, each starting at any window with equal chance and going on at the first after the last,
// the last one cut so that it is n windows again (the circular block bootstrap of Politis and
// Romano, 1992). With one window a block, the default, this is Efron's bootstrap, for windows that
// have nothing to do with each other. Starts are PythonRandom(kBootstrapSeed).RandInt(0, n - 1),
// draw by draw.
//
// The series have the same length, and so have `weights`, the windows' as in base/statistics.h: a
// window that is drawn twice counts with its weight twice. Where windows have no interval, the
// result has no draws.
std::vector<std::vector<double>> BootstrapPerplexities(
    const std::vector<std::vector<double>>& series, Index block_windows = 1,
    const std::vector<double>& weights = {});

// The percentile interval of a number's values on the draws: the 2.5 % and 97.5 % quantiles, of
// kBootstrapDraws values or none. Values are not NaN.
Interval PercentileInterval(std::vector<double> values);

// Of the difference a - b of two perplexities, from their draws.
Interval DifferenceInterval(std::span<const double> a, std::span<const double> b);

}  // namespace daq
