// What the parts of the emulation share, and no kernel sees.
#pragma once
#include "gr_cpu.h"
#include <utility>
#include <vector>

namespace gr {
enum State { READY, BARRIER, WARP, SPIN, DONE };
struct Copy { void* to; const void* from; int bytes; };             // cp.async
struct Product { float* d; u32 n; u64 a, b; int accumulate; bool tf32; }; // wgmma, this thread's share
struct Load { u8* tile; u8 map[64]; int x, y; u64* barrier; };       // TMA
struct Fiber {
  Place place;
  void* stack;
  u32 number, mask;
  u32 barriers, meetings; // how often it met its block, its warp
  State state;
  std::vector<Copy> copies;
  std::vector<size_t> copy_groups;    // where each committed group ends
  std::vector<Product> products;
  std::vector<size_t> product_groups;
};
struct Warp { u32 arrived = 0, alive = 0; u8 slots[32][64]; };
struct Block {
  uint3 id, size, grid;
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  std::vector<Load> loads;
  u32 waiting = 0, done = 0;
};
extern Block block;
extern bool eager;
Fiber& me();
void yield();
u32 random_number();
u8* shared_base();
void report(const char* why); // as `fail`, where one cannot throw: the fibers leave at their next meeting point
// races.cpp
void races_begin();                                       // a launch
void touched(const void* address, u64 n, bool write);     // by the fiber that runs
bool is_stack(const void* address);
bool is_shared(const void* address);
bool deliver_load(); // completes one outstanding tensor copy; false if there is none
} // namespace gr
