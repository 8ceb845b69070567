//! The table of kernels. Its words are explained in `manifest/mod.rs`.

super::kernels! {
    "unary.cu":
    /// y = op(x), both contiguous.
    unary [F32, BF16, F16] (x: In<T>, y: Out<T>, n: i64, op: i32, p: f32, q: f32) block(256, 4) regs(64);
    /// y (contiguous) = op(x), x of any layout.
    unary_strided [F32, BF16, F16] (x: In<T>, y: Out<T>, n: i64, layout: Layout, op: i32, p: f32, q: f32)
        block(256, 4) regs(64);

    "binary.cu":
    /// y = op(a, b), all contiguous.
    binary [F32, BF16, F16, I64, I32, U8] (a: In<T>, b: In<T>, y: Out<T>, n: i64, op: i32) block(256, 4) regs(64);
    /// y (contiguous) = op(a, b), of any layout.
    binary_strided [F32, BF16, F16, I64, I32, U8] (a: In<T>, b: In<T>, y: Out<T>, n: i64, layout: Layout, op: i32)
        block(256, 4) regs(64);
    /// y (contiguous, bool) = op(a, b).
    compare [F32, BF16, F16, I64, I32, U8] (a: In<T>, b: In<T>, y: Out<Byte>, n: i64, layout: Layout, op: i32)
        block(256, 4) regs(64);
    /// y (contiguous) = op(a, b, c).
    ternary [F32, BF16, F16] (a: In<T>, b: In<T>, c: In<T>, y: Out<T>, n: i64, layout: Layout, op: i32, p: f32)
        block(256, 4) regs(64);
    /// y (contiguous) = a where the condition holds, else b.
    select [F32, BF16, F16, I64, I32, U8] (condition: In<Byte>, a: In<T>, b: In<T>, y: Out<T>, n: i64, layout: Layout)
        block(256, 4) regs(64);

    "copy.cu":
    /// y (contiguous) = x of any layout; the type only says how many bytes an element has.
    copy [F32, BF16, I64, U8] (x: In<T>, y: Out<T>, n: i64, layout: Layout) block(256, 4) regs(64);
    /// y = (columns, rows) of x (rows, columns), for each of a batch.
    transpose [F32, BF16, I64, U8] (x: In<T>, y: Out<T>, rows: i32, columns: i32) block(256, 4) regs(64);
    /// Every element of y is `value`, whose low bytes are the element's.
    fill [F32, BF16, I64, U8] (y: Out<T>, n: i64, value: u64) block(256, 4) regs(64);
    /// y = x as another type (`to` is its number in `DType::ALL`), both contiguous.
    cast [F32, BF16, F16, I64, I32, U8, Bool] (x: In<T>, y: Out<Byte>, n: i64, to: i32) block(256, 4) regs(64);

    "reduce.cu":
    /// y (rows) = op over the columns of x (rows, columns): a block a row.
    reduce_rows [F32, BF16, F16] (x: In<T>, y: Out<T>, rows: i64, columns: i64, op: i32) block(256, 4) regs(64);
    /// y (outer, inner) = op over the middle of x (outer, middle, inner): a thread an element.
    reduce_middle [F32, BF16, F16] (x: In<T>, y: Out<T>, outer: i64, middle: i64, inner: i64, op: i32)
        block(256, 4) regs(64);
    /// parts (gridDim.x) = op over equal pieces of x (n), in f32: the first half of a reduction of everything.
    reduce_parts [F32, BF16, F16] (x: In<T>, parts: Out<f32>, n: i64, op: i32) block(256, 4) regs(64);
    /// y (rows) = the first place of the largest (or smallest) of each row of x (rows, columns).
    arg_rows [F32, BF16, F16] (x: In<T>, y: Out<i64>, rows: i64, columns: i64, smallest: i32) block(256, 4) regs(64);

    "softmax.cu":
    /// y = softmax or log-softmax of the rows of x (rows, columns): a block a row.
    softmax [F32, BF16, F16] (x: In<T>, y: Out<T>, rows: i64, columns: i32, log: i32) block(256, 4) regs(64);
    /// Its gradient from dy and the output y.
    softmax_backward [F32, BF16, F16] (dy: In<T>, y: In<T>, dx: Out<T>, rows: i64, columns: i32, log: i32)
        block(256, 4) regs(64);
}
