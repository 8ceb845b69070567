// A stand-in for libcuda.so.1: as much of the driver as gradus-cuda calls, so that its real calls run on the emulation.
//
// Device memory is malloc'd (AddressSanitizer sees its ends) and full of NaN; streams and graphs are in streams.cpp; a kernel is found
// by its name among those compiled for the CPU. GRADUS_EMULATION_MEMORY limits memory (bytes), GRADUS_EMULATION_DEVICES is the
// number of devices, GRADUS_EMULATION_DRIVER the driver's version, GRADUS_EMULATION_MAJOR the compute capability.
#include "streams.h"
#include <map>
#include <memory>
#include <mutex>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <vector>
extern "C" {
int gr_cpu_parameters(const char*);
u32 gr_cpu_parameter_size(const char*, u32);
int gr_cpu_launch(const char*, uint3, uint3, u32, void**, const char*, u64);
}
struct Function { std::string name; u32 shared = 48 << 10; };
static std::mutex guard;
static std::map<u64, size_t> memory, pinned;
static size_t used;
static u64 launches;

static thread_local char order[4] = "f";
// The order of threads for the launches of the calling thread.
extern "C" __attribute__((visibility("default"))) void gr_cpu_order(const char* text) { strncpy(order, text, 3); }

static u64 setting(const char* name, u64 otherwise) {
  const char* text = getenv(name);
  return text ? strtoull(text, nullptr, 10) : otherwise;
}
static size_t capacity() { return setting("GRADUS_EMULATION_MEMORY", 8ull << 30); }
static bool holds(const std::map<u64, size_t>& blocks, u64 p, size_t n) {
  if (!n) return true;
  std::lock_guard<std::mutex> lock(guard);
  auto it = blocks.upper_bound(p);
  if (it == blocks.begin()) return false;
  --it;
  return p + n <= it->first + it->second;
}
bool inside(u64 p, size_t n) { return holds(memory, p, n); }
bool is_pinned(const void* p, size_t n) { return holds(pinned, (u64)p, n); }

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
  *s = e == INVALID ? "CUDA_ERROR_INVALID_VALUE" : e == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : e == 719 ? "CUDA_ERROR_LAUNCH_FAILED" :
    e == CAPTURE_UNSUPPORTED ? "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" : e == CAPTURE_INVALIDATED ? "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED" :
    e == CAPTURE_ISOLATION ? "CUDA_ERROR_STREAM_CAPTURE_ISOLATION" : "CUDA_ERROR";
  return OK;
}
API cuGetErrorString(int, const char** s) { *s = "from the emulation"; return OK; }
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
  drain_all(); // the driver waits for the device
  std::lock_guard<std::mutex> lock(guard);
  auto it = memory.find(p);
  if (it == memory.end()) return INVALID;
  used -= it->second;
  memory.erase(it);
  free((void*)p);
  return OK;
}
API cuMemGetInfo_v2(size_t* f, size_t* t) { *t = capacity(); *f = *t - used; return OK; }
API cuMemHostAlloc(void** p, size_t n, u32) {
  if (!n) return INVALID;
  if (posix_memalign(p, 256, n)) return OUT_OF_MEMORY;
  memset(*p, 0xFF, n);
  std::lock_guard<std::mutex> lock(guard);
  pinned[(u64)*p] = n;
  return OK;
}
API cuMemFreeHost(void* p) {
  drain_all();
  std::lock_guard<std::mutex> lock(guard);
  if (!pinned.erase((u64)p)) return INVALID;
  free(p);
  return OK;
}

// Of pageable memory the driver takes its copy before it returns; pinned memory is read when the copy runs, so it must stay as it is.
// A graph would read pageable memory at each replay: the driver allows it, and here it is refused, since nobody can mean it.
API cuMemcpyHtoDAsync_v2(u64 d, const void* s, size_t n, void* stream) {
  if (!inside(d, n)) return INVALID;
  if (is_pinned(s, n)) return put(stream, [=] { memcpy((void*)d, s, n); return (int)OK; });
  if (is_capturing(stream)) return refuse(stream, CAPTURE_UNSUPPORTED);
  std::vector<u8> taken((const u8*)s, (const u8*)s + n);
  return put(stream, [d, taken = std::move(taken)] { memcpy((void*)d, taken.data(), taken.size()); return (int)OK; });
}
// To pageable memory it waits.
API cuMemcpyDtoHAsync_v2(void* d, u64 s, size_t n, void* stream) {
  if (!inside(s, n)) return INVALID;
  Work copy = [=] { memcpy(d, (void*)s, n); return (int)OK; };
  return is_pinned(d, n) ? put(stream, copy) : put_and_wait(stream, copy);
}
API cuMemcpyDtoDAsync_v2(u64 d, u64 s, size_t n, void* stream) {
  if (!inside(d, n) || !inside(s, n)) return INVALID;
  return put(stream, [=] { memmove((void*)d, (void*)s, n); return (int)OK; });
}
API cuMemsetD8Async(u64 d, u8 v, size_t n, void* stream) {
  if (!inside(d, n)) return INVALID;
  return put(stream, [=] { memset((void*)d, v, n); return (int)OK; });
}

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
// The values of the arguments are taken when it is launched.
API cuLaunchKernel(void* f, u32 gx, u32 gy, u32 gz, u32 bx, u32 by, u32 bz, u32 shared, void* stream, void** args, void**) {
  auto* function = (Function*)f;
  if (shared > function->shared) return INVALID;
  const char* name = function->name.c_str();
  const u32 count = (u32)gr_cpu_parameters(name);
  std::vector<size_t> at;
  size_t total = 0;
  for (u32 i = 0; i < count; i++) at.push_back(total), total += (gr_cpu_parameter_size(name, i) + 63) / 64 * 64;
  std::shared_ptr<u8> values((u8*)aligned_alloc(64, total + 64), free);
  for (u32 i = 0; i < count; i++) memcpy(values.get() + at[i], args[i], gr_cpu_parameter_size(name, i));
  const std::string threads = order;
  return put(stream, [=] {
    std::vector<void*> arguments;
    for (size_t offset : at) arguments.push_back(values.get() + offset);
    return gr_cpu_launch(name, {gx, gy, gz}, {bx, by, bz}, shared, arguments.data(), threads.c_str(), ++launches);
  });
}
API cuTensorMapEncodeTiled(void* m, int, u32 rank, void* base, const u64* sizes, const u64* strides, const u32* box, const u32* steps, int, int swizzle, int, int) {
  if ((u64)m % 64 || (u64)base % 16 || rank != 2 || swizzle != 3 || strides[0] % 16 || box[0] * 2 != 128 || box[1] > 256 || steps[0] != 1) return INVALID;
  struct { void* base; u64 columns, rows, row_bytes; u32 box_columns, box_rows; } map = {base, sizes[0], sizes[1], strides[0], box[0], box[1]};
  memset(m, 0, 128);
  memcpy(m, &map, sizeof map);
  return OK;
}
