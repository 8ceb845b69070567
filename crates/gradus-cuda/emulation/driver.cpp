// A stand-in for libcuda.so.1: as much of the driver as gradus-cuda calls, so that its real calls run on the emulation.
//
// Device memory is malloc'd (AddressSanitizer sees its ends) and full of NaN; streams are synchronous; a kernel is found by its
// name among those compiled for the CPU. GRADUS_EMULATION_MEMORY limits memory (bytes), GRADUS_EMULATION_DEVICES is the
// number of devices, GRADUS_EMULATION_DRIVER the driver's version, GRADUS_EMULATION_MAJOR the compute capability.
#include "internal.h"
#include <map>
#include <mutex>
#include <stdio.h>
#include <stdlib.h>
#include <string>
extern "C" {
int gr_cpu_parameters(const char*);
int gr_cpu_launch(const char*, uint3, uint3, u32, void**, const char*, u64);
}
#define API extern "C" __attribute__((visibility("default"))) int
enum { OK = 0, INVALID = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, BAD_DEVICE = 101, NOT_FOUND = 500 };
struct Function { std::string name; u32 shared = 48 << 10; };
static std::mutex guard;
static std::map<u64, size_t> memory;
static size_t used;
static u64 launches, clock_ticks;

static thread_local char order[4] = "f";
// The order of threads for the launches of the calling thread.
extern "C" __attribute__((visibility("default"))) void gr_cpu_order(const char* text) { strncpy(order, text, 3); }

static u64 setting(const char* name, u64 otherwise) {
  const char* text = getenv(name);
  return text ? strtoull(text, nullptr, 10) : otherwise;
}
static size_t capacity() { return setting("GRADUS_EMULATION_MEMORY", 8ull << 30); }
static bool inside(u64 p, size_t n) {
  if (!n) return true;
  std::lock_guard<std::mutex> lock(guard);
  auto it = memory.upper_bound(p);
  if (it == memory.begin()) return false;
  --it;
  return p + n <= it->first + it->second;
}

API cuInit(u32) { return setting("GRADUS_EMULATION_DEVICES", 1) ? OK : NO_DEVICE; }
API cuGetExportTable(const void** table, const void*) { *table = nullptr; return NOT_FOUND; } // NVRTC asks for it
API cuGetProcAddress_v2(const char*, void** f, int, u64, void*) { *f = nullptr; return NOT_FOUND; }
API cuDriverGetVersion(int* v) { *v = (int)setting("GRADUS_EMULATION_DRIVER", 13000); return OK; }
API cuDeviceGetCount(int* n) { *n = (int)setting("GRADUS_EMULATION_DEVICES", 1); return OK; }
API cuDeviceGet(int* d, int ordinal) { *d = ordinal; return ordinal < (int)setting("GRADUS_EMULATION_DEVICES", 1) ? OK : BAD_DEVICE; }
API cuDeviceGetName(char* s, int n, int) { snprintf(s, n, "emulated sm_90"); return OK; }
API cuDeviceTotalMem_v2(size_t* n, int) { *n = capacity(); return OK; }
API cuDeviceGetAttribute(int* v, int attribute, int) {
  switch (attribute) {
    case 75: *v = (int)setting("GRADUS_EMULATION_MAJOR", 9); break; // compute capability
    case 76: *v = 0; break;
    case 16: *v = 4; break;       // multiprocessors
    case 97: *v = 232448; break;  // shared memory a block may ask for
    case 10: *v = 32; break;      // warp
    default: *v = 0;
  }
  return OK;
}
API cuDevicePrimaryCtxRetain(void** c, int) { *c = (void*)1; return OK; }
API cuDevicePrimaryCtxRelease_v2(int) { return OK; }
API cuCtxSetCurrent(void*) { return OK; }
API cuCtxGetCurrent(void** c) { *c = (void*)1; return OK; }
API cuGetErrorName(int e, const char** s) {
  *s = e == INVALID ? "CUDA_ERROR_INVALID_VALUE" : e == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : e == 719 ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR";
  return OK;
}
API cuGetErrorString(int, const char** s) { *s = "from the emulation"; return OK; }
API cuStreamCreate(void** s, u32) { *s = (void*)2; return OK; }
API cuStreamDestroy_v2(void*) { return OK; }
API cuStreamSynchronize(void*) { return OK; }
API cuEventCreate(void** e, u32) { *e = new u64(0); return OK; }
API cuEventDestroy_v2(void* e) { delete (u64*)e; return OK; }
API cuEventRecord(void* e, void*) { *(u64*)e = ++clock_ticks; return OK; }
API cuEventSynchronize(void*) { return OK; }
API cuStreamWaitEvent(void*, void*, u32) { return OK; }
API cuEventElapsedTime_v2(float* ms, void* a, void* b) { *ms = (float)(*(u64*)b - *(u64*)a); return OK; }
API cuEventElapsedTime(float* ms, void* a, void* b) { return cuEventElapsedTime_v2(ms, a, b); }

API cuMemAlloc_v2(u64* p, size_t n) {
  if (!n) return INVALID;
  std::lock_guard<std::mutex> lock(guard);
  if (used + n > capacity()) return OUT_OF_MEMORY;
  void* q = aligned_alloc(256, (n + 255) / 256 * 256); // AddressSanitizer's ends lie at multiples of 256 then: see cuMemAlloc below
#ifdef __SANITIZE_ADDRESS__
  free(q);
  q = nullptr;
  if (posix_memalign(&q, 256, n)) return OUT_OF_MEMORY; // exact: the first byte beyond is poisoned
#endif
  if (!q) return OUT_OF_MEMORY;
  memset(q, 0xFF, n);
  used += n;
  memory[*p = (u64)q] = n;
  return OK;
}
API cuMemFree_v2(u64 p) {
  std::lock_guard<std::mutex> lock(guard);
  auto it = memory.find(p);
  if (it == memory.end()) return INVALID;
  used -= it->second;
  memory.erase(it);
  free((void*)p);
  return OK;
}
API cuMemGetInfo_v2(size_t* f, size_t* t) { *t = capacity(); *f = *t - used; return OK; }
API cuMemcpyHtoDAsync_v2(u64 d, const void* s, size_t n, void*) { if (!inside(d, n)) return INVALID; memcpy((void*)d, s, n); return OK; }
API cuMemcpyDtoHAsync_v2(void* d, u64 s, size_t n, void*) { if (!inside(s, n)) return INVALID; memcpy(d, (void*)s, n); return OK; }
API cuMemcpyDtoDAsync_v2(u64 d, u64 s, size_t n, void*) { if (!inside(d, n) || !inside(s, n)) return INVALID; memmove((void*)d, (void*)s, n); return OK; }
API cuMemsetD8Async(u64 d, u8 v, size_t n, void*) { if (!inside(d, n)) return INVALID; memset((void*)d, v, n); return OK; }

API cuModuleLoadData(void** m, const void*) { *m = (void*)3; return OK; }
API cuModuleUnload(void*) { return OK; }
API cuModuleGetFunction(void** f, void*, const char* name) {
  if (gr_cpu_parameters(name) < 0) return NOT_FOUND;
  *f = new Function{name};
  return OK;
}
API cuFuncSetAttribute(void* f, int attribute, int v) {
  if (attribute != 8) return OK;
  if (v > 232448) return INVALID;
  ((Function*)f)->shared = v;
  return OK;
}
API cuLaunchKernel(void* f, u32 gx, u32 gy, u32 gz, u32 bx, u32 by, u32 bz, u32 shared, void*, void** args, void**) {
  auto* function = (Function*)f;
  if (shared > function->shared) return INVALID;
  return gr_cpu_launch(function->name.c_str(), {gx, gy, gz}, {bx, by, bz}, shared, args, order, ++launches);
}
API cuTensorMapEncodeTiled(void* m, int, u32 rank, void* base, const u64* sizes, const u64* strides, const u32* box, const u32* steps, int, int swizzle, int, int) {
  if ((u64)m % 64 || (u64)base % 16 || rank != 2 || swizzle != 3 || strides[0] % 16 || box[0] * 2 != 128 || box[1] > 256 || steps[0] != 1) return INVALID;
  struct { void* base; u64 columns, rows, row_bytes; u32 box_columns, box_rows; } map = {base, sizes[0], sizes[1], strides[0], box[0], box[1]};
  memset(m, 0, 128);
  memcpy(m, &map, sizeof map);
  return OK;
}
