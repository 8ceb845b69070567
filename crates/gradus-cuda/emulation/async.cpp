// What happens beside the threads: cp.async, mbarriers, tensor copies (TMA) and a warpgroup's products (wgmma).
//
// Everything is as late as it may be: a copy arrives when somebody waits for it, a product is computed from what its tiles
// hold when it is waited for. A kernel that gives a tile back too early, or reads one too soon, gets wrong numbers.
#include "internal.h"

namespace gr {
// ---- cp.async ------------------------------------------------------------------------------------------------------------
static void perform(const Copy& c) {
#ifdef GR_RACES
  touched(c.from, c.bytes, false);
  touched(c.to, 16, true);
#endif
  u8 line[16] = {};
  memcpy(line, c.from, c.bytes);
  memcpy(c.to, line, 16);
}
void copy_async(void* to, const void* from, int bytes) {
  if (eager) perform({to, from, bytes});
  else me().copies.push_back({to, from, bytes});
}
void copy_commit() { me().copy_groups.push_back(me().copies.size()); }
// Runs what is older than the last `groups` groups; of `0`, also what was never committed (the thread's end).
template <class Op, class Run> static void run_groups(std::vector<Op>& ops, std::vector<size_t>& ends, u32 groups, Run run) {
  if (ends.size() <= groups) return;
  const size_t drop = ends.size() - groups, n = ends[drop - 1];
  for (size_t i = 0; i < n; i++) run(ops[i]);
  ops.erase(ops.begin(), ops.begin() + n);
  ends.erase(ends.begin(), ends.begin() + drop);
  for (auto& end : ends) end -= n;
}
void copy_wait(u32 groups) { run_groups(me().copies, me().copy_groups, groups, perform); }

// ---- mbarrier --------------------------------------------------------------------------------------------------------------
struct Barrier { u16 expected, pending; int bytes : 31; u32 phase : 1; };
static_assert(sizeof(Barrier) == 8, "as large as the hardware's");
static void turn_if_complete(Barrier& m) {
  if (m.pending || m.bytes) return;
  m.phase ^= 1;
  m.pending = m.expected;
}
void mbarrier_init(u64* b, u32 arrivals) {
  Barrier m = {(u16)arrivals, (u16)arrivals, 0, 0};
  memcpy(b, &m, 8);
}
void mbarrier_arrive(u64* b, u32 bytes) {
  Barrier m;
  memcpy(&m, b, 8);
  if (!m.pending) fail("mbarrier: more arrivals than it expects in a phase");
  m.bytes += (int)bytes;
  m.pending--;
  turn_if_complete(m);
  memcpy(b, &m, 8);
}
void mbarrier_wait(u64* b, u32 parity) {
  for (;;) {
    Barrier m;
    memcpy(&m, b, 8);
    if (m.phase != (parity & 1)) return;
    me().state = SPIN;
    yield();
  }
}

// ---- TMA ---------------------------------------------------------------------------------------------------------------
// What driver.cpp's cuTensorMapEncodeTiled writes into a TensorMap.
struct Map { const u8* base; u64 columns, rows, row_bytes; u32 box_columns, box_rows; };
static u64 swizzle(u64 at) { return at ^ (at >> 7 & 7) << 4; }
void tensor_load(void* tile, const void* map, int x, int y, u64* barrier) {
  if (((u8*)tile - shared_base()) & 1023) fail("TMA: a swizzled tile begins at a multiple of 1024 bytes");
  Load load = {(u8*)tile, {}, x, y, barrier};
  memcpy(load.map, map, sizeof load.map); // the kernel's argument: gone with the thread, which need not wait
  block.loads.push_back(load);
}
bool deliver_load() {
  if (block.loads.empty()) return false;
  const size_t which = random_number() % block.loads.size();
  const Load load = block.loads[which];
  block.loads.erase(block.loads.begin() + which);
  Map m;
  memcpy(&m, load.map, sizeof m);
  static_assert(sizeof m <= sizeof load.map);
  for (u32 r = 0; r < m.box_rows; r++)
    for (u32 c = 0; c < m.box_columns; c++) {
      const u64 at = (u64)(load.tile - shared_base()) + r * 128 + c * 2;
      const i64 x = (i64)load.x + c, y = (i64)load.y + r;
      u16 v = 0;
      if (x >= 0 && y >= 0 && (u64)x < m.columns && (u64)y < m.rows) memcpy(&v, m.base + y * m.row_bytes + x * 2, 2);
      memcpy(shared_base() + swizzle(at), &v, 2);
    }
  Barrier b;
  memcpy(&b, load.barrier, 8);
  b.bytes -= (int)(m.box_rows * m.box_columns * 2);
  turn_if_complete(b);
  memcpy(load.barrier, &b, 8);
  return true;
}

// ---- wgmma -----------------------------------------------------------------------------------------------------------------
u64 tile_address(const void* tile) { return (u64)((const u8*)tile - shared_base()); }
static float tile_at(u64 tile, u32 row, u32 k, bool tf32) {
  if (tf32) {
    u32 v;
    memcpy(&v, shared_base() + swizzle(tile + row / 8 * 1024 + row % 8 * 128 + k * 4), 4);
    return gr_float(v & ~0x1fffu);
  }
  u16 v;
  memcpy(&v, shared_base() + swizzle(tile + row / 8 * 1024 + row % 8 * 128 + k * 2), 2);
  return gr_from_bf16(v);
}
static void multiply(const Product& p) {
  const u32 t = me().number & 127, first = t / 32 * 16 + t % 32 / 4;
  const u64 a = p.a << 4, b = p.b << 4;
  const u32 ks = p.tf32 ? 8 : 16;
  float of_a[2][16];
  for (u32 h = 0; h < 2; h++)
    for (u32 k = 0; k < ks; k++) of_a[h][k] = tile_at(a, first + 8 * h, k, p.tf32);
  for (u32 j = 0; j < p.n / 8; j++)
    for (u32 e = 0; e < 2; e++) {
      float sum[2] = {0, 0};
      for (u32 k = 0; k < ks; k++) {
        const float v = tile_at(b, j * 8 + t % 4 * 2 + e, k, p.tf32);
        sum[0] += of_a[0][k] * v;
        sum[1] += of_a[1][k] * v;
      }
      for (u32 h = 0; h < 2; h++) {
        float& d = p.d[j * 4 + h * 2 + e];
        d = (p.accumulate ? d : 0.f) + sum[h];
      }
    }
}
void wgmma(float* d, u32 n, u64 a, u64 b, int accumulate, bool tf32) { me().products.push_back({d, n, a, b, accumulate, tf32}); }
void wgmma_commit() { me().product_groups.push_back(me().products.size()); }
void wgmma_wait(u32 groups) {
  meet_warp(GR_FULL); // .sync: the lanes of a warp stay together; the warps of the group need not
  me().state = READY;
  yield(); // let every other thread run first: as late as it may be
  run_groups(me().products, me().product_groups, groups, multiply);
  meet_warp(GR_FULL); // a warp's product is done for all its lanes, or for none
}
void wgmma_fence() {}
} // namespace gr
