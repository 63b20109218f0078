#pragma once
#include <cblas.h>

#include "base/error.h"
#include "base/matrix.h"

namespace daq {

// A dimension or stride as a BLAS takes it.
inline blasint BlasSize(Index size) {
  DAQ_CHECK(size >= 0 && size <= 0x7fffffff, "a BLAS dimension fits 32 bits");
  return static_cast<blasint>(size);
}

}  // namespace daq
