#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/matrix.h"
#include "methods/codebook.h"
#include "methods/encode.h"
#include "methods/input_factor.h"
#include "methods/sorted_weights.h"

namespace daq {

// A scale and zero-point while they are searched for; RangeResult rounds them to float.
struct GridPoint {
  double scale = 1;
  double zero_point = 0;

  bool operator==(const GridPoint&) const = default;
};

// True if a grid can be stored: rounded to float its scale is a positive normal number and all its
// values are finite.
bool IsStorable(const GridPoint& point, const Codebook& book);

// What an OutputLoss may weigh beside the outputs, both empty or a number a weight:
// sum of square[i] (w'_i - w_i)^2 + 2 linear[i] (w'_i - w_i).
struct WeightTerms {
  std::span<const double> square = {};  // >= 0
  std::span<const double> linear = {};
};

// The output error of one group of weights w as a function of its scale and zero-point:
//     loss(s, z) = |R (w' - w)|^2 + the WeightTerms,  w' = the nearest grid values
//     (methods/encode.h)
// where R factors the group's inputs (InputFactor), so that |R e|^2 is the mean over tokens of the
// squared output error. In double; equal to multiplying the inputs with w' - w up to rounding, but
// far cheaper (docs/daq.md): weights are sorted and R's columns summed up in that order, once; then
// the output of all weights with codes up to k is one of those sums, and a loss takes as many rows
// as there are codes, not weights.
//
// Keeps a current point, from which near points cost less still: fewer rows where few weights
// change their code, none where no weight does. Reused from group to group; one thread's.
class OutputLoss {
 public:
  explicit OutputLoss(const Codebook& book);

  // Turns to another group. `weights`, not all equal and finite, and `factor` and `terms`
  // must stay as they are until the next call. There is no current point yet.
  void Prepare(std::span<const float> weights, const InputFactor& factor,
               const WeightTerms& terms = {});

  // Makes `point`, which IsStorable, the current one.
  void MoveTo(const GridPoint& point);

  const GridPoint& point() const { return point_; }
  double loss() const { return loss_; }  // at point()

  // The loss at `point`, or any number > bound where it is greater than bound: infinite where
  // `point` is not storable. Never a number > bound where the loss is not. Needs a current point.
  double At(const GridPoint& point, double bound);

 private:
  static constexpr Index kBlock = InputFactor::kBlock;
  static constexpr std::size_t kMostTerms = SortedWeights::kMostThresholds;

  // ends[k] = the number of weights with codes up to k, for all codes but the last.
  using Ends = std::array<Index, kMostTerms>;

  // Rows of the sums and their factors. Filled up with row 0, all zeros, to a multiple of four.
  struct Terms {
    Ends ends{};
    std::array<double, kMostTerms> factors{};
    std::size_t count = 0;
  };

  // The group's sums in one precision.
  template <typename Number>
  struct Sums {
    using Rows = Eigen::Matrix<Number, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

    Rows prefix;  // [blocks * (count + 1), kBlock]: row e of a block sums R's first e columns
    Rows target;  // R w, [blocks, kBlock]
    Rows codes;   // R q with q the code values at the current point, likewise

    void Resize(Index blocks, Index rows);
  };

  template <typename Number>
  const Number* Prefix(const Sums<Number>& sums, Index block, Index end) const {
    // Eigen's storage is aligned.
    return sums.prefix.data() + (block * (count_ + 1) + end) * kBlock;
  }

  void SumColumns();
  void CopyToCoarse();
  void SumWeightTerms();

  // The Encoder's thresholds at `point` into thresholds_, in double: w <= t_k is the same question.
  void FindThresholds(const GridPoint& point);
  // Where thresholds_ put the ends, into probe_ends_. Returns how many of ends_ moved; few are put
  // into changes_, too.
  std::size_t FindEnds();
  void CollectChanges(std::size_t moved);
  // How many ends move from the current point to `point`: 0, or as FindEnds.
  std::size_t CountMoved(const GridPoint& point);
  // The parts of MoveTo: the sums of codes, from changes_ or, not by_changes, from all ends; the
  // products of these, anew or, where no end moves and the loss is known, from those of the current
  // point.
  void SumCodes(const GridPoint& point, bool by_changes);
  void SumProducts(const GridPoint& point);
  void MoveProducts(const GridPoint& point, double loss);
  // True if the changes make fewer terms than the codes: each reads two rows.
  bool IsFew(std::size_t moved) const { return 2 * moved < end_count_; }
  // Fills codes_: how much lower than the highest that is used all weights' code values are.
  // Returns the highest.
  double CollectCodes(const Ends& ends);
  void FindSafeInterval();
  bool IsSafe(const GridPoint& point) const;

  // What the WeightTerms add.
  double TermsAt(const GridPoint& point, const Ends& ends) const;
  // How R (w' - w) differs at a point to which no end moves: by codes * R q - ones * R 1.
  struct Step {
    double codes;
    double ones;
  };
  Step StepTo(const GridPoint& point) const;
  // The loss without them at such a point.
  double WithSameCodes(const GridPoint& point) const;
  // The same from codes_ and the highest value, or from changes_ since the current point; or any
  // number > bound where it is greater than bound.
  template <typename Number>
  double FromTerms(const Sums<Number>& sums, const Terms& terms, bool are_changes,
                   const GridPoint& point, double highest, double bound) const;
  // If that finds more than this in float, the loss is > bound.
  double CoarseBound(const GridPoint& point, double bound) const;

  Codebook book_;
  std::vector<double> values_;
  std::size_t end_count_;                     // codes - 1
  std::size_t padded_end_count_;              // up to whole lanes
  std::array<double, kMostTerms> midpoints_;  // the Encoder's, then NaN

  // The group.
  const InputFactor* factor_ = nullptr;
  WeightTerms terms_;
  SortedWeights weights_;
  Index count_ = 0;  // weights
  Index blocks_ = 0;
  Sums<double> sums_;
  double ones_ones_ = 0;  // |R 1|^2
  // Rounded to float, where that pays: most points lose by more than rounding.
  Sums<float> coarse_;
  bool has_coarse_ = false;
  double length_ = 0;         // sum of |R_i|
  double target_length_ = 0;  // sum of |w_i| |R_i|
  bool has_terms_ = false;
  std::vector<std::array<double, 4>> term_prefix_;  // sums of square * {1, w, w^2} and linear
  double linear_target_ = 0;                        // sum of linear * w

  // The current point.
  GridPoint point_;
  bool has_point_ = false;
  double loss_ = 0;
  double output_loss_ = 0;   // loss_ without the WeightTerms
  double largest_loss_ = 0;  // output_loss_ since the products were last computed anew
  Ends ends_{};
  // The weights before and behind each end: it stays as it is while its threshold is >= the one and
  // < the other.
  std::array<double, kMostTerms> weight_before_{};
  std::array<double, kMostTerms> weight_behind_{};
  // Between these, exclusive, no end moves if the scale alone or the zero-point alone changes.
  double safe_scale_low_ = 0;
  double safe_scale_high_ = 0;
  double safe_zero_point_low_ = 0;
  double safe_zero_point_high_ = 0;
  double error_codes_ = 0;  // products of R (w' - w), R q and R 1
  double error_ones_ = 0;
  double codes_codes_ = 0;
  double codes_ones_ = 0;

  // The point that is looked at.
  std::array<double, kMostTerms> thresholds_{};
  std::array<std::int64_t, kMostTerms> is_moved_{};
  Ends probe_ends_{};
  Terms codes_;
  Terms changes_;
};

}  // namespace daq
