//! What a machine lacks has its own error, and memory is counted. Each lack needs a process of its own: the test starts itself again.

use std::process::Command;

use gradus_cuda::{Device, Error};

use crate::standin::{device, has_compiler, load};

/// Runs one ignored test of this program with an environment.
pub fn again(test: &str, environment: &[(&str, &str)]) {
    if !has_compiler() {
        return;
    }
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test, "--test-threads", "1"])
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success() && text.contains("1 passed"),
        "{environment:?}\n{text}{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn each_lack_has_its_error() {
    again("lacks::no_device", &[("GRADUS_EMULATION_DEVICES", "0")]);
    again("lacks::old_driver", &[("GRADUS_EMULATION_DRIVER", "12040")]);
    again("lacks::old_device", &[("GRADUS_EMULATION_MAJOR", "7")]);
    again("lacks::full", &[("GRADUS_EMULATION_MEMORY", "10000000")]);
    again("lacks::nothing_at_all", &[("GRADUS_NVRTC", "/nonexistent")]);
}

#[test]
#[ignore = "started by each_lack_has_its_error"]
fn no_device() {
    load();
    assert_eq!(
        Device::new(0).unwrap_err(),
        Error::NoDevice {
            ordinal: 0,
            count: 0
        }
    );
}

#[test]
#[ignore = "started by each_lack_has_its_error"]
fn old_driver() {
    load();
    assert_eq!(
        Device::new(0).unwrap_err(),
        Error::OldDriver {
            driver: 12040,
            needed: 13990
        }
    );
}

#[test]
#[ignore = "started by each_lack_has_its_error"]
fn old_device() {
    load();
    let error = Device::new(0).unwrap_err();
    assert!(
        matches!(
            &error,
            Error::OldDevice {
                capability: (7, 0),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
#[ignore = "started by each_lack_has_its_error"]
fn full() {
    load();
    let device = Device::new(0).unwrap();
    let kept = device.uninit::<u8>(5_000_000).unwrap();
    drop(kept); // kept for reuse: 6 MiB of the 10 MB
    let large = device.uninit::<u8>(8_000_000).unwrap(); // only fits once that is given back
    assert_eq!(device.memory_stats().driver_requests, 2);
    let error = device.uninit::<u8>(8_000_000).unwrap_err();
    assert!(
        matches!(
            error,
            Error::OutOfMemory {
                wanted: 8_000_000,
                total: 10_000_000,
                ..
            }
        ),
        "{error}"
    );
    drop(large);
    assert!(device.uninit::<u8>(8_000_000).is_ok());
}

/// Without the stand-in, on a machine without a driver (which is what this is about; elsewhere there is nothing to see).
#[test]
#[ignore = "started by each_lack_has_its_error"]
fn nothing_at_all() {
    if gradus_cuda::library::driver().is_err() {
        assert_eq!(Device::new(0).unwrap_err(), Error::NoDriver);
        assert_eq!(Device::count().unwrap_err(), Error::NoDriver);
    }
}

#[test]
fn memory_is_reused_in_the_order_of_the_stream() {
    let Some(device) = device() else { return };
    if std::env::var_os("GRADUS_CUDA_ALLOCATOR").is_some() {
        return; // nothing is kept then
    }
    let before = device.memory_stats();
    for _ in 0..50 {
        let x = device.zeros::<f32>(123_457).unwrap();
        assert_eq!(x.len(), 123_457);
    }
    let after = device.memory_stats();
    assert!(after.requests - before.requests >= 50 && after.reserved >= after.used);
    assert!(
        after.driver_requests - before.driver_requests < 25,
        "{after:?}"
    ); // other tests ask meanwhile
    assert_eq!(Device::new(0).unwrap(), device, "one device for all");
    assert_eq!(
        Device::new(7).unwrap_err(),
        Error::NoDevice {
            ordinal: 7,
            count: 1
        }
    );
    assert!(device.to_string().contains("sm_90") && device.is_hopper());
}

#[test]
fn events_measure() {
    let Some(device) = device() else { return };
    let start = gradus_cuda::Event::record(&device).unwrap();
    let end = gradus_cuda::Event::record(&device).unwrap();
    assert!(start.milliseconds_to(&end).unwrap() > 0.0);
}

#[test]
fn compiled_files_are_kept_where_they_shall_be() {
    let Some(device) = device() else { return };
    let mut x = device.uninit::<f32>(3).unwrap();
    gradus_cuda::ops::copy::fill(1.0, &mut x).unwrap();
    let kept = std::fs::read_dir(crate::standin::cache()).unwrap().count();
    assert!(kept > 0, "the file of `fill` was compiled and kept");
    // The second time it comes from there.
    assert_eq!(
        gradus_cuda::compiler::cubin("copy.cu", "sm_90a", false).unwrap(),
        gradus_cuda::compiler::compile("copy.cu", "sm_90a", &[])
            .unwrap()
            .cubin
    );
}
