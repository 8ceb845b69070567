//! burn's flex backend on gradus-bench's workloads: small operations with autograd, memory-bound ones, the digit net.
#![recursion_limit = "256"]

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, LstmConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::{gelu_approximate, relu, softmax};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use gradus_peer::{Bench, Work};
use std::convert::Infallible;

type Done = Result<(), Infallible>;

fn rand<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Default, device)
}

fn small(bench: &Bench, device: &Device) {
    type Op = fn(Tensor<2>, Tensor<2>) -> Tensor<2>;
    let ops: [(&str, Op); 3] = [
        ("add16", |x, y| x + y),
        ("matmul16", |x, y| x.matmul(y)),
        ("tanh16", |x, _| x.tanh()),
    ];
    for (name, op) in ops {
        let operands = || {
            (rand([16, 16], device).require_grad(), rand([16, 16], device).require_grad())
        };
        bench.micro(&format!("{name}_fwd_us"), 200, || {
            let (a, b) = operands();
            Ok(move || -> Done {
                for _ in 0..200 {
                    op(a.clone(), b.clone());
                }
                Ok(())
            })
        });
        bench.micro(&format!("{name}_fwdbwd_us"), 100, || {
            let (a, b) = operands();
            Ok(move || -> Done {
                let mut x = a.clone();
                for _ in 0..100 {
                    x = op(x, b.clone());
                }
                x.backward();
                Ok(())
            })
        });
    }
    for batch in [1, 32] {
        bench.run(("fw", "small"), &format!("lstm_fused_h128_t50_b{batch}_fb"), Work::Unsaid, || {
            let net = LstmConfig::new(64, 128, true).init(device);
            let xs = rand([batch, 50, 64], device);
            Ok(move || -> Done {
                net.forward(xs.clone(), None).0.sum().backward();
                Ok(())
            })
        });
    }
}

fn memory(bench: &Bench, device: &Device) {
    type One = fn(Tensor<2>) -> Tensor<2>;
    let one = |name: &str, shape: [usize; 2], times: f64, f: One| {
        let bytes = Work::Bytes(4.0 * times * (shape[0] * shape[1]) as f64);
        bench.run(("fw", "ops"), name, bytes, || {
            let x = rand(shape, device);
            Ok(move || -> Done {
                f(x.clone());
                Ok(())
            })
        });
    };
    let (n, s) = ([8192, 1024], [4096, 1024]);
    one("add_8M_alloc", n, 3.0, |x| x.clone() + x);
    one("relu_8M_alloc", n, 2.0, relu);
    one("gelutanh_8M_alloc", n, 2.0, gelu_approximate);
    one("chain_mul_add_relu_8M", n, 3.0, |x| relu(x.clone() * x.clone() + x));
    one("sum_dim1_4096x1024", s, 1.0, |x| x.sum_dim(1));
    one("sum_dim0_4096x1024", s, 1.0, |x| x.sum_dim(0));
    one("softmax_4096x1024", s, 2.0, |x| softmax(x, 1));
}

#[derive(Module, Debug)]
struct Digits {
    conv: Conv2d,
    pool: MaxPool2d,
    dense: Linear,
}

impl Digits {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.conv.forward(x)));
        self.dense.forward(x.flatten::<2>(1, 3))
    }
}

fn digits(bench: &Bench, device: &Device) {
    for batch in [32, 128] {
        bench.run(("fw", "models"), &format!("mnist_train_b{batch}"), Work::Unsaid, || {
            let mut net = Some(Digits {
                conv: Conv2dConfig::new([1, 32], [3, 3]).init(device),
                pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
                dense: LinearConfig::new(5408, 10).init(device),
            });
            let mut adam = AdamConfig::new().init();
            let x = rand([batch, 1, 28, 28], device);
            let y: Vec<i64> = (0..batch as i64).map(|i| i % 10).collect();
            let y: Tensor<1, Int> = Tensor::from_data(TensorData::new(y, [batch]), device);
            Ok(move || -> Done {
                let model = net.take().expect("it is put back below");
                let loss = CrossEntropyLossConfig::new().init(&x.device());
                let loss = loss.forward(model.forward(x.clone()), y.clone());
                let gradients = GradientsParams::from_grads(loss.backward(), &model);
                net = Some(adam.step(1e-3, model, gradients));
                Ok(())
            })
        });
    }
}

fn main() {
    let bench = Bench::new("burn");
    let threads = rayon::ThreadPoolBuilder::new().num_threads(bench.threads);
    threads.build_global().expect("the first pool");
    let plain = Device::flex();
    let tracked = plain.clone().autodiff();
    small(&bench, &tracked);
    memory(&bench, &plain);
    digits(&bench, &tracked);
}
