// A stand-in for libnccl.so.2, as far as gradus-cuda calls it: ranks are threads of one process, on the stand-in's devices, whose memory
// is the host's. An exchange waits here for what is on its stream and for the other ranks, which NCCL does on the GPU.
#include <condition_variable>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>
#include <stdint.h>
#include <string.h>
#include <string>
#include <vector>
#define API extern "C" __attribute__((visibility("default"))) int
enum { OK = 0, INVALID = 4, MISUSE = 5, REMOTE = 6 };
struct Id { char bytes[128]; };
struct Call { int kind = 0, type = 0, op = 0; size_t count = 0; std::vector<void*> places; int came = 0, done = 0, bad = 0; };
struct Group { int size = 0, joined = 0, gone = 0; std::map<uint64_t, Call> calls; };
struct Comm { std::shared_ptr<Group> group; int rank; uint64_t next = 0; };
static std::mutex guard;
static std::condition_variable changed;
static std::map<std::string, std::shared_ptr<Group>> groups;
static uint64_t ids;

static size_t bytes_of(int type) {
  static const size_t sizes[] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2};
  return type >= 0 && type < 10 ? sizes[type] : 0;
}
static float from_half(uint16_t h) {
  _Float16 x;
  memcpy(&x, &h, 2);
  return (float)x;
}
static uint16_t to_half(float f) {
  _Float16 x = (_Float16)f;
  uint16_t h;
  memcpy(&h, &x, 2);
  return h;
}
static float from_bf16(uint16_t h) {
  uint32_t u = (uint32_t)h << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}
static uint16_t to_bf16(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  if (f != f) return 0x7FC0;
  return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}
template <class T> static void sum(Call& call, bool mean) {
  std::vector<T> total(call.count);
  for (void* place : call.places)
    for (size_t i = 0; i < call.count; i++) total[i] += ((T*)place)[i];
  if (mean)
    for (T& x : total) x /= (T)call.places.size();
  for (void* place : call.places) memcpy(place, total.data(), call.count * sizeof(T));
}
static void sum16(Call& call, bool mean, float (*from)(uint16_t), uint16_t (*to)(float)) {
  for (size_t i = 0; i < call.count; i++) {
    float total = 0;
    for (void* place : call.places) total += from(((uint16_t*)place)[i]);
    uint16_t out = to(mean ? total / call.places.size() : total);
    for (void* place : call.places) ((uint16_t*)place)[i] = out;
  }
}
static void carry_out(Call& call) {
  if (call.kind == 1) { // broadcast from `op`
    for (void* place : call.places) memmove(place, call.places[call.op], call.count * bytes_of(call.type));
    return;
  }
  bool mean = call.op == 4;
  switch (call.type) {
    case 1: sum<uint8_t>(call, mean); break;
    case 2: sum<int32_t>(call, mean); break;
    case 4: sum<int64_t>(call, mean); break;
    case 6: sum16(call, mean, from_half, to_half); break;
    case 7: sum<float>(call, mean); break;
    case 8: sum<double>(call, mean); break;
    case 9: sum16(call, mean, from_bf16, to_bf16); break;
    default: call.bad = INVALID;
  }
}
// All ranks come here with their places; the last carries it out.
static int meet(Comm* comm, int kind, void* place, size_t count, int type, int op, void* stream) {
  static auto synchronize = (int (*)(void*))dlsym(RTLD_DEFAULT, "cuStreamSynchronize"); // the stand-in driver's
  if (!synchronize || synchronize(stream)) return REMOTE;
  std::unique_lock<std::mutex> lock(guard);
  auto group = comm->group;
  uint64_t number = comm->next++;
  Call& call = group->calls[number];
  if (!call.came) {
    call.kind = kind, call.type = type, call.op = op, call.count = count;
    call.places.resize(group->size);
  } else if (call.kind != kind || call.type != type || call.op != op || call.count != count) {
    call.bad = MISUSE;
  }
  call.places[comm->rank] = place;
  if (++call.came == group->size && !call.bad) carry_out(call);
  changed.notify_all();
  changed.wait(lock, [&] { return call.came == group->size || group->gone; });
  int result = call.came < group->size ? (int)REMOTE : (int)call.bad;
  if (++call.done == group->size) group->calls.erase(number);
  return result;
}

API ncclGetUniqueId(Id* id) {
  std::lock_guard<std::mutex> lock(guard);
  memset(id, 0, sizeof *id);
  ids++;
  memcpy(id->bytes, "stand-in", 8);
  memcpy(id->bytes + 8, &ids, sizeof ids);
  return OK;
}
API ncclCommInitRank(Comm** out, int size, Id id, int rank) {
  if (rank < 0 || rank >= size) return INVALID;
  std::unique_lock<std::mutex> lock(guard);
  auto& group = groups[std::string(id.bytes, sizeof id.bytes)];
  if (!group) group = std::make_shared<Group>();
  group->size = size;
  group->joined++;
  auto mine = group;
  changed.notify_all();
  changed.wait(lock, [&] { return mine->joined == size; });
  *out = new Comm{mine, rank};
  return OK;
}
API ncclAllReduce(const void*, void* place, size_t count, int type, int op, Comm* comm, void* s) { return meet(comm, 0, place, count, type, op, s); }
API ncclBroadcast(const void*, void* place, size_t count, int type, int root, Comm* comm, void* s) { return meet(comm, 1, place, count, type, root, s); }
API ncclCommDestroy(Comm* comm) {
  std::lock_guard<std::mutex> lock(guard);
  comm->group->gone++;
  changed.notify_all();
  delete comm;
  return OK;
}
API ncclCommAbort(Comm* comm) { return ncclCommDestroy(comm); }
