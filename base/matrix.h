#pragma once
#include <Eigen/Core>

namespace daq {

using Index = Eigen::Index;  // signed; every count and offset in the project uses it

// Row-major because a checkpoint stores a linear layer as [out_features, in_features].
using MatrixF = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixD = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using VectorF = Eigen::Matrix<float, Eigen::Dynamic, 1>;
using VectorD = Eigen::Matrix<double, Eigen::Dynamic, 1>;

// A row-major matrix inside somebody else's storage. Row r starts stride() floats after row r - 1,
// so a view can be a block of a wider matrix (one projection of a fused product, one head of a
// state).
using RowStride = Eigen::OuterStride<>;
using ConstMatrixView = Eigen::Ref<const MatrixF, 0, RowStride>;
using MatrixView = Eigen::Ref<MatrixF, 0, RowStride>;
using ConstMatrixViewD = Eigen::Ref<const MatrixD, 0, RowStride>;
using MatrixViewD = Eigen::Ref<MatrixD, 0, RowStride>;

// Eigen's own reductions (sum, squaredNorm, dot) peel elements up to an aligned address, so their
// last bits depend on where a matrix happens to lie. Results must not: reduce with base/reduce.h
// instead.

}  // namespace daq
