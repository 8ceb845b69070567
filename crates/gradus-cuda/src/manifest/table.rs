//! The table of kernels. Its words are explained in `manifest/mod.rs`.

super::kernels! {
    "unary.cu":
    /// y = op(x), both contiguous.
    unary [F32, BF16, F16, F64] (x: In<T>, y: Out<T>, n: i64, op: i32, p: f64, q: f64) block(256, 4) regs(64) stack(32)
        wide(64, 40);
    /// y (contiguous) = op(x), x of any layout.
    unary_strided [F32, BF16, F16, F64] (x: In<T>, y: Out<T>, n: i64, layout: Layout, op: i32, p: f64, q: f64)
        block(256, 4) regs(48) stack(32) wide(48, 40);

    "binary.cu":
    /// y = op(a, b), all contiguous.
    binary [F32, BF16, F16, F64, I64, I32, U8] (a: In<T>, b: In<T>, y: Out<T>, n: i64, op: i32) block(256, 4) regs(64);
    /// y (contiguous) = op(a, b), of any layout.
    binary_strided [F32, BF16, F16, F64, I64, I32, U8] (a: In<T>, b: In<T>, y: Out<T>, n: i64, layout: Layout, op: i32)
        block(256, 4) regs(48);
    /// y (contiguous, bool) = op(a, b).
    compare [F32, BF16, F16, F64, I64, I32, U8] (a: In<T>, b: In<T>, y: Out<Byte>, n: i64, layout: Layout, op: i32)
        block(256, 4) regs(48);
    /// y (contiguous) = op(a, b, c).
    ternary [F32, BF16, F16, F64] (a: In<T>, b: In<T>, c: In<T>, y: Out<T>, n: i64, layout: Layout, op: i32, p: f64)
        block(256, 4) regs(48);
    /// y (contiguous) = a where the condition holds, else b.
    select [F32, BF16, F16, F64, I64, I32, U8] (condition: In<Byte>, a: In<T>, b: In<T>, y: Out<T>, n: i64, layout: Layout)
        block(256, 4) regs(48);

    "copy.cu":
    /// y (contiguous) = x of any layout; the type only says how many bytes an element has.
    copy [F32, BF16, I64, U8] (x: In<T>, y: Out<T>, n: i64, layout: Layout) block(256, 4) regs(40);
    /// Places of y by the layout's second strides = elements of x by its first.
    paste [F32, BF16, I64, U8] (x: In<T>, y: Out<T>, n: i64, layout: Layout) block(256, 4) regs(48);
    /// y = (columns, rows) of x (rows, columns), for each of a batch.
    transpose [F32, BF16, I64, U8] (x: In<T>, y: Out<T>, rows: i32, columns: i32) block(256, 4) regs(40);
    /// Every element of y is `value`, whose low bytes are the element's.
    fill [F32, BF16, I64, U8] (y: Out<T>, n: i64, value: u64) block(256, 4) regs(24);
    /// y = x as another type (`to` is its number in `DType::ALL`), both contiguous.
    cast [F32, BF16, F16, I64, I32, U8, Bool, F64] (x: In<T>, y: Out<Byte>, n: i64, to: i32) block(256, 4) regs(32);

    "reduce.cu":
    /// y (rows) = op over the columns of x (rows, columns): a block a row.
    reduce_rows [F32, BF16, F16, F64, I64] (x: In<T>, y: Out<T>, rows: i64, columns: i64, op: i32) block(256, 4) regs(40);
    /// y (outer, inner) = op over the middle of x (outer, middle, inner): a thread an element.
    reduce_middle [F32, BF16, F16, F64, I64] (x: In<T>, y: Out<T>, outer: i64, middle: i64, inner: i64, op: i32)
        block(256, 4) regs(48) wide(64, 0);
    /// parts (gridDim.x) = op over equal pieces of x (n), in the type sums are in: the first half of a reduction of everything.
    reduce_parts [F32, BF16, F16, F64, I64] (x: In<T>, parts: Out<Byte>, n: i64, op: i32) block(256, 4) regs(32);
    /// y (rows) = the first place of the largest (or smallest) of each row of x (rows, columns).
    arg_rows [F32, BF16, F16, F64, I64] (x: In<T>, y: Out<i64>, rows: i64, columns: i64, smallest: i32) block(256, 4) regs(24) wide(32, 0);

    "softmax.cu":
    /// y = softmax or log-softmax of the rows of x (rows, columns): a block a row.
    softmax [F32, BF16, F16, F64] (x: In<T>, y: Out<T>, rows: i64, columns: i32, log: i32) block(256, 4) regs(40);
    /// Its gradient from dy and the output y.
    softmax_backward [F32, BF16, F16, F64] (dy: In<T>, y: In<T>, dx: Out<T>, rows: i64, columns: i32, log: i32)
        block(256, 4) regs(40);

    "norm.cu":
    /// y = (x − mean)·rstd·w + b by rows; RMS norm if `mean` is null.
    norm_rows [F32, BF16, F16] (x: In<T>, w: Opt<T>, b: Opt<T>, y: Out<T>, mean: OptOut<f32>, rstd: Out<f32>, rows: i64, n: i32,
        eps: f32) block(256, 4) regs(48);
    /// Its gradient by x.
    norm_rows_backward [F32, BF16, F16] (dy: In<T>, x: In<T>, w: Opt<T>, mean: Opt<f32>, rstd: In<f32>, dx: Out<T>, rows: i64,
        n: i32) block(256, 4) regs(48);
    /// Its gradients by w and b, of gridDim.y pieces of the rows.
    norm_rows_parameters [F32, BF16, F16] (dy: In<T>, x: In<T>, mean: Opt<f32>, rstd: In<f32>, dw: Out<f32>, db: Out<f32>,
        rows: i64, n: i32) block(128, 8) regs(64);
    /// Mean and variance of each channel: a block a channel.
    batch_norm_statistics [F32, BF16, F16] (x: In<T>, mean: Out<f32>, var: Out<f32>, batch: i64, channels: i32, s: i64)
        block(512, 2) regs(32);
    /// y = (x − mean)·rstd·w + b by channels.
    batch_norm [F32, BF16, F16] (x: In<T>, mean: In<f32>, rstd: In<f32>, w: Opt<T>, b: Opt<T>, y: Out<T>, batch: i64,
        channels: i32, s: i64) block(256, 4) regs(40);
    /// dw = Σ dy·x̂, db = Σ dy of each channel.
    batch_norm_sums [F32, BF16, F16] (dy: In<T>, x: In<T>, mean: In<f32>, rstd: In<f32>, dw: Out<f32>, db: Out<f32>, batch: i64,
        channels: i32, s: i64) block(512, 2) regs(32);
    /// The gradient by x, given those sums.
    batch_norm_backward [F32, BF16, F16] (dy: In<T>, x: In<T>, mean: In<f32>, rstd: In<f32>, w: Opt<T>, dw: In<f32>, db: In<f32>,
        dx: Out<T>, batch: i64, channels: i32, s: i64, training: i32) block(256, 4) regs(40);
    /// Of x (rows, C), of each piece of the rows: the mean and Σ (x − mean)² of each channel, (pieces, 2, C).
    channel_statistics [F32, BF16, F16] (x: In<T>, parts: Out<f32>, rows: i64, channels: i32) block(256, 4) regs(48);
    /// Their mean and variance together.
    channel_statistics_join [] (parts: In<f32>, mean: Out<f32>, var: Out<f32>, rows: i64, channels: i32, pieces: i32)
        block(128, 4) regs(40);
    /// Of each piece of the rows: Σ dy·x̂ and Σ dy, (pieces, C).
    channel_sums [F32, BF16, F16] (dy: In<T>, x: In<T>, mean: In<f32>, rstd: In<f32>, dw: Out<f32>, db: Out<f32>, rows: i64,
        channels: i32) block(256, 4) regs(56);

    "loss.cu":
    /// Each row's loss, lse and weight of its target.
    cross_entropy [F32, BF16, F16] (logits: In<T>, target: In<i64>, weight: Opt<T>, weight_sum: Opt<f32>, losses: Out<f32>,
        lse: Out<f32>, weights: Out<f32>, fault: InOut<u32>, rows: i64, classes: i32, ignore: i64, smoothing: f32) block(256, 4) regs(56);
    /// Their sum or mean, and the sum of the weights.
    cross_entropy_total [F32, BF16, F16] (losses: In<f32>, weights: In<f32>, y: Out<T>, total: Out<f32>, rows: i64, mean: i32)
        block(512, 2) regs(16);
    /// The gradient by the logits.
    cross_entropy_backward [F32, BF16, F16] (dy: In<T>, logits: In<T>, target: In<i64>, weight: Opt<T>, weight_sum: Opt<f32>,
        lse: In<f32>, total: In<f32>, dx: Out<T>, rows: i64, classes: i32, ignore: i64, smoothing: f32, reduction: i32)
        block(256, 4) regs(56);

    "embedding.cu":
    /// Rows of a table.
    gather_rows [F32, BF16, I64, U8] (table: In<T>, indices: In<i64>, y: Out<T>, fault: InOut<u32>, n: i64, rows: i64, width: i64)
        block(128, 8) regs(24);
    /// Rows added to a table, in f32.
    scatter_add_rows [F32, BF16, F16] (x: In<T>, indices: In<i64>, table: InOut<f32>, fault: InOut<u32>, n: i64, rows: i64, width: i64)
        block(128, 8) regs(24);
    /// Elements along an axis.
    gather [F32, BF16, I64, U8] (x: In<T>, indices: In<i64>, y: Out<T>, fault: InOut<u32>, outer: i64, n: i64, m: i64, inner: i64)
        block(256, 4) regs(48);
    /// Elements added along an axis, in f32.
    scatter_add [F32, BF16, F16] (dy: In<T>, indices: In<i64>, dx: InOut<f32>, fault: InOut<u32>, outer: i64, n: i64, m: i64, inner: i64)
        block(256, 4) regs(24);

    "scatter.cu":
    /// For each place of y (outer, n, inner) the last of the indices (outer, m, inner) that is it, counted from 1.
    scatter_owner [] (indices: In<i64>, owner: InOut<i64>, fault: InOut<u32>, outer: i64, n: i64, m: i64, inner: i64)
        block(256, 4) regs(48);
    /// Its element of src, written there.
    scatter_write [F32, BF16, I64, U8] (src: In<T>, indices: In<i64>, owner: In<i64>, y: InOut<T>, outer: i64, n: i64, m: i64, inner: i64)
        block(256, 4) regs(48);
    /// Rows of y (outer, n, inner) = src (outer, m, inner).
    write_rows [F32, BF16, I64, U8] (src: In<T>, rows: In<i64>, y: InOut<T>, fault: InOut<u32>, outer: i64, n: i64, m: i64, inner: i64)
        block(256, 4) regs(48);
    /// y (outer, n, inner) = op(y, src) at every index.
    scatter_join [F32, F64, I64] (src: In<T>, indices: In<i64>, y: InOut<T>, fault: InOut<u32>, outer: i64, n: i64, m: i64, inner: i64,
        op: i32) block(256, 4) regs(56);

    "scan.cu":
    /// y = op over the elements of each row of x (rows, columns) up to each: a block a row.
    scan_rows [F32, BF16, F16, F64, I64] (x: In<T>, y: Out<T>, rows: i64, columns: i64, op: i32) block(256, 4) regs(48);
    /// The largest (or smallest) so far, and its place.
    scan_extremes [F32, BF16, F16, F64, I64] (x: In<T>, y: Out<T>, places: Out<i64>, rows: i64, columns: i64, smallest: i32)
        block(256, 4) regs(48);
    /// The coordinates of what holds, in a shape.
    nonzero_write [] (mask: In<Byte>, sums: In<i64>, y: Out<i64>, n: i64, layout: Layout) block(256, 4) regs(40);

    "sort.cu":
    /// Whole numbers in the elements' order, or the reverse of it.
    sort_keys [F32, BF16, F16, F64, I64, I32, U8] (x: In<T>, keys: Out<i64>, n: i64, descending: i32) block(256, 4) regs(32);
    /// Each 1024 of a row sorted.
    sort_tiles [] (keys: InOut<i64>, places: Out<i32>, rows: i64, columns: i64) block(256, 4) regs(48);
    /// Sorted runs merged two by two.
    sort_merge [] (keys: In<i64>, places: In<i32>, keys_out: Out<i64>, places_out: Out<i32>, rows: i64, columns: i64, run: i64)
        block(256, 4) regs(56);
    /// Where values go into sorted rows.
    search_sorted [F32, BF16, F16, F64, I64, I32, U8] (sequence: In<T>, values: In<T>, y: Out<i64>, count: i64, n: i64, per: i64, right: i32)
        block(256, 4) regs(40);

    "random.cu":
    /// x kept and scaled, or 0.
    dropout [F32, BF16, F16] (x: In<T>, y: Out<T>, n: i64, seed: u64, offset: u64, threshold: u64, scale: f32)
        block(256, 4) regs(24);
    /// Uniform numbers.
    uniform [] (y: Out<f32>, n: i64, seed: u64, offset: u64) block(256, 4) regs(24);
    /// 1 below the threshold, else 0.
    bernoulli [] (y: Out<Byte>, base: Opt<u64>, n: i64, seed: u64, offset: u64, threshold: u64) block(256, 4) regs(48);
    /// Rotary positions.
    rope [F32, BF16, F16] (x: In<T>, cosines: In<f32>, sines: In<f32>, y: Out<T>, rows: i64, per: i64, time: i64, hs: i32,
        direction: f32) block(256, 4) regs(40);

    "optim.cu":
    /// Adam and AdamW.
    adam_chunks [] (chunks: In<Chunk>, numbers: Opt<f32>, step_size: f32, beta1: f32, beta2: f32, eps: f32, root_correction: f32, penalty: f32,
        shrink: f32, maximize: i32) block(512, 2) regs(40);
    /// SGD with momentum.
    sgd_chunks [] (chunks: In<Chunk>, numbers: Opt<f32>, lr: f32, momentum: f32, dampening: f32, penalty: f32, nesterov: i32, maximize: i32,
        first_step: i32) block(512, 2) regs(24);
    /// RMSprop.
    rmsprop_chunks [] (chunks: In<Chunk>, numbers: Opt<f32>, lr: f32, alpha: f32, rest: f32, eps: f32, momentum: f32, penalty: f32, maximize: i32)
        block(512, 2) regs(40);
    /// Adagrad.
    adagrad_chunks [] (chunks: In<Chunk>, numbers: Opt<f32>, lr: f32, eps: f32, penalty: f32, maximize: i32) block(512, 2) regs(32);
    /// Sums of squares.
    norm_chunks [] (chunks: In<Chunk>, parts: Out<f32>) block(512, 2) regs(16);
    /// Their root.
    norm_total [] (parts: In<f32>, norm: Out<f32>, n: i64) block(512, 2) regs(16);
    /// Gradients scaled down to a norm.
    clip_chunks [] (chunks: In<Chunk>, norm: In<f32>, most: f32) block(512, 2) regs(24);

    "gemm_simt.cu":
    /// Rung 1: a thread an element; any type, any strides.
    gemm_naive [F32, BF16, F16, F64] (a: In<T>, b: In<T>, bias: Opt<T>, residual: Opt<T>, c: Out<T>, g: Gemm) block(256, 4) regs(56)
        wide(64, 0);
    /// Rung 2: 32×32 tiles in shared memory.
    gemm_tiled [] (a: In<f32>, b: In<f32>, bias: Opt<f32>, residual: Opt<f32>, c: Out<f32>, g: Gemm) block(256, 4) regs(64);
    /// Rung 3: 128×128 tiles, 8×8 in registers; A and B each contiguous in one dimension.
    gemm_simt [] (a: In<f32>, b: In<f32>, bias: Opt<f32>, residual: Opt<f32>, c: Out<f32>, g: Gemm) block(256, 2) regs(128);

    "gemm_mma.cu":
    /// Rung 4: tensor cores of a warp (of f32, as TF32); A and B each contiguous in one dimension.
    gemm_mma [F32, BF16, F16] (a: In<T>, b: In<T>, bias: Opt<T>, residual: Opt<T>, c: Out<T>, g: Gemm) block(256, 2) regs(128)
        shared(49152) uses("mma.sync", "cp.async", "ldmatrix");

    "gemm_wgmma.cu":
    /// Rung 5: tensor cores of a warpgroup and TMA; A (M, K) and B (N, K) with k along memory.
    gemm_wgmma [] (a_map: TensorMap, b_map: TensorMap, bias: Opt<Bf16>, residual: Opt<Bf16>, c: Out<Bf16>, g: Gemm)
        block(384, 1) regs(168) shared(196672) hopper(true) uses("wgmma.mma_async", "cp.async.bulk.tensor", "mbarrier.try_wait");
    /// The same in TF32, of f32 that is rounded already.
    gemm_wgmma_tf32 [] (a_map: TensorMap, b_map: TensorMap, bias: Opt<f32>, residual: Opt<f32>, c: Out<f32>, g: Gemm)
        block(384, 1) regs(168) shared(196672) hopper(true) uses("wgmma.mma_async", "tf32.tf32", "cp.async.bulk.tensor");
    /// y = x rounded to TF32.
    round_tf32 [] (x: In<f32>, y: Out<f32>, n: i64) block(256, 4) regs(32) hopper(true);

    "attention_simt.cu":
    /// y and lse: a warp a query; any type, a mask.
    attention_simt [F32, BF16, F16] (q: In<T>, k: In<T>, v: In<T>, mask: Opt<T>, y: Out<T>, lse: Out<f32>, a: Attention)
        block(128, 4) regs(64);
    /// Σ dy·y of each row.
    attention_delta [F32, BF16, F16] (dy: In<T>, y: In<T>, delta: Out<f32>, a: Attention) block(128, 8) regs(32);
    /// dq: a warp a query.
    attention_simt_dq [F32, BF16, F16] (dy: In<T>, q: In<T>, k: In<T>, v: In<T>, mask: Opt<T>, lse: In<f32>, delta: In<f32>,
        dq: Out<T>, a: Attention) block(128, 4) regs(88);
    /// dk and dv: a warp a key.
    attention_simt_dkv [F32, BF16, F16] (dy: In<T>, q: In<T>, k: In<T>, v: In<T>, mask: Opt<T>, lse: In<f32>, delta: In<f32>,
        dk: Out<T>, dv: Out<T>, a: Attention) block(128, 4) regs(120);

    "attention_mma.cu":
    /// Width 64: y and lse.
    attention_mma_64 [BF16, F16] (q: In<T>, k: In<T>, v: In<T>, y: Out<T>, lse: Out<f32>, a: Attention) block(128, 3) regs(160)
        shared(40960) uses("mma.sync", "cp.async", "ldmatrix");
    /// dq.
    attention_mma_dq_64 [BF16, F16] (dy: In<T>, q: In<T>, k: In<T>, v: In<T>, lse: In<f32>, delta: In<f32>, dq: Out<T>, a: Attention)
        block(128, 2) regs(200) shared(32768) uses("mma.sync", "cp.async", "ldmatrix");
    /// dk and dv.
    attention_mma_dkv_64 [BF16, F16] (dy: In<T>, q: In<T>, k: In<T>, v: In<T>, lse: In<f32>, delta: In<f32>, dk: Out<T>, dv: Out<T>,
        a: Attention) block(128, 2) regs(232) shared(32768) uses("mma.sync", "cp.async", "ldmatrix");
    /// Width 128: y and lse.
    attention_mma_128 [BF16, F16] (q: In<T>, k: In<T>, v: In<T>, y: Out<T>, lse: Out<f32>, a: Attention) block(128, 2) regs(232)
        shared(81920) uses("mma.sync", "cp.async", "ldmatrix");
    /// dq.
    attention_mma_dq_128 [BF16, F16] (dy: In<T>, q: In<T>, k: In<T>, v: In<T>, lse: In<f32>, delta: In<f32>, dq: Out<T>, a: Attention)
        block(128, 2) regs(240) shared(65536) uses("mma.sync", "cp.async", "ldmatrix");
    /// dk and dv.
    attention_mma_dkv_128 [BF16, F16] (dy: In<T>, q: In<T>, k: In<T>, v: In<T>, lse: In<f32>, delta: In<f32>, dk: Out<T>, dv: Out<T>,
        a: Attention) block(128, 2) regs(255) shared(49152) uses("mma.sync", "cp.async", "ldmatrix");

    "conv.cu":
    /// y = conv(x, w) + bias.
    conv_forward [F32, BF16, F16] (x: In<T>, w: In<T>, bias: Opt<T>, y: Out<T>, g: Conv) block(256, 2) regs(96);
    /// dx from dy and w.
    conv_data [F32, BF16, F16] (dy: In<T>, w: In<T>, dx: Out<T>, g: Conv) block(256, 2) regs(96);
    /// dw in pieces of the sum, (pieces, …), from x and dy.
    conv_weight [F32, BF16, F16] (x: In<T>, dy: In<T>, parts: Out<f32>, g: Conv) block(256, 2) regs(96);

    "conv_mma.cu":
    /// y = conv(x, w) + bias by tensor cores; x (B, H, W, C), w (O, KH, KW, C), y (B, OH, OW, O).
    conv_mma_forward [F32, BF16, F16] (x: In<T>, w: In<T>, bias: Opt<T>, y: Out<T>, g: Conv) block(256, 2) regs(128) shared(49152)
        uses("mma.sync", "cp.async", "ldmatrix");
    /// dx from dy and w, laid out as those; a row of the grid for each phase of the strides.
    conv_mma_data [F32, BF16, F16] (dy: In<T>, w: In<T>, dx: Out<T>, g: Conv) block(256, 2) regs(128) shared(49152)
        uses("mma.sync", "cp.async", "ldmatrix");
    /// dw in pieces of the sum, (pieces, O, KH, KW, C), from x and dy.
    conv_mma_weight [F32, BF16, F16] (x: In<T>, dy: In<T>, parts: Out<f32>, g: Conv) block(256, 2) regs(128) shared(49152)
        uses("mma.sync", "cp.async");

    "pool.cu":
    /// The largest of each window, and its place.
    max_pool [F32, BF16, F16] (x: In<T>, y: Out<T>, indices: OptOut<i64>, g: Pool) block(256, 4) regs(48);
    /// Gradients to where the largest were.
    max_pool_backward [F32, BF16, F16] (dy: In<T>, indices: In<i64>, dx: Out<T>, g: Pool) block(256, 4) regs(64);
    /// The average of each window.
    avg_pool [F32, BF16, F16] (x: In<T>, y: Out<T>, g: Pool) block(256, 4) regs(48);
    /// Its gradient.
    avg_pool_backward [F32, BF16, F16] (dy: In<T>, dx: Out<T>, g: Pool) block(256, 4) regs(56);

    "resample.cu":
    /// y (outer, outputs, inner) = sums of elements of x (outer, inputs, inner), by a table.
    resample [F32, F64] (x: In<T>, starts: In<i32>, at: In<i32>, weights: In<T>, y: Out<T>, outer: i64, inputs: i32, outputs: i32, inner: i64)
        block(256, 4) regs(48);
    /// The largest of each window of a volume, and its place.
    max_pool_volume [F32, BF16, F16, F64] (x: In<T>, y: Out<T>, indices: Out<i64>, g: Volume) block(256, 4) regs(48) wide(48, 0);

    "probe.cu":
    /// Conversions and exponentials.
    probe_numbers [] (x: In<f32>, bf16: Out<Bf16>, f16: Out<F16>, tf32: Out<u32>, powers: Out<f32>, high: Out<u32>, n: i32)
        block(256, 1) regs(32);
    /// Shuffles and reductions.
    probe_block [] (x: In<f32>, y: Out<f32>) block(256, 1) regs(24);
    /// Asynchronous copies.
    probe_copy [] (x: In<Byte>, y: Out<Byte>) block(32, 1) regs(24) uses("cp.async");
    /// ldmatrix both ways, and mma.
    probe_mma [BF16, F16] (a: In<T>, at: In<T>, b: In<T>, bt: In<T>, c: Out<f32>) block(32, 1) regs(48) uses("mma.sync", "ldmatrix");
    /// ldmatrix and mma of TF32.
    probe_tf32 [] (a: In<f32>, b: In<f32>, c: Out<f32>) block(32, 1) regs(40) uses("mma.sync", "ldmatrix");

    "probe_hopper.cu":
    /// TMA, mbarriers, wgmma.
    probe_wgmma [] (a_map: TensorMap, b_map: TensorMap, c: Out<f32>) block(128, 1) regs(160) shared(41024) hopper(true)
        uses("wgmma.mma_async", "cp.async.bulk.tensor");
    /// The same in TF32.
    probe_wgmma_tf32 [] (a_map: TensorMap, b_map: TensorMap, c: Out<f32>) block(128, 1) regs(160) shared(41024) hopper(true)
        uses("wgmma.mma_async", "tf32.tf32");
}
