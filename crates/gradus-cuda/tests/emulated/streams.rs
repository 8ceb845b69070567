//! Copies beside the kernels: in order with them whatever the order in which the two streams run.

use std::process::Command;

use gradus_cuda::manifest::BinaryOp;
use gradus_cuda::ops::elementwise::binary;
use gradus_cuda::{Buffer, Device};

use crate::lacks::again;
use crate::standin::{device, for_streams, has_compiler};

/// Elements: more than the driver takes at once, and no whole number of blocks.
const N: usize = 20_001;

fn add(a: &Buffer<f32>, b: &Buffer<f32>) -> Buffer<f32> {
    let mut y = a.device().uninit(a.len()).unwrap();
    let shape = [a.len()];
    let (a, b) = (a.view(&shape).unwrap(), b.view(&shape).unwrap());
    binary(BinaryOp::Add, &a, &b, &mut y).unwrap();
    y
}

/// The sum of `steps` batches, each uploaded while the one before is added.
fn sum_of_batches(device: &Device, steps: usize) -> Vec<f32> {
    let batch = |i: usize| vec![(i + 1) as f32; N];
    let mut sum = device.zeros::<f32>(N).unwrap();
    let mut next = device.upload_ahead(&batch(0)).unwrap();
    for i in 1..=steps {
        let now = next;
        next = device.upload_ahead(&batch(i)).unwrap();
        sum = add(&sum, &now);
    }
    sum.download().unwrap()
}

#[test]
fn copies_ahead_are_in_order_with_kernels() {
    for_streams(|device| {
        // More than the blocks that wait unused, so that some are written again while kernels that read them still wait.
        let steps = 30;
        let want = (steps * (steps + 1) / 2) as f32;
        assert_eq!(sum_of_batches(device, steps), vec![want; N]);
    });
}

/// In a process of its own: others would count too.
#[test]
fn memory_of_copies_ahead_is_reused() {
    again("streams::reused", &[]);
}

#[test]
#[ignore = "started by memory_of_copies_ahead_is_reused"]
fn reused() {
    let device = device().unwrap();
    drop(device.upload_ahead(&vec![1.0f32; N]).unwrap()); // nobody used it
    sum_of_batches(&device, 40);
    let before = device.memory_stats();
    sum_of_batches(&device, 40);
    sum_of_batches(&device, 40);
    let after = device.memory_stats();
    assert_eq!(
        after.driver_requests, before.driver_requests,
        "{before:?} {after:?}"
    );
    assert_eq!((after.reserved, after.used), (before.reserved, before.used));
    assert!(after.reserved < 20 * 80_384);
    assert!(device.upload_ahead::<f32>(&[]).unwrap().is_empty());
    device.trim().unwrap();
    assert_eq!(device.memory_stats().reserved, 0);
}

#[test]
fn the_host_goes_on_at_once() {
    for_streams(|device| {
        // Longer than a block, so in pieces; changed as soon as the call returns, and dropped.
        let n = (9 << 20) / 4 + 1;
        let mut data: Vec<f32> = (0..n).map(|i| (i % 1000) as f32).collect();
        let x = device.upload(&data).unwrap();
        let ahead = device.upload_ahead(&data).unwrap();
        data.fill(-1.0);
        let y = add(&x, &ahead);
        drop(data);
        let got = y.download().unwrap();
        assert!(
            got.iter()
                .enumerate()
                .all(|(i, &y)| y == 2.0 * (i % 1000) as f32)
        );
        // Bytes are the same memory.
        let bytes = device.upload_ahead(&[1.5f32; 7]).unwrap().into_bytes();
        assert_eq!(bytes.typed::<f32>().unwrap().download().unwrap(), [1.5; 7]);
    });
}

#[test]
fn from_another_thread() {
    for_streams(|device| {
        let sum = std::thread::scope(|scope| {
            let (sender, batches) = std::sync::mpsc::sync_channel(2);
            scope.spawn(move || {
                for i in 0..25 {
                    let batch = device.upload_ahead(&vec![i as f32; N]).unwrap();
                    sender.send(batch).unwrap();
                }
            });
            let zero = device.zeros::<f32>(N).unwrap();
            batches.iter().fold(zero, |sum, batch| add(&sum, &batch))
        });
        assert_eq!(sum.download().unwrap(), vec![300.0; N]);
    });
}

/// A planted bug: streams that do not wait for each other. In both orders it must be seen.
#[test]
fn a_missing_wait_is_caught() {
    if !has_compiler() || std::env::var_os("GRADUS_EMULATION_BUILD").is_some() {
        return;
    }
    device();
    for (order, deaf) in [
        ("late", true),
        ("first", true),
        ("late", false),
        ("first", false),
    ] {
        let out = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "streams::deaf",
                "--test-threads",
                "1",
            ])
            .env("GRADUS_EMULATION_STREAMS", order)
            .env("GRADUS_EMULATION_DEAF", if deaf { "1" } else { "0" })
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(text.contains("running 1 test"), "{text}");
        assert_eq!(out.status.success(), !deaf, "{order}, deaf: {deaf}\n{text}");
    }
}

#[test]
#[ignore = "started by a_missing_wait_is_caught"]
fn deaf() {
    let device = device().unwrap();
    assert_eq!(sum_of_batches(&device, 30), vec![465.0; N]);
}
