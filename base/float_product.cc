#include "base/float_product.h"

#include <cblas.h>
#include <fmt/format.h>
#include <omp.h>

#include <array>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>

#include "base/blas_size.h"
#include "base/error.h"

namespace daq {
namespace {

using dnnl::memory;

memory::desc RowMajor(Index rows, Index cols, Index stride) {
  return {{rows, cols}, memory::data_type::f32, memory::dims{stride, 1}};
}

// b^T of a row-major b.
memory::desc Transposed(Index rows, Index cols, Index stride) {
  return {{cols, rows}, memory::data_type::f32, memory::dims{1, stride}};
}

// With m, n, k and the strides of a, b, c.
using Shape = std::pair<FloatProduct, std::array<Index, 6>>;

// One thread's products. oneDNN shares scratch memory between the products of a thread, so they
// are made in the thread that runs them.
class Products {
 public:
  Products() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    omp_set_num_threads(1);  // of this thread: daq-bench shares out work itself
  }

  void Run(const Shape& shape, const float* a, const float* b, float* c) {
    Prepared& prepared = Prepare(shape);
    // oneDNN's memory objects point to what they may write; a and b are only read.
    prepared.a.set_data_handle(const_cast<float*>(a), stream_);
    prepared.b.set_data_handle(const_cast<float*>(b), stream_);
    prepared.c.set_data_handle(c, stream_);
    prepared.matmul.execute(
        stream_,
        {{DNNL_ARG_SRC, prepared.a}, {DNNL_ARG_WEIGHTS, prepared.b}, {DNNL_ARG_DST, prepared.c}});
    stream_.wait();
  }

  std::string KernelName() {
    return Descriptor({FloatProduct::kTransposed, {256, 256, 256, 256, 256, 256}}).impl_info_str();
  }

 private:
  struct Prepared {
    dnnl::matmul matmul;
    memory a;
    memory b;
    memory c;
  };

  dnnl::matmul::primitive_desc Descriptor(const Shape& shape) const {
    const auto& [product, sizes] = shape;
    const auto [m, n, k, a_stride, b_stride, c_stride] = sizes;
    dnnl::primitive_attr attributes;
    if (product == FloatProduct::kSubtracted) {
      attributes.set_output_scales(0, {-1.0F});
      dnnl::post_ops add;
      add.append_sum(1.0F);
      attributes.set_post_ops(add);
    }
    return {dnnl::matmul::desc(RowMajor(m, k, a_stride),
                               product == FloatProduct::kTransposed ? Transposed(n, k, b_stride)
                                                                    : RowMajor(k, n, b_stride),
                               RowMajor(m, n, c_stride)),
            attributes, engine_};
  }

  Prepared& Prepare(const Shape& shape) {
    const auto found = prepared_.find(shape);
    if (found != prepared_.end()) return found->second;
    const dnnl::matmul::primitive_desc descriptor = Descriptor(shape);
    const auto unbound = [&](const memory::desc& desc) {
      return memory(desc, engine_, DNNL_MEMORY_NONE);
    };
    return prepared_
        .emplace(shape,
                 Prepared{dnnl::matmul(descriptor), unbound(descriptor.src_desc()),
                          unbound(descriptor.weights_desc()), unbound(descriptor.dst_desc())})
        .first->second;
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  std::map<Shape, Prepared> prepared_;
};

Products& ProductsOfThisThread() {
  thread_local Products products;
  return products;
}

bool HasGeneratedKernels() {
  static const bool has = ProductsOfThisThread().KernelName().starts_with("brg");
  return has;
}

void ComputeByBlas(FloatProduct product, const ConstMatrixView& a, const ConstMatrixView& b,
                   MatrixView c) {
  const bool subtracted = product == FloatProduct::kSubtracted;
  cblas_sgemm(CblasRowMajor, CblasNoTrans,
              product == FloatProduct::kTransposed ? CblasTrans : CblasNoTrans, BlasSize(c.rows()),
              BlasSize(c.cols()), BlasSize(a.cols()), subtracted ? -1.0F : 1.0F, a.data(),
              BlasSize(a.outerStride()), b.data(), BlasSize(b.outerStride()),
              subtracted ? 1.0F : 0.0F, c.data(), BlasSize(c.outerStride()));
}

}  // namespace

void ComputeProduct(FloatProduct product, const ConstMatrixView& a, const ConstMatrixView& b,
                    MatrixView c) {
  const bool transposed = product == FloatProduct::kTransposed;
  DAQ_CHECK(a.cols() == (transposed ? b.cols() : b.rows()) && c.rows() == a.rows() &&
                c.cols() == (transposed ? b.rows() : b.cols()),
            "shapes of a product agree");
  if (c.size() == 0) return;
  if (a.cols() == 0) {
    if (product != FloatProduct::kSubtracted) c.setZero();
    return;
  }
  if (!HasGeneratedKernels()) {
    ComputeByBlas(product, a, b, c);
    return;
  }
  ProductsOfThisThread().Run(
      {product, {c.rows(), c.cols(), a.cols(), a.outerStride(), b.outerStride(), c.outerStride()}},
      a.data(), b.data(), c.data());
}

std::string FloatProductDescription() {
  if (!HasGeneratedKernels()) return "OpenBLAS";
  const dnnl_version_t& version = *dnnl_version();
  return fmt::format("oneDNN {}.{}.{} {}", version.major, version.minor, version.patch,
                     ProductsOfThisThread().KernelName());
}

}  // namespace daq
