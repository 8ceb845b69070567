// Races between the threads of a kernel, whatever order they happened to run in.
//
// A kernel compiled with -fsanitize=thread calls __tsan_read4 and its like at every access. They are defined here, and not by ThreadSanitizer's
// library, because what orders threads of a GPU is not a mutex: two accesses to the same bytes, at least one a write, race unless
// the threads met in between: at a barrier of their block, or, lanes of one warp, at __syncwarp. Threads of different
// blocks never meet. Atomics do not count. Kept are the last write and the last two readers of each place, so a race may be missed, but none is
// made up. mbarriers and tensor copies are not modelled (their memory is touched by the emulation itself).
#ifdef GR_RACES
#include "internal.h"
#include <stdio.h>

namespace gr {
namespace {
struct Access { u64 thread = 0; u32 barriers = 0, meetings = 0; u8 bytes = 0; }; // thread: 0 is none
struct Place2 { u64 key = 0; u32 launch = 0; Access write, read[2]; };          // two bytes of memory
const u32 SIZE = 1 << 21;
Place2* table;
u32 launch;

Access now(u8 bytes) {
  const Fiber& f = me();
  const uint3 b = f.place.block, g = f.place.grid_size;
  return {((((u64)b.z * g.y + b.y) * g.x + b.x) << 10 | f.number) + 1, f.barriers, f.meetings, bytes};
}
bool ordered(const Access& a, const Access& b, bool shared) {
  const u64 x = a.thread - 1, y = b.thread - 1;
  if (x == y) return true;
  if (x >> 10 != y >> 10) return shared; // another block's shared memory is other memory
  if (a.barriers != b.barriers) return true;
  return x >> 5 == y >> 5 && a.meetings != b.meetings;
}
Place2& place(u64 key) {
  if (!table) table = new Place2[SIZE];
  for (u32 i = (u32)(key * 0x9E3779B97F4A7C15ull >> 43);; i++) {
    Place2& p = table[i & (SIZE - 1)];
    if (p.launch != launch) { p = Place2(); p.launch = launch; p.key = key; return p; }
    if (p.key == key) return p;
  }
}
void check(const Access& before, const Access& after, bool shared, const char* what) {
  if (!before.thread || !(before.bytes & after.bytes) || ordered(before, after, shared)) return;
  static char text[200];
  snprintf(text, sizeof text, "race in %s memory: %s, the other thread is %u of block %u", shared ? "shared" : "global", what,
           (u32)((before.thread - 1) & 1023), (u32)((before.thread - 1) >> 10));
  report(text);
}
void two_bytes(u64 key, u8 bytes, bool write, bool shared) {
  Place2& p = place(key);
  const Access mine = now(bytes);
  check(p.write, mine, shared, write ? "two writes" : "a read of what another thread writes");
  if (write) {
    for (const Access& r : p.read) check(r, mine, shared, "a write of what another thread reads");
    p.write = mine;
  } else if (p.read[0].thread != mine.thread) {
    p.read[1] = p.read[0];
    p.read[0] = mine;
  } else p.read[0] = mine;
}
} // namespace

void races_begin() { launch++; }
void touched(const void* address, u64 n, bool write) {
  if (!here || is_stack(address)) return;
  const u64 first = (u64)address;
  const bool shared = is_shared(address);
  for (u64 at = first & ~1ull; at < first + n; at += 2) {
    const u8 low = at >= first, high = at + 1 < first + n;
    two_bytes(at >> 1, low | high << 1, write, shared);
  }
}
} // namespace gr

#define HOOKS(n) \
  extern "C" void __tsan_read##n(void* p) { gr::touched(p, n, false); } \
  extern "C" void __tsan_write##n(void* p) { gr::touched(p, n, true); } \
  extern "C" void __tsan_unaligned_read##n(void* p) { gr::touched(p, n, false); } \
  extern "C" void __tsan_unaligned_write##n(void* p) { gr::touched(p, n, true); }
HOOKS(1) HOOKS(2) HOOKS(4) HOOKS(8) HOOKS(16)
extern "C" void __tsan_read_range(void* p, u64 n) { gr::touched(p, n, false); }
extern "C" void __tsan_write_range(void* p, u64 n) { gr::touched(p, n, true); }
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
#endif
