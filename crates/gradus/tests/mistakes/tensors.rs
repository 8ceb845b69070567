//! Mistakes with tensors and gradients.

use super::*;

pub fn tensors() -> Result<Section> {
    let mut s = Section::new("Tensors");
    let (x, y) = (zeros(&[2, 3]), zeros(&[4, 5]));
    mistake!(
        s,
        "The inner dimensions of a matrix product differ",
        ["matmul", "[2,3]", "[4,5]", "3 != 4"],
        x.matmul(&y)
    );
    mistake!(
        s,
        "A matrix product of different dtypes",
        ["matmul", "f32", "i64", "to_dtype"],
        x.matmul(&whole(&[1, 2, 3]))
    );
    mistake!(
        s,
        "Shapes do not broadcast",
        ["add", "[2,3]", "[4,5]", "broadcast"],
        x.add(&y)
    );
    mistake!(
        s,
        "Another number of elements",
        ["reshape", "[2,3]", "[4, 2]", "8"],
        x.reshape([4, 2])
    );
    mistake!(
        s,
        "Two sizes left open",
        ["reshape", "-1"],
        x.reshape([-1, -1])
    );
    mistake!(
        s,
        "A view that strides cannot say",
        ["view", "reshape"],
        x.transpose(0, 1)?.view(6)
    );
    mistake!(
        s,
        "Joining tensors that differ elsewhere",
        ["cat", "[2,3]", "[4,5]", "dim"],
        Tensor::cat(&[&x, &y], 0)
    );
    mistake!(
        s,
        "Stacking tensors of two shapes",
        ["stack", "[2,3]", "[4,5]", "cat"],
        Tensor::stack(&[&x, &y], 0)
    );
    mistake!(
        s,
        "A dimension that does not exist",
        ["sum", "2", "[2,3]", "-2"],
        x.sum(2, false)
    );
    mistake!(
        s,
        "A permutation that leaves one out",
        ["permute", "[0]", "[2,3]"],
        x.permute(&[0])
    );
    mistake!(
        s,
        "Expanding a dimension that is not 1",
        ["expand", "[2,3]", "[2,4]", "repeat"],
        x.expand([2, 4])
    );
    mistake!(
        s,
        "An index outside its dimension",
        ["select", "5", "3"],
        x.select(1, 5)
    );
    mistake!(
        s,
        "An index tensor of floats",
        ["index_select", "f32", "to_dtype(DType::I64)"],
        x.index_select(0, &zeros(&[2]))
    );
    mistake!(
        s,
        "An index outside in a tensor of indices",
        ["gather", "7", "3"],
        x.gather(1, &whole(&[7]).reshape([1, 1])?)
    );
    mistake!(
        s,
        "Writing floats into whole numbers",
        ["scatter", "i64", "f32", "to_dtype"],
        whole(&[1, 2]).scatter(0, &whole(&[0]), &zeros(&[1]))
    );
    mistake!(
        s,
        "A mask that is not bool",
        ["masked_fill", "i64", "bool"],
        x.masked_fill(&whole(&[1, 0, 1]), 0)
    );
    mistake!(
        s,
        "A condition that is not bool",
        ["where", "f32", "bool"],
        Tensor::where_(&x, &x, &x)
    );
    mistake!(
        s,
        "More parts than fit",
        ["split_sizes", "[1, 1]", "3"],
        x.split_sizes(&[1, 1], 1)
    );
    mistake!(
        s,
        "More of the largest than there are",
        ["topk", "4", "3"],
        x.topk(4, -1, true)
    );
    mistake!(
        s,
        "A mirror wider than the picture",
        ["pad", "[2,3]", "3"],
        x.pad(&[3, 3], PadMode::Reflect)
    );
    mistake!(
        s,
        "Softmax of whole numbers",
        ["softmax", "i64", "to_dtype"],
        whole(&[1, 2]).softmax(0)
    );
    mistake!(
        s,
        "Dividing whole numbers by zero",
        ["floor_divide", "zero"],
        whole(&[1]).floor_divide(&whole(&[0]))
    );
    mistake!(
        s,
        "Reading another element type",
        ["to_vec", "f32", "i64"],
        x.to_vec::<i64>()
    );
    mistake!(s, "One number of many", ["item", "[2,3]"], x.item::<f32>());
    mistake!(
        s,
        "Values that do not fill a shape",
        ["3", "[2,2]"],
        Tensor::from_slice(&[1f32, 2.0, 3.0], [2, 2])
    );
    mistake!(
        s,
        "A shape beyond all memory",
        ["zeros"],
        Tensor::zeros([usize::MAX, 2], DType::F32)
    );
    mistake!(
        s,
        "An empty interval",
        ["randint", "[3, 3)"],
        Tensor::randint(3, 3, [2], DType::I64, &mut Rng::new(0))
    );
    mistake!(
        s,
        "A step of zero",
        ["arange", "step"],
        Tensor::arange(0, 5, 0, DType::I64)
    );
    mistake!(
        s,
        "A dtype there is not",
        ["dtype", "float33", "f32"],
        "float33".parse::<DType>()
    );
    mistake!(
        s,
        "A device there is not",
        ["device", "gpu", "cuda:N"],
        "gpu".parse::<Device>()
    );
    Ok(s)
}

pub fn gradients() -> Result<Section> {
    let mut s = Section::new("Gradients");
    let x = Var::leaf(zeros(&[3]))?;
    let loss = || x.square()?.sum(.., false);
    mistake!(
        s,
        "Whole numbers as something to differentiate by",
        ["Var::leaf", "i64", "to_dtype"],
        Var::leaf(whole(&[1, 2]))
    );
    mistake!(
        s,
        "A backward from many numbers",
        ["backward", "[3]", "sum"],
        x.square()?.backward()
    );
    mistake!(
        s,
        "A backward from what depends on nothing",
        ["backward", "leaf"],
        var(&[]).backward()
    );
    mistake!(
        s,
        "A backward with a gradient of another shape",
        ["backward_with", "[2]", "[3]"],
        x.square()?.backward_with(&zeros(&[2]))
    );
    let freed = loss()?;
    freed.clone().backward_once()?;
    mistake!(
        s,
        "A second backward through a freed graph",
        ["backward_once", "backward"],
        freed.backward()
    );
    mistake!(
        s,
        "A gradient for what is not in the graph",
        ["grad"],
        gradus::autograd::grad(&[&loss()?], &[&var(&[3])], None, false)
    );
    Ok(s)
}
