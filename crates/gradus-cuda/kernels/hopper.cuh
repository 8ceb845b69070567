// The primitives of sm_90a: barriers in shared memory, tensor copies (TMA), and products of a warpgroup (wgmma).
//
// Only kernels built for sm_90a include it. A tile in shared memory is rows of 128 bytes (64 elements of 16 bits, 32 of f32), swizzled as TMA
// writes it: 16-byte chunk c of row r lies at chunk c ^ (r & 7). Tiles begin at multiples of 1024 bytes.
#pragma once
#include "gr.cuh"
#ifndef GRADUS_CPU
// What cuTensorMapEncodeTiled makes on the host.
struct __align__(64) TensorMap { u64 opaque[16]; };

// ---- mbarrier: a counter of arrivals and of bytes, whose phase turns when both are complete ---------------------------------------

GR_DEV void gr_barrier_init(u64* b, u32 arrivals) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" :: "r"(gr_shared_address(b)), "r"(arrivals) : "memory");
}
// Makes initialised barriers visible to the asynchronous units.
GR_DEV void gr_barrier_init_done() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
// Arrives, and says that so many bytes are still to come in this phase.
GR_DEV void gr_barrier_expect(u64* b, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" :: "r"(gr_shared_address(b)), "r"(bytes) : "memory");
}
GR_DEV void gr_barrier_arrive(u64* b) {
  asm volatile("mbarrier.arrive.shared.b64 _, [%0];" :: "r"(gr_shared_address(b)) : "memory");
}
// Until the phase of this parity is over. A fresh barrier's phase of parity 1 is.
GR_DEV void gr_barrier_wait(u64* b, u32 parity) {
  asm volatile("{ .reg .pred done;\n"
    "again: mbarrier.try_wait.parity.shared.b64 done, [%0], %1;\n"
    "@!done bra again; }" :: "r"(gr_shared_address(b)), "r"(parity) : "memory");
}

// ---- TMA ---------------------------------------------------------------------------------------------------------------

// The box at column x, row y of the tensor; what lies outside is 0. Its bytes count for the barrier.
GR_DEV void gr_tensor_load(void* tile, const TensorMap* map, int x, int y, u64* barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
    :: "r"(gr_shared_address(tile)), "l"(map), "r"(gr_shared_address(barrier)), "r"(x), "r"(y) : "memory");
}

// ---- wgmma -----------------------------------------------------------------------------------------------------------------

// The descriptor of a tile whose rows are 128 bytes of K: groups of eight rows 1024 bytes apart, 128-byte swizzle.
GR_DEV u64 gr_wgmma_tile(const void* tile) {
  return (u64)((gr_shared_address(tile) & 0x3FFFF) >> 4) | (1ull << 16) | (64ull << 32) | (1ull << 62);
}
// 32 bytes of K further on: sixteen elements of bf16.
GR_DEV u64 gr_wgmma_advance(u64 tile, int steps) { return tile + 2 * steps; }
GR_DEV void gr_wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
GR_DEV void gr_wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Until at most N groups are under way. The accumulators may be read when theirs is done.
template <int N> GR_DEV void gr_wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(N) : "memory"); }
// Registers from a warpgroup that needs few to those that need many.
template <int N> GR_DEV void gr_registers_release() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(N)); }
template <int N> GR_DEV void gr_registers_acquire() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(N)); }
// d (64×256, f32) = a (64×32 bytes of k) · b (256×32 bytes of k)ᵀ, plus d where `accumulate`. Thread t of the warpgroup holds, of rows
// 16·(t/32) + t%32/4 and eight below, columns 8·j + 2·(t%4) and the next: d[4·j .. 4·j + 4].
#define GR_WGMMA_64x256(instruction, scales) \
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %130, 0;\n" instruction " {" \
    "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15," \
    "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31," \
    "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47," \
    "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63," \
    "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79," \
    "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95," \
    "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111," \
    "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127}, " \
    "%128, %129, p, " scales "; }" \
    : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), \
      "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), \
      "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), \
      "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), \
      "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), \
      "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), \
      "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]), \
      "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63]), \
      "+f"(d[64]), "+f"(d[65]), "+f"(d[66]), "+f"(d[67]), "+f"(d[68]), "+f"(d[69]), "+f"(d[70]), "+f"(d[71]), \
      "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75]), "+f"(d[76]), "+f"(d[77]), "+f"(d[78]), "+f"(d[79]), \
      "+f"(d[80]), "+f"(d[81]), "+f"(d[82]), "+f"(d[83]), "+f"(d[84]), "+f"(d[85]), "+f"(d[86]), "+f"(d[87]), \
      "+f"(d[88]), "+f"(d[89]), "+f"(d[90]), "+f"(d[91]), "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95]), \
      "+f"(d[96]), "+f"(d[97]), "+f"(d[98]), "+f"(d[99]), "+f"(d[100]), "+f"(d[101]), "+f"(d[102]), "+f"(d[103]), \
      "+f"(d[104]), "+f"(d[105]), "+f"(d[106]), "+f"(d[107]), "+f"(d[108]), "+f"(d[109]), "+f"(d[110]), "+f"(d[111]), \
      "+f"(d[112]), "+f"(d[113]), "+f"(d[114]), "+f"(d[115]), "+f"(d[116]), "+f"(d[117]), "+f"(d[118]), "+f"(d[119]), \
      "+f"(d[120]), "+f"(d[121]), "+f"(d[122]), "+f"(d[123]), "+f"(d[124]), "+f"(d[125]), "+f"(d[126]), "+f"(d[127]) \
    : "l"(a), "l"(b), "r"(accumulate))
// Sixteen elements of bf16 along k; eight of f32, of which the tensor cores read the first 19 bits.
GR_DEV void gr_wgmma_64x256(float (&d)[128], u64 a, u64 b, int accumulate) {
  GR_WGMMA_64x256("wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16", "1, 1, 0, 0");
}
GR_DEV void gr_wgmma_64x256_tf32(float (&d)[128], u64 a, u64 b, int accumulate) {
  GR_WGMMA_64x256("wgmma.mma_async.sync.aligned.m64n256k8.f32.tf32.tf32", "1, 1");
}
#endif
