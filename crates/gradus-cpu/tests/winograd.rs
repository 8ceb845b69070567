//! The switch of Winograd's algorithm, which is the whole process's: in a test program of its own.

use gradus_cpu::View;
use gradus_cpu::conv::{Conv2dParams, conv2d, set_winograd, winograd_enabled};

#[test]
fn it_can_be_switched_off() -> gradus_cpu::Result<()> {
    let number = |i: usize| ((i * 7919 + 13) % 1021) as f32 / 1021.0 - 0.5;
    let x: Vec<f32> = (0..64 * 28 * 28).map(number).collect();
    let weight: Vec<f32> = (0..64 * 64 * 9).map(number).collect();
    let params = Conv2dParams {
        padding: [1, 1],
        ..Default::default()
    };
    let conv = || -> gradus_cpu::Result<Vec<f32>> {
        let mut y = vec![f32::NAN; 64 * 28 * 28];
        let x = View::contiguous(&x, &[1, 64, 28, 28])?;
        let weight = View::contiguous(&weight, &[64, 64, 3, 3])?;
        conv2d(x, weight, None, &params, &mut y)?;
        Ok(y)
    };
    assert!(winograd_enabled());
    let fewer = conv()?;
    set_winograd(false);
    assert!(!winograd_enabled());
    let direct = conv()?;
    assert!(
        fewer.iter().zip(&direct).all(|(a, b)| (a - b).abs() < 1e-4),
        "both are the convolution"
    );
    assert!(fewer != direct, "but not rounded alike");
    Ok(())
}
