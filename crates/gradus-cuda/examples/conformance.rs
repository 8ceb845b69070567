//! What a device is, and whether its primitives do what the kernels take for granted: `cargo run -p gradus-cuda --example conformance`.
//!
//! Then the operations, against gradus-cpu: `GRADUS_TEST_DEVICE=real cargo test -p gradus-cuda --test emulated`.

use gradus_cuda::{Device, probe};

fn main() {
    let count = match Device::count() {
        Ok(count) => count,
        Err(error) => {
            println!("{error}");
            return;
        }
    };
    let mut failed = 0;
    for ordinal in 0..count {
        let probes = Device::new(ordinal).and_then(|device| {
            println!("{device}");
            probe::run(&device)
        });
        match probes {
            Ok(probes) => {
                for p in probes {
                    let verdict = if p.passed() { "ok" } else { "FAILED" };
                    println!(
                        "  {:40} {verdict:6} error {:.1e}, allowed {:.0e}",
                        p.name, p.error, p.allowed
                    );
                    failed += u32::from(!p.passed());
                }
            }
            Err(error) => {
                println!("  {error}");
                failed += 1;
            }
        }
    }
    if failed > 0 {
        std::process::exit(1);
    }
}
