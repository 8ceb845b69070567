"""PyTorch on the CPU, eager (or compiled with --compile), f32 or under bf16 autocast, on gradus-bench's workloads."""
from common import args, report
import contextlib
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(args.threads)
torch.manual_seed(0)
BF16 = args.dtype == "bf16"
PEER = "torch_compile" if args.compile else "torch"
amp = (lambda: torch.autocast("cpu", torch.bfloat16)) if BF16 else contextlib.nullcontext
wrap = torch.compile if args.compile else (lambda net: net)
inference = torch.inference_mode


def row(suite, group, name, start, **work):
    report(PEER, suite, group, name, start, **work)


def without_graph(step):
    def run():
        with inference():
            step()

    return run


# gemm: name, batch, M, N, K, A stored (K, M), B stored (N, K)
SHAPES = [
    ("sq64", 1, 64, 64, 64, 0, 0), ("sq128", 1, 128, 128, 128, 0, 0), ("sq256", 1, 256, 256, 256, 0, 0),
    ("sq512", 1, 512, 512, 512, 0, 0), ("sq1024", 1, 1024, 1024, 1024, 0, 0), ("sq2048", 1, 2048, 2048, 2048, 0, 0),
    ("sq512_TN", 1, 512, 512, 512, 1, 0), ("sq512_NT", 1, 512, 512, 512, 0, 1),
    ("sq1024_TN", 1, 1024, 1024, 1024, 1, 0), ("sq1024_NT", 1, 1024, 1024, 1024, 0, 1),
    ("proj128x768x768_NT", 1, 128, 768, 768, 0, 1), ("mlp128x768x3072_NT", 1, 128, 3072, 768, 0, 1),
    ("mlp128x3072x768_NT", 1, 128, 768, 3072, 0, 1), ("wgrad768x3072x1024_TN", 1, 768, 3072, 1024, 1, 0),
    ("qk_b12_512x512x64_NT", 12, 512, 512, 64, 0, 1), ("av_b12_512x64x512", 12, 512, 64, 512, 0, 0),
    ("gemv1x768x50257_NT", 1, 1, 50257, 768, 0, 1), ("gemv1x768x3072_NT", 1, 1, 3072, 768, 0, 1),
    ("lmhead64x768x50257_NT", 1, 64, 50257, 768, 0, 1),
]


def gemm():
    dtype = torch.bfloat16 if BF16 else torch.float32
    for name, batch, m, n, k, ta, tb in SHAPES:
        def start():
            a = torch.rand(batch, k, m, dtype=dtype).mT if ta else torch.rand(batch, m, k, dtype=dtype)
            b = torch.rand(batch, n, k, dtype=dtype).mT if tb else torch.rand(batch, k, n, dtype=dtype)
            c = torch.zeros(batch, m, n, dtype=dtype)
            if batch == 1:
                return without_graph(lambda: torch.mm(a[0], b[0], out=c[0]))
            return without_graph(lambda: torch.bmm(a, b, out=c))

        row("gemm", "gemm", name, start, flops=2.0 * batch * m * n * k)


LAYERS = [
    ("c64x56_3x3", 64, 64, 56, 3, 1, 1, 1), ("c128x28_3x3", 128, 128, 28, 3, 1, 1, 1),
    ("c256x14_3x3", 256, 256, 14, 3, 1, 1, 1), ("c512x7_3x3", 512, 512, 7, 3, 1, 1, 1),
    ("stem7x7s2", 3, 64, 224, 7, 2, 3, 1), ("c64_256x56_1x1", 64, 256, 56, 1, 1, 0, 1),
    ("c512_128x28_1x1", 512, 128, 28, 1, 1, 0, 1), ("c64_128x56_3x3s2", 64, 128, 56, 3, 2, 1, 1),
    ("dw96x56_3x3", 96, 96, 56, 3, 1, 1, 96), ("dw384x14_3x3", 384, 384, 14, 3, 1, 1, 384),
]


def conv():
    for name, ci, co, size, k, stride, pad, groups in LAYERS:
        side = (size + 2 * pad - k) // stride + 1
        for batch in (1, 8):
            flops = 2.0 * batch * co * side * side * (ci // groups) * k * k

            def operands():
                layer = nn.Conv2d(ci, co, k, stride, pad, groups=groups, bias=False)
                return layer, torch.rand(batch, ci, size, size, requires_grad=True)

            def forward():
                layer, x = operands()

                def step():
                    with amp():
                        layer(x)

                return without_graph(step)

            def backward():
                layer, x = operands()
                with amp():
                    y = layer(x)
                dy = torch.rand_like(y)
                return lambda: torch.autograd.grad(y, (x, layer.weight), dy, retain_graph=True)

            row("fw", "conv", f"conv_{name}_b{batch}_fwd", forward, flops=flops)
            if batch == 8:
                row("fw", "conv", f"conv_{name}_b{batch}_bwd", backward, flops=2 * flops)


def ops():
    n = 8 << 20
    rand = torch.rand

    def op(name, numbers, start):
        row("fw", "ops", name, start, bytes=4 * numbers)

    def one(name, shape, numbers, f):
        def start():
            x = rand(*shape)
            return without_graph(lambda: f(x))

        op(name, numbers, start)

    def two(name, size, f):
        def start():
            a, b, out = rand(size), rand(size), torch.empty(size)
            return without_graph(lambda: f(a, b, out))

        op(name, 3 * size, start)

    def into(name, size, f):
        def start():
            x, out = rand(size), torch.empty(size)
            return without_graph(lambda: f(x, out))

        op(name, 2 * size, start)

    two("add_8M_alloc", n, lambda a, b, out: a + b)
    two("add_8M_out", n, lambda a, b, out: torch.add(a, b, out=out))
    two("add_8M_inplace", n, lambda a, b, out: out.add_(b))
    into("relu_8M_out", n, lambda x, out: torch.clamp_min(x, 0.0, out=out))
    one("relu_8M_alloc", (n,), 2 * n, F.relu)
    into("exp_8M_out", n, lambda x, out: torch.exp(x, out=out))
    into("tanh_8M_out", n, lambda x, out: torch.tanh(x, out=out))
    one("gelu_8M_alloc", (n,), 2 * n, F.gelu)
    one("gelutanh_8M_alloc", (n,), 2 * n, lambda x: F.gelu(x, approximate="tanh"))
    two("chain_mul_add_relu_8M", n, lambda a, b, out: F.relu(a * b + a))
    one("sum_8M", (n,), n, lambda x: x.sum())
    s, l, g = 4096 * 1024, 4096 * 768, 4096 * 3072
    one("sum_dim1_4096x1024", (4096, 1024), s, lambda x: x.sum(1))
    one("sum_dim0_4096x1024", (4096, 1024), s, lambda x: x.sum(0))
    one("argmax_dim1_4096x1024", (4096, 1024), s, lambda x: x.argmax(1))
    one("softmax_4096x1024", (4096, 1024), 2 * s, lambda x: F.softmax(x, -1))
    one("logsoftmax_4096x1024", (4096, 1024), 2 * s, lambda x: F.log_softmax(x, -1))
    w, b = torch.ones(768), torch.zeros(768)
    one("layernorm_4096x768", (4096, 768), 2 * l, lambda x: F.layer_norm(x, (768,), w, b))
    one("gelutanh_4096x3072", (4096, 3072), 2 * g, lambda x: F.gelu(x, approximate="tanh"))
    one("transpose_copy_4096x1024", (4096, 1024), 2 * s, lambda x: x.t().contiguous())
    two("add_64K_out", 1 << 16, lambda a, b, out: torch.add(a, b, out=out))
    into("exp_64K_out", 1 << 16, lambda x, out: torch.exp(x, out=out))
    one("softmax_12x128x128", (12, 128, 128), 2 * 12 * 128 * 128, lambda x: F.softmax(x, -1))
    one("layernorm_128x768", (128, 768), 2 * 128 * 768, lambda x: F.layer_norm(x, (768,), w, b))
    one("gelutanh_128x3072", (128, 3072), 2 * 128 * 3072, lambda x: F.gelu(x, approximate="tanh"))

    def both(name, shape, f):
        def start():
            x, dy = rand(*shape, requires_grad=True), rand(*shape)
            w, b = (rand(shape[1], requires_grad=True) for _ in range(2))

            def step():
                x.grad = w.grad = b.grad = None
                f(x, w, b).backward(dy)

            return step

        op(name, 5 * shape[0] * shape[1], start)

    both("softmax_fb_4096x1024", (4096, 1024), lambda x, w, b: F.softmax(x, -1))
    both("layernorm_fb_4096x768", (4096, 768), lambda x, w, b: F.layer_norm(x, (768,), w, b))


def small():
    a, b = (torch.rand(16, 16, requires_grad=True) for _ in range(2))
    an, bn = a.detach(), b.detach()
    dy = torch.ones(16, 16)

    def forward(name, f):
        def step():
            for _ in range(200):
                f()

        row("fw", "small", f"{name}_fwd_us", lambda: step, per_step=200, micro=True)

    def chain(name, f):
        def step():
            x = a
            for _ in range(100):
                x = f(x, b)
            x.backward(dy)
            a.grad = b.grad = None

        row("fw", "small", f"{name}_fwdbwd_us", lambda: step, per_step=100, micro=True)

    forward("add16", lambda: a + b)
    forward("matmul16", lambda: a @ b)
    forward("add16_nograd", lambda: an + bn)
    forward("matmul16_nograd", lambda: an @ bn)
    chain("add16", lambda x, y: x + y)
    chain("matmul16", lambda x, y: x @ y)
    chain("tanh16", lambda x, y: torch.tanh(x))
    for batch in (1, 32):
        def cell():
            net, xs = nn.LSTMCell(64, 128), torch.rand(50, batch, 64)

            def step():
                h = c = torch.zeros(batch, 128)
                for t in range(50):
                    h, c = net(xs[t], (h, c))
                net.zero_grad()
                h.sum().backward()

            return step

        def fused():
            net, xs = nn.LSTM(64, 128), torch.rand(50, batch, 64)

            def step():
                net.zero_grad()
                net(xs)[0].sum().backward()

            return step

        row("fw", "small", f"lstmcell_h128_t50_b{batch}_fb", cell)
        row("fw", "small", f"lstm_fused_h128_t50_b{batch}_fb", fused)

    def policy():
        return nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))

    def infer():
        net, x = policy(), torch.rand(1, 4)
        return without_graph(lambda: net(x))

    def learn():
        net, x = policy(), torch.rand(32, 4)
        adam = torch.optim.Adam(net.parameters(), 1e-3)

        def step():
            adam.zero_grad(set_to_none=True)
            net(x).square().mean().backward()
            adam.step()

        return step

    row("fw", "small", "mlp4_64_64_2_fwd_b1", infer)
    row("fw", "small", "mlp4_64_64_2_train_b32_adam", learn)


def optim():
    d = 768
    shapes = [(50257, d), (1024, d)]
    for _ in range(12):
        for rows in (3 * d, d, 4 * d):
            shapes += [(rows, d), (rows,)]
        shapes += [(d, 4 * d), (d,), (d,), (d,), (d,), (d,)]
    shapes += [(d,), (d,)]

    def params():
        out = [nn.Parameter(torch.full(shape, 0.02)) for shape in shapes]
        for p in out:
            p.grad = torch.full_like(p, 0.01)
        return out

    count = 4 * 124_439_808
    row("fw", "optim", "adamw_124M_fused", lambda: torch.optim.AdamW(params(), 1e-4, fused=True).step, bytes=7 * count)
    row("fw", "optim", "sgd_momentum_124M", lambda: torch.optim.SGD(params(), 1e-4, momentum=0.9, fused=True).step, bytes=5 * count)

    def clip():
        ps, norm = params(), [1e9]

        def step():
            norm[0] = float(nn.utils.clip_grad_norm_(ps, norm[0] * 0.999))

        return step

    row("fw", "optim", "clip_grad_norm_124M", clip, bytes=3 * count)


def train(net, optimizer, x, y, loss):
    net = wrap(net)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with amp():
            value = loss(net(x), y)
        value.backward()
        optimizer.step()

    return step


def infer(net, x, call=lambda net, x: net(x)):
    net = wrap(net.eval())

    def step():
        with amp():
            call(net, x)

    return without_graph(step)


def models():
    def model(name, start):
        row("fw", "models", name, start)

    def mnist():
        return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(5408, 10))

    def mnist_train(batch):
        net = mnist()
        adam = torch.optim.Adam(net.parameters(), 1e-3)
        return train(net, adam, torch.rand(batch, 1, 28, 28), torch.randint(0, 10, (batch,)), F.cross_entropy)

    for batch in (32, 128):
        model(f"mnist_train_b{batch}", lambda: mnist_train(batch))
        model(f"mnist_fwd_b{batch}", lambda: infer(mnist(), torch.rand(batch, 1, 28, 28)))

    def resnet(classes, stem="224"):
        import torchvision

        net = torchvision.models.resnet18(num_classes=classes)
        if stem == "3x3":
            net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
        return net

    for batch in (1, 8):
        model(f"resnet18_224_fwd_b{batch}", lambda: infer(resnet(1000), torch.rand(batch, 3, 224, 224)))

    def resnet_train(stem):
        net = resnet(10, stem)
        sgd = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
        return train(net, sgd, torch.rand(64, 3, 32, 32), torch.randint(0, 10, (64,)), F.cross_entropy)

    for stem in ("224", "3x3"):
        model(f"resnet18_cifar_train_b64_stem{stem}", lambda: resnet_train(stem))

    MINILM = dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)

    def bert(batch, **sizes):
        from transformers import BertConfig, BertModel

        net, x = BertModel(BertConfig(**sizes)), torch.randint(0, 30000, (batch, 128))
        return infer(net, x, lambda net, x: net(input_ids=x))

    for batch in (1, 8):
        model(f"bert_base_fwd_b{batch}_s128", lambda: bert(batch))
    for batch in (1, 32):
        model(f"minilm_l6_fwd_b{batch}_s128", lambda: bert(batch, **MINILM))

    def bert_train():
        from transformers import BertConfig, BertForSequenceClassification

        net = BertForSequenceClassification(BertConfig(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
        x, y = torch.randint(0, 30000, (8, 128)), torch.randint(0, 2, (8,))
        adamw = torch.optim.AdamW(net.parameters(), 1e-4)
        return train(net, adamw, x, y, lambda out, y: F.cross_entropy(out.logits, y))

    model("bert_base_train_b8_s128", bert_train)

    def gpt2_train():
        net = GPT2()
        adamw = torch.optim.AdamW(net.parameters(), 1e-4, fused=True)
        x, y = (torch.randint(0, 50257, (4, 64)) for _ in range(2))
        return train(net, adamw, x, y, lambda out, y: F.cross_entropy(out.view(-1, 50257).float(), y.view(-1)))

    model("gpt2_train_b4_t64", gpt2_train)

    def decoder():
        return GPT2().to(torch.bfloat16 if BF16 else torch.float32).eval()

    def prefill():
        net, x = wrap(decoder()), torch.randint(0, 50257, (1, 512))
        return without_graph(lambda: net(x, last=True))

    model("gpt2_prefill512", prefill)

    def decode():
        net, prompt = decoder(), torch.randint(0, 50257, (1, 64))
        cache = [[torch.zeros(1, 12, 256, 64, dtype=net.wte.weight.dtype) for _ in range(2)] for _ in range(12)]
        with inference():
            first = net(prompt, cache, 0, True).argmax(-1)

        def step():  # 64 tokens after a prompt of 64
            ids = first
            for i in range(64):
                ids = net(ids, cache, 64 + i, True).argmax(-1)

        return without_graph(step)

    row("fw", "models", "gpt2_decode_tok", decode, per_step=64)


class Block(nn.Module):
    """A block of GPT-2, written as in nanoGPT."""

    def __init__(self, d=768):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x, cache, pos):
        b, t, d = x.shape
        q, k, v = self.qkv(self.ln_1(x)).view(b, t, 3, 12, d // 12).permute(2, 0, 3, 1, 4)
        if cache is not None:
            for kept, new in zip(cache, (k, v)):
                kept[:, :, pos : pos + t] = new
            k, v = (kept[:, :, : pos + t] for kept in cache)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=t > 1)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    """GPT-2 small with tied embeddings and first weights of deviation 0.02."""

    def __init__(self, d=768):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(50257, d), nn.Embedding(1024, d)
        self.blocks = nn.ModuleList(Block(d) for _ in range(12))
        self.ln_f = nn.LayerNorm(d)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, 0.0, 0.02)

    def forward(self, ids, cache=None, pos=0, last=False):
        x = self.wte(ids) + self.wpe.weight[pos : pos + ids.shape[1]]
        for i, block in enumerate(self.blocks):
            x = block(x, cache[i] if cache else None, pos)
        x = self.ln_f(x)
        return (x[:, -1:] if last else x) @ self.wte.weight.T


gemm()
models()
conv()
if not BF16:
    ops()
    optim()
    small()
