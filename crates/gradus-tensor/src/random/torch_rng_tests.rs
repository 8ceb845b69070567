//! Against PyTorch 2.15 on an x86 CPU.

use super::*;

/// FNV-1a over the bytes, to freeze long sequences of PyTorch's in one number.
fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    })
}

#[test]
fn words_of_manual_seed() {
    let mut g = TorchRng::manual_seed(137);
    let words: Vec<u32> = (0..5).map(|_| g.next_u32()).collect();
    assert_eq!(
        words,
        [4053805790, 2173880614, 380293709, 1237255315, 2986595568]
    );
}

#[test]
fn rand_of_the_published_notebook() {
    let mut p = [0f32; 3];
    TorchRng::manual_seed(2147483647).fill_uniform(&mut p, 0.0, 1.0);
    let sum: f32 = p.iter().sum();
    assert_eq!(
        p.map(|p| p / sum),
        [0.606378436088562, 0.30333879590034485, 0.0902828499674797]
    );
}

/// Hashes of the bits of `randn`, `rand`, `exponential_(1.5)`, `uniform_(-0.3, 0.7)` and `normal_(2.5, 0.3)` at seed 42.
macro_rules! agrees {
    ($name:ident, $t:ty, $zero:expr, $table:expr) => {
        #[test]
        fn $name() {
            for row in $table.lines() {
                let mut row = row.split_whitespace();
                let n: usize = row.next().unwrap().parse().unwrap();
                let expected: Vec<u64> = row.map(|h| u64::from_str_radix(h, 16).unwrap()).collect();
                let fill = |f: &dyn Fn(&mut TorchRng, &mut [$t])| {
                    let mut y = vec![$zero; n];
                    f(&mut TorchRng::manual_seed(42), &mut y);
                    fnv(y.iter().flat_map(|y| y.to_le_bytes()))
                };
                let got = [
                    fill(&|g, y| g.fill_normal(y, 0.0, 1.0)),
                    fill(&|g, y| g.fill_uniform(y, 0.0, 1.0)),
                    fill(&|g, y| g.fill_exponential(y, 1.5)),
                    fill(&|g, y| g.fill_uniform(y, -0.3, 0.7)),
                    fill(&|g, y| g.fill_normal(y, 2.5, 0.3)),
                ];
                assert_eq!(expected, got, "{n} elements");
            }
        }
    };
}
agrees!(
    fills_f16,
    f16,
    f16::ZERO,
    "7 feea6df5385a28e4 309bb055841fd85f a7f070bc7d71303 fc29b427b654ad04 bdc949a4889b1340
    16 8b8f5672e1dbb064 af44c4dc810e717a 843702f674684d3c 2fb79d90f81521d1 a77b648ffb5015c3
    19 1a1c4f8d7630fb6d cd481a70844e3885 c8c40bb65e1d11e3 441c59e1d6ce4cef 20ce1df8064e5468
    100003 ace85095d9d43469 685072202afa29f5 290a00b8d46b6591 3ecafbfc42a0d0f1 cd65a11a35b008e9"
);
agrees!(
    fills_bf16,
    bf16,
    bf16::ZERO,
    "7 14d76a910fc67130 be28e01d4ce211dc ae98736b201dadb0 3b45a1ac532d8c73 9d1242d66a04d4fc
    16 6e68f97267754835 84e0a57e06c6c2ec 8857b8456d8fd50a 73bde957a19c7e14 ab99da39115f2717
    19 609965d0fb4b0994 3b93842997a44382 3a148d2721a520d0 1fa8f8c11633b0ef bbeca134fedf345
    100003 93092754b326f216 47b1ae002262d16f c385d9f8e050d36c 4bddb4969b601089 ccbc8727b07cd991"
);
agrees!(
    fills_f32,
    f32,
    0f32,
    "7 e39489a9dac5097c 9b92dcecba245a45 ca1513368a986e15 88c53cb53bb3ca54 8c9ad1fa41e51245
    16 80ffa5fbeb15154 5543ac5566e6f7bf 235a08cb8254c430 c970bbe46b327568 7a0717f01c70f8e
    19 5d4441981ff6838d 3bc0e718b9a6da39 d3a2618f6ec4baeb fd891c77b2cad694 71668bf781ae39eb
    100003 ad70f304aebcf132 196cb232b88e27c5 fdcc00c5ba46747b 85c3ec1b04d59fe1 d02ff73323a5cad9"
);
agrees!(
    fills_f64,
    f64,
    0f64,
    "7 6858c8e77d168f40 2ed23d0f7fd6a8cd 6644f69ad3294a2d 15660b91ff44e9d0 6d64f502642c558e
    16 117bd9c10fb01307 1ba9d002426e6560 8d5c5784e09b75b2 539def912b148074 c5168fd6822d90d8
    19 9db977b7fcca484c 8eddf7e8dd091a60 a2feb4787c46be4a e3a3790407f3f741 e3a0941c9c9570aa
    100003 b5dec1223fa1a279 78fc65a2be901f37 745136512f2ab474 3a404f4b2cb56e55 d771cf3c59162212"
);
#[test]
fn integers_and_permutations() {
    let mut y = [0; 8];
    TorchRng::manual_seed(42).fill_int(&mut y, -5, 100);
    assert_eq!(y, [52, -3, 41, 14, 76, 75, 35, 84]);
    let mut y = [0; 3];
    TorchRng::manual_seed(42).fill_int(&mut y, 0, 1 << 40);
    assert_eq!(y, [441507790259, 395924837646, 458615280711]);
    TorchRng::manual_seed(42).fill_int(&mut y, i64::MIN, i64::MAX);
    assert_eq!(
        y,
        [
            -2314326399425823309,
            8314211556539077902,
            4279532810384561223
        ]
    );
    assert_eq!(
        TorchRng::manual_seed(42).permutation(10),
        [2, 6, 1, 8, 4, 5, 0, 9, 3, 7]
    );
}

#[test]
fn multinomial() {
    let mut g = TorchRng::manual_seed(2147483647);
    let mut p = vec![0f32; 27];
    g.fill_uniform(&mut p, 0.0, 1.0);
    let sum: f32 = p.iter().sum();
    for p in &mut p {
        *p /= sum;
    }
    let one: Vec<i64> = (0..20)
        .map(|_| g.multinomial_row(&p, 1, true).unwrap()[0])
        .collect();
    assert_eq!(
        one,
        [
            16, 12, 13, 13, 16, 11, 24, 18, 15, 13, 6, 6, 1, 4, 18, 15, 20, 9, 6, 25
        ]
    );
    let double: Vec<f64> = p.iter().map(|&p| p.into()).collect();
    let one: Vec<i64> = (0..20)
        .map(|_| g.multinomial_row(&double, 1, true).unwrap()[0])
        .collect();
    assert_eq!(
        one,
        [
            0, 12, 12, 25, 26, 1, 24, 7, 17, 22, 5, 12, 6, 16, 18, 11, 0, 7, 20, 15
        ]
    );
    let with = g.multinomial_row(&p, 20, true).unwrap();
    assert_eq!(
        with,
        [
            13, 18, 9, 15, 2, 17, 24, 7, 3, 7, 12, 17, 10, 24, 24, 18, 10, 17, 3, 7
        ]
    );
    let half: Vec<f16> = p.iter().map(|&p| f16::from_f32(p)).collect();
    let with = g.multinomial_row(&half, 20, true).unwrap();
    assert_eq!(
        with,
        [
            18, 3, 3, 12, 6, 24, 20, 23, 10, 12, 6, 6, 7, 9, 17, 3, 13, 15, 22, 18
        ]
    );
    let without = g.multinomial_row(&p, 20, false).unwrap();
    assert_eq!(
        without,
        [
            13, 17, 5, 19, 9, 10, 23, 14, 12, 6, 7, 4, 22, 16, 0, 24, 18, 2, 20, 3
        ]
    );
    assert_eq!(g.multinomial_row(&[0f32, 0.0], 1, true), None);
    assert_eq!(g.multinomial_row(&[1f32, -1.0], 1, true), None);
    assert_eq!(g.multinomial_row(&[1f32, f32::NAN], 1, true), None);
    assert_eq!(g.multinomial_row(&[1f32], 2, false), None);
}

#[test]
fn saved_state_is_pytorchs() {
    let mut g = TorchRng::manual_seed(42);
    let mut y = [0f32; 3];
    g.fill_normal(&mut y, 0.0, 1.0);
    assert_eq!(
        y,
        [
            0.33669036626815796,
            0.12880940735340118,
            0.23446236550807953
        ]
    );
    let bytes = g.to_bytes();
    assert_eq!(fnv(bytes.iter().copied()), 0x33de68b45cb3fb77);
    let mut back = TorchRng::from_bytes(&bytes).unwrap();
    assert_eq!(back, g);
    let mut y = [0f32; 2];
    back.fill_normal(&mut y, 0.0, 1.0);
    assert_eq!(y, [0.23033303022384644, -1.1228563785552979]);
    let mut g = TorchRng::manual_seed(1 << 40 | 5);
    g.fill_uniform(&mut vec![0f32; 700], 0.0, 1.0);
    assert_eq!(fnv(g.to_bytes()), 0x469f98e8654b5f30);
    assert_eq!(TorchRng::from_bytes(&bytes[1..]), None);
    assert_eq!(TorchRng::from_bytes(&[0xFF; STATE_BYTES]), None);
}
