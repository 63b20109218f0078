#pragma once

namespace daq {

// Written at each build by cmake/write_version.cmake, so that a result names the code that made it.
extern const char* const kVersion;  // the project's version, "0.1.0"
extern const char* const
    kGitRevision;  // short hash, "-dirty" for a changed tree; empty outside a checkout
extern const char* const kCompiler;  // "GNU 12.2.0, Release, -O3 ..."

}  // namespace daq
