//! Convolution layers of the peers' scripts, forward and backward: `conv_c64x56_3x3_b8_fwd`.
//!
//! `_fwd` is what a layer does in inference, `_bwd` the gradients by input and by weight together, as `torch.autograd.grad` gives them.

use super::rand;
use crate::measure::{Work, Workload};
use gradus_tensor::Conv2dParams;

/// Name, input and output channels, height and width, kernel, stride, padding, groups.
type Layer = (&'static str, [usize; 7]);

const LAYERS: [Layer; 10] = [
    ("c64x56_3x3", [64, 64, 56, 3, 1, 1, 1]),
    ("c128x28_3x3", [128, 128, 28, 3, 1, 1, 1]),
    ("c256x14_3x3", [256, 256, 14, 3, 1, 1, 1]),
    ("c512x7_3x3", [512, 512, 7, 3, 1, 1, 1]),
    ("stem7x7s2", [3, 64, 224, 7, 2, 3, 1]),
    ("c64_256x56_1x1", [64, 256, 56, 1, 1, 0, 1]),
    ("c512_128x28_1x1", [512, 128, 28, 1, 1, 0, 1]),
    ("c64_128x56_3x3s2", [64, 128, 56, 3, 2, 1, 1]),
    ("dw96x56_3x3", [96, 96, 56, 3, 1, 1, 96]),
    ("dw384x14_3x3", [384, 384, 14, 3, 1, 1, 384]),
];

pub fn all() -> Vec<Workload> {
    let mut all = Vec::new();
    for (name, [inputs, outputs, size, k, stride, padding, groups]) in LAYERS {
        for batch in [1, 8] {
            let params = Conv2dParams {
                stride: [stride; 2],
                padding: [padding; 2],
                dilation: [1; 2],
                groups,
            };
            let side = (size + 2 * padding - k) / stride + 1;
            let x_shape = [batch, inputs, size, size];
            let w_shape = [outputs, inputs / groups, k, k];
            let y_shape = [batch, outputs, side, side];
            let flops = 2.0 * (y_shape.iter().product::<usize>() * inputs / groups * k * k) as f64;
            all.push(Workload::new(
                "conv",
                format!("conv_{name}_b{batch}_fwd"),
                Work::Flops(flops),
                move || {
                    let (x, w) = (rand(&x_shape)?, rand(&w_shape)?);
                    Ok(Box::new(move || {
                        x.conv_keeping(&w, None, &params).map(drop)
                    }))
                },
            ));
            if batch != 8 {
                continue;
            }
            all.push(Workload::new(
                "conv",
                format!("conv_{name}_b{batch}_bwd"),
                Work::Flops(2.0 * flops),
                move || {
                    let (x, w, dy) = (rand(&x_shape)?, rand(&w_shape)?, rand(&y_shape)?);
                    Ok(Box::new(move || {
                        dy.conv_backward_data(&w, &params, &x_shape)?;
                        x.conv_backward_weight(&dy, &params, &w_shape)?;
                        Ok(())
                    }))
                },
            ));
        }
    }
    all
}
