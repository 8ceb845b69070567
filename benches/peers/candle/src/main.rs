//! candle on gradus-bench's workloads: small operations with autograd, memory-bound ones, convolutions, the digit net.

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::*;
use gradus_peer::{Bench, Work};

const CPU: &Device = &Device::Cpu;

fn rand(shape: &[usize]) -> Result<Tensor> {
    Tensor::rand(0f32, 1f32, shape, CPU)
}

fn small(bench: &Bench) {
    type Op = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let ops: [(&str, Op); 3] = [
        ("add16", |x, y| x + y),
        ("matmul16", |x, y| x.matmul(y)),
        ("tanh16", |x, _| x.tanh()),
    ];
    for (name, op) in ops {
        let operands = || -> Result<(Var, Var)> {
            Ok((Var::from_tensor(&rand(&[16, 16])?)?, Var::from_tensor(&rand(&[16, 16])?)?))
        };
        bench.micro(&format!("{name}_fwd_us"), 200, || {
            let (a, b) = operands()?;
            Ok(move || {
                for _ in 0..200 {
                    op(&a, &b)?;
                }
                Ok(())
            })
        });
        bench.micro(&format!("{name}_fwdbwd_us"), 100, || {
            let (a, b) = operands()?;
            Ok(move || {
                let mut x = a.as_tensor().clone();
                for _ in 0..100 {
                    x = op(&x, &b)?;
                }
                x.backward().map(drop)
            })
        });
    }
    for batch in [1, 32] {
        bench.run(("fw", "small"), &format!("lstmcell_h128_t50_b{batch}_fb"), Work::Unsaid, || {
            let map = VarMap::new();
            let vars = VarBuilder::from_varmap(&map, candle_core::DType::F32, CPU);
            let net = lstm(64, 128, Default::default(), vars)?;
            let xs = rand(&[batch, 50, 64])?;
            Ok(move || {
                let states = net.seq(&xs)?;
                states[49].h().sum_all()?.backward().map(drop)
            })
        });
    }
    bench.run(("fw", "small"), "mlp4_64_64_2_train_b32_adam", Work::Unsaid, || {
        let map = VarMap::new();
        let vars = VarBuilder::from_varmap(&map, candle_core::DType::F32, CPU);
        let net = seq()
            .add(linear(4, 64, vars.pp(0))?)
            .add(Activation::Relu)
            .add(linear(64, 64, vars.pp(1))?)
            .add(Activation::Relu)
            .add(linear(64, 2, vars.pp(2))?);
        let x = rand(&[32, 4])?;
        let mut adam = AdamW::new(map.all_vars(), ParamsAdamW { lr: 1e-3, weight_decay: 0.0, ..Default::default() })?;
        Ok(move || adam.backward_step(&net.forward(&x)?.sqr()?.mean_all()?))
    });
}

fn memory(bench: &Bench) {
    const N: usize = 8 << 20;
    type One = fn(&Tensor) -> Result<Tensor>;
    let one = |name: &str, shape: &[usize], numbers: usize, f: One| {
        bench.run(("fw", "ops"), name, Work::Bytes(4.0 * numbers as f64), || {
            let x = rand(shape)?;
            Ok(move || f(&x).map(drop))
        });
    };
    let (s, g) = (4096 * 1024, 4096 * 3072);
    one("add_8M_alloc", &[N], 3 * N, |x| x + x);
    one("relu_8M_alloc", &[N], 2 * N, |x| x.relu());
    one("gelutanh_8M_alloc", &[N], 2 * N, |x| x.gelu());
    one("chain_mul_add_relu_8M", &[N], 3 * N, |x| ((x * x)? + x)?.relu());
    one("sum_8M", &[N], N, |x| x.sum_all());
    one("sum_dim1_4096x1024", &[4096, 1024], s, |x| x.sum(1));
    one("sum_dim0_4096x1024", &[4096, 1024], s, |x| x.sum(0));
    one("argmax_dim1_4096x1024", &[4096, 1024], s, |x| x.argmax(1));
    one("softmax_4096x1024", &[4096, 1024], 2 * s, ops::softmax_last_dim);
    one("gelutanh_4096x3072", &[4096, 3072], 2 * g, |x| x.gelu());
    one("transpose_copy_4096x1024", &[4096, 1024], 2 * s, |x| x.t()?.contiguous());
}

fn digits(bench: &Bench) {
    for batch in [32, 128] {
        bench.run(("fw", "models"), &format!("mnist_train_b{batch}"), Work::Unsaid, || {
            let map = VarMap::new();
            let vars = VarBuilder::from_varmap(&map, candle_core::DType::F32, CPU);
            let conv = conv2d(1, 32, 3, Default::default(), vars.pp("conv"))?;
            let dense = linear(5408, 10, vars.pp("dense"))?;
            let mut adam = AdamW::new(map.all_vars(), ParamsAdamW { lr: 1e-3, weight_decay: 0.0, ..Default::default() })?;
            let x = rand(&[batch, 1, 28, 28])?;
            let y = Tensor::from_iter((0..batch).map(|i| i as u32 % 10), CPU)?;
            Ok(move || {
                let h = conv.forward(&x)?.relu()?.max_pool2d(2)?.flatten_from(1)?;
                adam.backward_step(&loss::cross_entropy(&dense.forward(&h)?, &y)?)
            })
        });
    }
}

fn conv(bench: &Bench) {
    for (name, [inputs, outputs, size, k, stride, pad, groups]) in [
        ("c64x56_3x3", [64, 64, 56, 3, 1, 1, 1]),
        ("c128x28_3x3", [128, 128, 28, 3, 1, 1, 1]),
        ("stem7x7s2", [3, 64, 224, 7, 2, 3, 1]),
        ("c64_256x56_1x1", [64, 256, 56, 1, 1, 0, 1]),
        ("dw96x56_3x3", [96, 96, 56, 3, 1, 1, 96]),
    ] {
        let side = (size + 2 * pad - k) / stride + 1;
        for batch in [1, 8] {
            let flops = 2.0 * (batch * outputs * side * side * inputs / groups * k * k) as f64;
            bench.run(("fw", "conv"), &format!("conv_{name}_b{batch}_fwd"), Work::Flops(flops), || {
                let (x, w) = (rand(&[batch, inputs, size, size])?, rand(&[outputs, inputs / groups, k, k])?);
                Ok(move || x.conv2d(&w, pad, stride, 1, groups).map(drop))
            });
        }
    }
}

fn main() {
    let bench = Bench::new("candle");
    small(&bench);
    memory(&bench);
    digits(&bench);
    conv(&bench);
}
