//! The same numbers in four layouts: an op that mistakes one for another fails here.

use gradus_tensor::{DType, Device, Result, Tensor, bf16, f16};

/// How a tensor lies in its storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrangement {
    /// Row-major.
    Contiguous,
    /// The storage has the dimensions in reverse order.
    Permuted,
    /// Every other element of the storage; the rest is junk.
    Stepped,
    /// The storage starts with junk.
    Offset,
}

impl Arrangement {
    pub const ALL: [Self; 4] = [
        Self::Contiguous,
        Self::Permuted,
        Self::Stepped,
        Self::Offset,
    ];

    /// `x` laid out in this way, on this device.
    pub fn of(self, x: &Tensor, device: &Device) -> Result<Tensor> {
        match x.dtype() {
            DType::Bool => self.typed(x, true, device),
            DType::U8 => self.typed(x, 0xA5u8, device),
            DType::I32 => self.typed(x, -77i32, device),
            DType::I64 => self.typed(x, -77i64, device),
            DType::F16 => self.typed(x, f16::NAN, device),
            DType::BF16 => self.typed(x, bf16::NAN, device),
            DType::F32 => self.typed(x, f32::NAN, device),
            DType::F64 => self.typed(x, f64::NAN, device),
        }
    }

    fn typed<T: gradus_tensor::Element>(
        self,
        x: &Tensor,
        junk: T,
        device: &Device,
    ) -> Result<Tensor> {
        let dims = x.dims().to_vec();
        let data = x.to_vec::<T>()?;
        match self {
            Self::Contiguous => Tensor::from_vec(data, dims)?.to_device(device),
            Self::Permuted => {
                let reversed: Vec<isize> = (0..dims.len() as isize).rev().collect();
                let reversed_copy = x.permute(&reversed)?.copy()?.to_device(device)?;
                reversed_copy.permute(&reversed)
            }
            Self::Stepped => {
                let spread: Vec<T> = data.iter().flat_map(|&v| [v, junk]).collect();
                let with_two: Vec<usize> = dims.iter().copied().chain([2]).collect();
                Tensor::from_vec(spread, with_two)?
                    .to_device(device)?
                    .select(-1, 0)
            }
            Self::Offset => {
                let n = data.len();
                let shifted: Vec<T> = [junk; 3].into_iter().chain(data).collect();
                let shape: Vec<isize> = dims.iter().map(|&d| d as isize).collect();
                Tensor::from_vec(shifted, n + 3)?
                    .to_device(device)?
                    .narrow(0, 3, n)?
                    .reshape(&shape[..])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_hold_the_same_numbers() {
        for dims in [vec![], vec![0], vec![3], vec![2, 3, 4]] {
            let n: usize = dims.iter().product();
            let x = Tensor::arange(0, n as i64, 1, DType::F32).unwrap();
            let shape: Vec<isize> = dims.iter().map(|&d| d as isize).collect();
            let x = x.reshape(&shape[..]).unwrap();
            for arrangement in Arrangement::ALL {
                let y = arrangement.of(&x, &Device::Cpu).unwrap();
                assert_eq!(y.dims(), x.dims());
                assert_eq!(
                    y.to_vec::<f32>().unwrap(),
                    x.to_vec::<f32>().unwrap(),
                    "{arrangement:?} {dims:?}"
                );
            }
        }
        let x = Tensor::zeros([2, 3], DType::F32).unwrap();
        let at = |arrangement: Arrangement| arrangement.of(&x, &Device::Cpu).unwrap();
        assert_eq!(at(Arrangement::Permuted).strides(), [1, 2]);
        assert_eq!(at(Arrangement::Stepped).strides(), [6, 2]);
        assert_eq!(at(Arrangement::Offset).layout().offset(), 3);
    }
}
