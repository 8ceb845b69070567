// A stand-in for libnvrtc.so.13, so that tests need no compiler of NVIDIA's: takes any source, and "compiles" it to a few bytes. The
// kernels themselves are in the stand-in driver, compiled by g++; tests/compile.rs has the real NVRTC compile them.
#include <stddef.h>
#include <string.h>
#define API extern "C" __attribute__((visibility("default"))) int
static const char IMAGE[] = "\x7f" "ELF emulated";
API nvrtcVersion(int* major, int* minor) { *major = 13; *minor = 99; return 0; } // no real one's
API nvrtcCreateProgram(void** p, const char*, const char*, int, const char* const*, const char* const*) { *p = (void*)1; return 0; }
API nvrtcDestroyProgram(void**) { return 0; }
API nvrtcCompileProgram(void*, int, const char* const*) { return 0; }
API nvrtcGetProgramLogSize(void*, size_t* n) { *n = 1; return 0; }
API nvrtcGetProgramLog(void*, char* s) { *s = 0; return 0; }
API nvrtcGetCUBINSize(void*, size_t* n) { *n = sizeof IMAGE; return 0; }
API nvrtcGetCUBIN(void*, char* s) { memcpy(s, IMAGE, sizeof IMAGE); return 0; }
API nvrtcGetPTXSize(void*, size_t* n) { *n = 1; return 0; }
API nvrtcGetPTX(void*, char* s) { *s = 0; return 0; }
