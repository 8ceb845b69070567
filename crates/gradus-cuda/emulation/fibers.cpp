// Blocks of threads on one CPU thread: a fiber for each thread, several orders to run them in.
//
// What it is: the scheduler of the emulation. A fiber runs until it meets a barrier, waits for its warp, or spins on an mbarrier.
// What it is not: a model of time. The orders: "f"orward, "r"everse, "s"huffled anew at each round, "w" warp by warp, each as far
// as it gets, "l" so too, but one warp runs only when no other can (the greatest drift between warps). A second letter "e": copies complete as early as they may, not as late.
#include "internal.h"
#include <map>
#include <mutex>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <sys/mman.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
extern "C" {
extern u8 __start_gr_shared[] __attribute__((weak));
extern u8 __stop_gr_shared[] __attribute__((weak));
void gr_switch(void** save, void* to);
}
#if defined(__x86_64__)
asm(R"(.text
.globl gr_switch
.hidden gr_switch
gr_switch:
 pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
 movq %rsp, (%rdi)
 movq %rsi, %rsp
 popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
 ret
)");
static void* first_frame(u8* top, void (*entry)()) {
  u64* sp = (u64*)top;
  *--sp = 0; // keeps the stack aligned as after a call
  *--sp = (u64)entry;
  for (int i = 0; i < 6; i++) *--sp = 0;
  return sp;
}
#elif defined(__aarch64__)
asm(R"(.text
.globl gr_switch
.hidden gr_switch
gr_switch:
 sub sp, sp, #160
 stp x19, x20, [sp]; stp x21, x22, [sp, #16]; stp x23, x24, [sp, #32]; stp x25, x26, [sp, #48]
 stp x27, x28, [sp, #64]; stp x29, x30, [sp, #80]
 stp d8, d9, [sp, #96]; stp d10, d11, [sp, #112]; stp d12, d13, [sp, #128]; stp d14, d15, [sp, #144]
 mov x9, sp
 str x9, [x0]
 mov sp, x1
 ldp x19, x20, [sp]; ldp x21, x22, [sp, #16]; ldp x23, x24, [sp, #32]; ldp x25, x26, [sp, #48]
 ldp x27, x28, [sp, #64]; ldp x29, x30, [sp, #80]
 ldp d8, d9, [sp, #96]; ldp d10, d11, [sp, #112]; ldp d12, d13, [sp, #128]; ldp d14, d15, [sp, #144]
 add sp, sp, #160
 ret
)");
static void* first_frame(u8* top, void (*entry)()) {
  u64* sp = (u64*)top - 20;
  memset(sp, 0, 160);
  sp[11] = (u64)entry;
  return sp;
}
#endif

namespace gr {
Place* here;
Block block;
bool eager;
static u64 random_state;
u32 random_number() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (u32)(random_state >> 11);
}

#ifdef __SANITIZE_ADDRESS__
static const size_t STACK = 256 << 10;
static const void* scheduler_stack;
static size_t scheduler_stack_size;
#else
static const size_t STACK = 64 << 10;
#endif
static const u32 ARENA = 256 << 10;
static u8 *stacks, *arena;
static void* scheduler;
static Thunk thunk;
static void** arguments;
static std::string kernel_name;
static std::string error;

struct Entry { Thunk thunk; std::vector<u32> sizes; u32 block; };
static std::map<std::string, Entry>& table() { static std::map<std::string, Entry> t; return t; }
void enlist(const char* name, Thunk t, u32 count, const u32* sizes, u32 block) {
  table()[name] = Entry{t, std::vector<u32>(sizes, sizes + count), block};
}

static Fiber& current() { return block.fibers[((char*)here - (char*)&block.fibers[0]) / sizeof(Fiber)]; }
Fiber& me() { return current(); }

// The first failure is kept, and every fiber leaves at its next meeting point: the launch then returns an error.
struct Abandon {};
void report(const char* why) {
  char text[512];
  snprintf(text, sizeof text, "emulation: kernel %s, block (%u,%u,%u), thread %u: %s", kernel_name.c_str(), block.id.x, block.id.y, block.id.z, here ? me().number : 0, why);
  if (error.empty()) error = text;
}
[[noreturn]] void fail(const char* why) {
  report(why);
  throw Abandon();
}

void yield() {
  Fiber& f = me();
#ifdef __SANITIZE_ADDRESS__
  void* fake;
  __sanitizer_start_switch_fiber(f.state == DONE ? nullptr : &fake, scheduler_stack, scheduler_stack_size);
  gr_switch(&f.stack, scheduler);
  __sanitizer_finish_switch_fiber(fake, &scheduler_stack, &scheduler_stack_size);
#else
  gr_switch(&f.stack, scheduler);
#endif
  if (!error.empty() && f.state != DONE) throw Abandon();
}
static void fiber_main() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_size);
#endif
  try {
    thunk(arguments);
    copy_wait(0);
    if (!me().products.empty()) fail("a wgmma was never waited for");
  } catch (const Abandon&) {
  }
  Fiber& f = me();
  f.state = DONE;
  block.done++;
  block.warps[f.number >> 5].alive &= ~(1u << f.place.lane);
  yield();
  __builtin_unreachable();
}
u8* dynamic_shared() { return arena; }
u8* shared_base() { return arena; }
bool is_stack(const void* p) { return (u8*)p >= stacks && (u8*)p < stacks + STACK * 1024; }
bool is_shared(const void* p) {
  return ((u8*)p >= arena && (u8*)p < arena + ARENA) || ((u8*)p >= __start_gr_shared && (u8*)p < __stop_gr_shared);
}
void barrier() {
  me().state = BARRIER;
  block.waiting++;
  yield();
  me().barriers++;
}
void meet_warp(u32 mask) {
  Fiber& f = me();
  Warp& w = block.warps[f.number >> 5];
  const u32 lane = f.place.lane;
  if (!(mask >> lane & 1)) fail("a warp's operation: the lane is not in its own mask");
  if ((mask & w.alive) != mask) fail("a warp's operation: a lane of the mask has left the kernel");
  w.arrived |= 1u << lane;
  f.mask = mask;
  if ((w.arrived & mask) != mask) { f.state = WARP; yield(); return; }
  w.arrived &= ~mask;
  for (u32 i = 0; i < 32; i++) {
    if (!(mask >> i & 1) || i == lane) continue;
    Fiber& other = block.fibers[(f.number & ~31u) + i];
    if (other.state != WARP || other.mask != mask) fail("a warp's operation: lanes disagree on the mask");
    other.state = READY;
  }
}
void sync_warp() {
  meet_warp(GR_FULL);
  me().meetings++; // shuffles and ldmatrix meet too, but order no memory
}
float atomic_add(float* p, float v) {
  const float old = *p;
  *p = old + v;
  return old;
}
u32 atomic_inc(u32* p, u32 wrap) {
  const u32 old = *p;
  *p = old >= wrap ? 0 : old + 1;
  return old;
}
void atomic_max(u64* p, u64 v) {
  if (v > *p) *p = v;
}
template <class W> static W swap_if(W* p, W old, W next) {
  const W seen = *p;
  if (seen == old) *p = next;
  return seen;
}
u32 atomic_swap(u32* p, u32 old, u32 next) { return swap_if(p, old, next); }
u64 atomic_swap(u64* p, u64 old, u64 next) { return swap_if(p, old, next); }
void post(const void* value, u32 bytes) { memcpy(block.warps[me().number >> 5].slots[me().place.lane], value, bytes); }
void peek(u32 lane, void* value, u32 bytes) { memcpy(value, block.warps[me().number >> 5].slots[lane], bytes); }

__attribute__((no_sanitize_address, optimize("O2", "no-tree-loop-distribute-patterns")))
static void poison(u8* p, u8* end) { for (; p < end; p++) *p = 0xFF; } // quiet NaN in every float format

static bool step(Fiber& f) {
  if (f.state != READY && f.state != SPIN) return false;
  const bool spun = f.state == SPIN;
  f.state = READY;
  here = &f.place;
#ifdef __SANITIZE_ADDRESS__
  void* fake;
  __sanitizer_start_switch_fiber(&fake, stacks + STACK * f.number, STACK);
  gr_switch(&scheduler, f.stack);
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
  gr_switch(&scheduler, f.stack);
#endif
  return !(spun && f.state == SPIN);
}
static void start(u32 threads) {
  Block& b = block;
  if (b.fibers.size() != threads) b.fibers = std::vector<Fiber>(threads);
  b.warps.assign((threads + 31) / 32, Warp{});
  b.waiting = b.done = 0;
  b.loads.clear();
  if (__start_gr_shared) poison(__start_gr_shared, __stop_gr_shared);
  for (u32 i = 0; i < threads; i++) {
    Fiber& f = b.fibers[i];
    f.number = i;
    f.barriers = f.meetings = 0;
    f.place = {{i % b.size.x, i / b.size.x % b.size.y, i / b.size.x / b.size.y}, b.id, b.size, b.grid, i & 31};
    f.state = READY;
    f.copies.clear(), f.copy_groups.clear(), f.products.clear(), f.product_groups.clear();
    b.warps[i >> 5].alive |= 1u << (i & 31);
#ifdef __SANITIZE_ADDRESS__
    ASAN_UNPOISON_MEMORY_REGION(stacks + STACK * i, STACK); // whoever had it may have left in the middle
#endif
    f.stack = first_frame(stacks + STACK * (i + 1), fiber_main);
  }
}
static void deadlock() {
  u32 count[5] = {};
  for (auto& f : block.fibers) count[f.state]++;
  char text[200];
  snprintf(text, sizeof text, "deadlock: %u threads at a barrier of the block, %u of their warp, %u at an mbarrier, %u gone, of %zu", count[BARRIER], count[WARP], count[SPIN], count[DONE], block.fibers.size());
  here = &block.fibers[0].place;
  try { fail(text); } catch (const Abandon&) {}
}
static void run_block(const char* order) {
  Block& b = block;
  const u32 n = b.size.x * b.size.y * b.size.z, warps = (n + 31) / 32;
  start(n);
  std::vector<u32> sequence(n), of_warps(warps);
  for (u32 i = 0; i < n; i++) sequence[i] = *order == 'r' ? n - 1 - i : i;
  for (u32 i = 0; i < warps; i++) of_warps[i] = i;
  const u32 lagging = random_number() % warps;
  u32 idle = 0;
  while (b.done < n) {
    bool ran = false;
    auto greedily = [&](u32 w) {
      for (bool any = true; any; ran |= any) {
        any = false;
        for (u32 i = w * 32; i < n && i < w * 32 + 32; i++) any |= step(b.fibers[i]);
      }
    };
    if (*order == 'w' || *order == 'l') {
      for (u32 i = warps; i > 1; i--) std::swap(of_warps[i - 1], of_warps[random_number() % i]);
      for (u32 w : of_warps) if (*order == 'w' || w != lagging) greedily(w);
    } else {
      if (*order == 's') for (u32 i = n; i > 1; i--) std::swap(sequence[i - 1], sequence[random_number() % i]);
      for (u32 i : sequence) ran |= step(b.fibers[i]);
    }
    if (b.waiting && b.waiting + b.done == n) {
      for (auto& f : b.fibers) if (f.state == BARRIER) f.state = READY;
      b.waiting = 0;
      ran = true;
    }
    if (deliver_load()) ran = true;
    if (!ran && *order == 'l') greedily(lagging);
    idle = ran ? 0 : idle + 1;
    if (idle > 4 && error.empty()) deadlock();
    if (!error.empty()) for (auto& f : b.fibers) if (f.state != DONE) f.state = READY;
  }
  if (!b.loads.empty() && error.empty()) error = "emulation: kernel " + kernel_name + ": tensor copies under way when the block ended";
}
} // namespace gr

extern "C" {
// -1 if there is no such kernel, else the number of its parameters.
int gr_cpu_parameters(const char* name) {
  auto it = gr::table().find(name);
  return it == gr::table().end() ? -1 : (int)it->second.sizes.size();
}
u32 gr_cpu_parameter_size(const char* name, u32 i) { return gr::table().at(name).sizes.at(i); }
const char* gr_cpu_error() { return gr::error.c_str(); }
// A CUresult: 0, 1 for a launch that a driver refuses, 719 (launch failed) if the emulation caught something.
int gr_cpu_launch(const char* name, uint3 grid, uint3 size, u32 shared, void** args, const char* order, u64 seed) {
  using namespace gr;
  static std::mutex one;
  std::lock_guard<std::mutex> lock(one);
  auto it = table().find(name);
  if (it == table().end()) return 500;
  const u64 threads = (u64)size.x * size.y * size.z, blocks = (u64)grid.x * grid.y * grid.z;
  if (!threads || threads > it->second.block || shared > 232448 || !blocks || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535) return 1;
  if (!stacks) {
    stacks = (u8*)mmap(nullptr, STACK * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    arena = (u8*)aligned_alloc(1024, ARENA);
  }
  eager = order[0] && order[1] == 'e';
  thunk = it->second.thunk;
  arguments = args;
  kernel_name = name;
  error.clear();
#ifdef GR_RACES
  races_begin();
#endif
  random_state = seed * 2654435761u + 88172645463325252ull;
  block.size = size;
  block.grid = grid;
  for (u64 i = 0; i < blocks && error.empty(); i++) {
    const u64 at = *order == 'r' ? blocks - 1 - i : i;
    block.id = {(u32)(at % grid.x), (u32)(at / grid.x % grid.y), (u32)(at / grid.x / grid.y)};
#ifdef __SANITIZE_ADDRESS__
    ASAN_UNPOISON_MEMORY_REGION(arena, ARENA);
#endif
    poison(arena, arena + shared);
#ifdef __SANITIZE_ADDRESS__
    ASAN_POISON_MEMORY_REGION(arena + shared, ARENA - shared);
#endif
    run_block(order);
  }
  here = nullptr;
  if (error.empty()) return 0;
  fprintf(stderr, "%s\n", error.c_str());
  return 719;
}
}
