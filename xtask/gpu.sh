#!/usr/bin/env bash
# What to run on a machine with an NVIDIA GPU: first whether everything is right, then how fast it is. Two halves, since such a machine
# may have no compiler:
#
#   xtask/gpu.sh build DIR   builds the programs, stripped, and puts them into DIR with NVRTC and the vectors (needs cargo, no GPU)
#   xtask/gpu.sh run DIR     runs them (needs the driver; compute-sanitizer and a Python with torch are used where they are)
#
# Each step has its output in DIR/log; the last lines are a table of steps, and of products beside PyTorch's.
set -euo pipefail

usage() { sed -n '5,6s/^# *//p' "$0" >&2; exit 2; }
[[ $# -eq 2 ]] || usage
mkdir -p "$2"
dir=$(cd "$2" && pwd)

build() {
    cd "$(dirname "$0")/.."
    local release=target/release
    export CARGO_PROFILE_RELEASE_STRIP=symbols
    cargo build --release -p gradus --features cuda
    cargo build --release -p xtask
    cargo build --release -p gradus-cuda --example conformance
    cp $release/gradus $release/xtask "$dir"
    cp $release/examples/conformance "$dir/primitives"
    # The tests of operations, which run on the GPU instead of the stand-in where GRADUS_TEST_DEVICE=real.
    local crate test
    for crate in gradus-cuda:emulated gradus-tensor:cuda gradus-train:cuda_graph; do
        test=$(cargo test --release --no-run -p "${crate%:*}" --test "${crate#*:}" --message-format=json |
            sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
        cp "$test" "$dir/${crate%:*}-operations"
    done
    cargo xtask nvrtc
    cp -rL "${XDG_CACHE_HOME:-$HOME/.cache}/gradus/nvrtc" "$dir/nvrtc"
    if [[ -n ${GRADUS_VECTORS:-} ]]; then
        mkdir -p "$dir/vectors" && cp -r "$GRADUS_VECTORS"/. "$dir/vectors"
    else
        echo "no GRADUS_VECTORS: conformance will be left out"
    fi
    du -sh "$dir"
}

table=()

# step NAME SECONDS COMMAND…: runs it with a limit, its output in log/NAME, and notes how it ended.
step() {
    local name=$1 limit=$2 start=$SECONDS how=ok
    shift 2
    echo "── $name"
    timeout "$limit" "$@" >"log/$name" 2>&1 || how="FAILED ($?), see log/$name"
    tail -n 3 "log/$name"
    table+=("$(printf '%-28s %5d s  %s' "$name" $((SECONDS - start)) "$how")")
}

skip() { table+=("$(printf '%-28s         skipped: %s' "$1" "$2")"); }

run() {
    cd "$dir"
    mkdir -p log
    export GRADUS_NVRTC=$dir/nvrtc GRADUS_CUDA_CACHE=$dir/cubin GRADUS_TEST_DEVICE=real
    # Each primitive by itself before any kernel: what the emulation took for granted.
    step devices 60 ./gradus devices
    step primitives 300 ./primitives
    local tests=(--test-threads 1 --skip planted --skip sanitized --skip standin)
    step kernels 600 ./gradus-cuda-operations "${tests[@]}"
    step operations 600 ./gradus-tensor-operations "${tests[@]}"
    step graphs 300 ./gradus-train-operations "${tests[@]}"
    if [[ -d vectors ]]; then
        step conformance-f32 600 ./xtask conformance --device cuda --vectors vectors
        step conformance-bf16 600 ./xtask conformance --device cuda --dtype bf16 --vectors vectors
    else
        skip conformance "no vectors"
    fi
    local tool
    for tool in memcheck racecheck synccheck; do
        if command -v compute-sanitizer >/dev/null; then
            GRADUS_CUDA_ALLOCATOR=exact step "sanitizer-$tool" 900 \
                compute-sanitizer --tool $tool --error-exitcode 1 ./gradus-cuda-operations "${tests[@]}"
        else
            skip "sanitizer-$tool" "no compute-sanitizer"
        fi
    done
    step train-mnist 300 ./gradus train mnist --device cuda --out runs/mnist
    step train-mnist-graph 300 ./gradus train mnist --device cuda --cuda-graph --out runs/mnist-graph
    step ladder 300 ./xtask bench --device cuda ladder
    if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
        step torch-products 120 python3 - <<'PYTHON'
import torch
def median(launch):
    times = []
    for i in range(14):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record(); launch(); end.record(); torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times[3:])[5]
def rate(dtype, tf32, n=4096):
    torch.backends.cuda.matmul.allow_tf32 = tf32
    a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
    ms = median(lambda: a @ b)
    return f"{ms:9.3f} ms {2 * n**3 / ms / 1e9:8.2f} TFLOP/s"
# The ladder's convolution: (64, 256, 14, 14) by 3 x 3, channels last.
def convolutions(dtype, tf32):
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = tf32, True
    random = lambda *shape: torch.randn(shape, device="cuda", dtype=dtype).to(memory_format=torch.channels_last)
    x, dy, w = random(64, 256, 14, 14), random(64, 256, 14, 14), random(256, 256, 3, 3)
    backward = lambda *mask: torch.ops.aten.convolution_backward(dy, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [*mask, False])
    launches = dict(y=lambda: torch.nn.functional.conv2d(x, w, padding=1), dx=lambda: backward(True, False), dw=lambda: backward(False, True))
    operations = 2 * 9 * 64 * 256 * 256 * 14 * 14
    rates = ((name, median(launch)) for name, launch in launches.items())
    return " ".join(f"{name} {ms:8.3f} ms {operations / ms / 1e9:7.2f} TFLOP/s" for name, ms in rates)
print("torch f32 ", rate(torch.float32, False))
print("torch tf32", rate(torch.float32, True))
print("torch bf16", rate(torch.bfloat16, False))
print("torch conv f32 ", convolutions(torch.float32, False))
print("torch conv tf32", convolutions(torch.float32, True))
print("torch conv bf16", convolutions(torch.bfloat16, False))
PYTHON
    else
        skip torch-products "no torch with CUDA"
    fi
    echo
    printf '%s\n' "${table[@]}"
    echo
    cat log/ladder log/torch-products 2>/dev/null || true
    ! printf '%s\n' "${table[@]}" | grep -q FAILED
}

case $1 in
    build) build ;;
    run) run ;;
    *) usage ;;
esac
