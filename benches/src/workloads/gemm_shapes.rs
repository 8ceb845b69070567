//! The matrix products that are measured, under the names the peers have for them.

/// Name, batch, M, N, K, A transposed, B transposed.
pub type Shape = (&'static str, usize, usize, usize, usize, bool, bool);

pub const SHAPES: [Shape; 19] = [
    ("sq64", 1, 64, 64, 64, false, false),
    ("sq128", 1, 128, 128, 128, false, false),
    ("sq256", 1, 256, 256, 256, false, false),
    ("sq512", 1, 512, 512, 512, false, false),
    ("sq1024", 1, 1024, 1024, 1024, false, false),
    ("sq2048", 1, 2048, 2048, 2048, false, false),
    ("sq512_TN", 1, 512, 512, 512, true, false),
    ("sq512_NT", 1, 512, 512, 512, false, true),
    ("sq1024_TN", 1, 1024, 1024, 1024, true, false),
    ("sq1024_NT", 1, 1024, 1024, 1024, false, true),
    ("proj128x768x768_NT", 1, 128, 768, 768, false, true),
    ("mlp128x768x3072_NT", 1, 128, 3072, 768, false, true),
    ("mlp128x3072x768_NT", 1, 128, 768, 3072, false, true),
    ("wgrad768x3072x1024_TN", 1, 768, 3072, 1024, true, false),
    ("qk_b12_512x512x64_NT", 12, 512, 512, 64, false, true),
    ("av_b12_512x64x512", 12, 512, 64, 512, false, false),
    ("gemv1x768x50257_NT", 1, 1, 50257, 768, false, true),
    ("gemv1x768x3072_NT", 1, 1, 3072, 768, false, true),
    ("lmhead64x768x50257_NT", 1, 64, 50257, 768, false, true),
];
