"""What the Python peers have in common: arguments, timing and the line of JSON. gradus-bench times in the same way."""
import argparse, json, os, statistics, time

parser = argparse.ArgumentParser()
parser.add_argument("filter", nargs="?", default="")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
parser.add_argument("--seconds", type=float, default=1.0)
parser.add_argument("--compile", action="store_true")
args = parser.parse_args()
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(args.threads)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""


def wanted(suite, group, name):
    return any(part in (suite, group) or part in name for part in args.filter.split(","))


def times(step, seconds):
    """Milliseconds of a step: two to warm up, one to choose how many make 2 ms, then at least 5 such samples."""
    step()
    step()
    start = time.perf_counter()
    step()
    one = max(time.perf_counter() - start, 1e-7)
    inner = max(1, int(2e-3 / one))
    out = []
    for _ in range(max(5, min(200, int(seconds / (one * inner))))):
        start = time.perf_counter()
        for _ in range(inner):
            step()
        out.append((time.perf_counter() - start) / inner * 1e3)
    return out


def peak_rss_mb():
    # ru_maxrss is inherited over fork and exec by some kernels, VmHWM is not.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def report(peer, suite, group, name, start, per_step=1, micro=False, **work):
    """Measures what `start()` returns, if the filter names it, and prints the line."""
    if not wanted(suite, group, name):
        return
    line = dict(suite=suite, peer=peer, work=name, threads=args.threads, dtype=args.dtype, group=group, **work)
    try:
        ms = sorted(times(start(), args.seconds))
        scale = (1e3 if micro else 1.0) / per_step
        at = lambda q: round(ms[min(len(ms) - 1, int(q * len(ms)))] * scale, 6)
        line.update(med_ms=round(statistics.median(ms) * scale, 6), p10_ms=at(0.1), p90_ms=at(0.9), reps=len(ms))
        if micro:
            line["unit"] = "us"
    except Exception as error:
        line["error"] = f"{type(error).__name__}: {str(error)[:200]}"
    line["rss_mb"] = round(peak_rss_mb(), 1)
    print(json.dumps(line), flush=True)
