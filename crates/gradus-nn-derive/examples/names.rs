//! What `#[derive(Module)]` makes of a struct: the dotted names under which a checkpoint has its parameters.
//! `cargo run --example names -p gradus-nn-derive`

use gradus_nn::{LayerNorm, Linear, Module};
use gradus_tensor::Result;

#[derive(Module)]
struct Block {
    attn: Linear,
    #[module(rename = "LayerNorm")]
    norm: LayerNorm,
    downsample: Option<Linear>, // visited when it is there
    #[module(skip)]
    calls: std::cell::Cell<usize>, // no part of the model
}

#[derive(Module)]
struct Model {
    blocks: Vec<Block>,
    #[module(flatten)]
    head: Head, // adds no name of its own
}

#[derive(Module)]
struct Head {
    classifier: Linear,
}

fn block(downsample: bool) -> Result<Block> {
    Ok(Block {
        attn: Linear::new(4, 4)?,
        norm: LayerNorm::new([4])?,
        downsample: downsample.then(|| Linear::new(4, 2)).transpose()?,
        calls: std::cell::Cell::default(),
    })
}

fn main() -> Result<()> {
    let head = Head {
        classifier: Linear::new(2, 3)?,
    };
    let model = Model {
        blocks: vec![block(false)?, block(true)?],
        head,
    };
    model.blocks[0].calls.set(1);
    for (name, tensor) in model.state_dict() {
        println!("{name:32} {}", tensor.shape());
    }
    println!("{} numbers", model.num_params());
    Ok(())
}
