# Writes OUTPUT with the project's version, the git revision and the compiler, only if it differs.
# Run at each build: cmake -DSOURCE_DIR=... -DOUTPUT=... -DVERSION=... -DCOMPILER=... -P write_version.cmake
set(revision "")
execute_process(COMMAND git -C ${SOURCE_DIR} describe --always --dirty --exclude=* --abbrev=12
  OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(revision "")
endif()
set(content "#include \"harness/version.h\"\n
namespace daq {\n
const char* const kVersion = \"${VERSION}\";
const char* const kGitRevision = \"${revision}\";
const char* const kCompiler = \"${COMPILER}\";\n
}  // namespace daq\n")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT content STREQUAL old)
  file(WRITE ${OUTPUT} "${content}")
endif()
