//! `GRADUS_ISA`: it is read once per process, so each value is tried in a process of its own (this test binary again).
#![cfg(target_arch = "x86_64")] // a process started under an emulator could not start itself again

use std::process::Command;

use gradus_simd::{Isa, IsaName, Kernel, available, current, dispatch, init};

struct Name;
impl Kernel for Name {
    type Output = &'static str;
    #[inline(always)]
    fn run<S: Isa>(self, _: S) -> &'static str {
        S::NAME
    }
}

/// What the other tests start: says what was chosen.
#[test]
fn report() {
    let verdict = init().map_or_else(|e| format!("error: {e}"), |isa| isa.to_string());
    println!(
        "verdict={verdict};current={};ran={};",
        current(),
        dispatch(Name)
    );
}

fn under(value: &str) -> String {
    let this = std::env::current_exe().unwrap();
    let out = Command::new(this)
        .args(["--exact", "report", "--nocapture"])
        .env("GRADUS_ISA", value)
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap()
}

/// Whose vectors a kernel runs on: those beside AMX's tiles are AVX-512's.
fn vectors(isa: IsaName) -> IsaName {
    match isa {
        IsaName::Amx => IsaName::Avx512,
        isa => isa,
    }
}

#[test]
fn every_available_isa_can_be_forced() {
    for &isa in available() {
        let (said, ran) = (under(&isa.to_string()), vectors(isa));
        assert!(
            said.contains(&format!("verdict={isa};current={isa};ran={ran};")),
            "{said}"
        );
    }
}

#[test]
fn a_bad_value_is_a_clear_error_and_never_a_panic() {
    let best = *available().last().unwrap();
    let ran = vectors(best);
    let said = under("sse9");
    assert!(
        said.contains(
            "error: GRADUS_ISA: unknown instruction set `sse9`; use scalar, avx2, avx512, amx or neon"
        ),
        "{said}"
    );
    assert!(
        said.contains(&format!("current={best};ran={ran};")),
        "{said}"
    );
    let said = under("neon");
    assert!(said.contains("error: GRADUS_ISA: instruction set `neon` is not available on this processor; available: scalar"), "{said}");
    assert!(under("").contains(&format!("verdict={best};")));
}
