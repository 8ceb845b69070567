//! The whole of these tests once more, compiled with AddressSanitizer and without the allocator's rounding: every access of a kernel
//! beyond a buffer, or beyond its shared memory, ends the run.

use std::process::Command;

use crate::standin::{Build, build, has_compiler};

/// What says nothing of a kernel's accesses: tests that start this program again, that count memory, or that copy much.
const OTHERS: [&str; 10] = [
    "--skip",
    "sanitized",
    "--skip",
    "planted",
    "--skip",
    "lacks",
    "--skip",
    "memory",
    "--skip",
    "the_host_goes_on_at_once",
];

#[test]
fn no_kernel_leaves_its_memory() {
    if !has_compiler() || std::env::var_os("GRADUS_EMULATION_BUILD").is_some() {
        return;
    }
    let out = sanitized(&OTHERS, None);
    assert!(out.0, "{}", out.1);
}

/// Runs this program under AddressSanitizer; whether it passed, and what it said.
pub fn sanitized(arguments: &[&str], bug: Option<usize>) -> (bool, String) {
    build(Build::Asan, bug);
    // Its own library first, and C++'s, whose exceptions it must have seen when it starts.
    let libraries = ["libasan.so", "libstdc++.so.6"].map(|name| {
        let out = Command::new("g++")
            .arg(format!("-print-file-name={name}"))
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).trim().to_string()
    });
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(arguments)
        .args(["--test-threads", "1"])
        .env("LD_PRELOAD", libraries.join(":"))
        .env(
            "ASAN_OPTIONS",
            "detect_leaks=0:detect_stack_use_after_return=0:verify_asan_link_order=0",
        )
        .env("GRADUS_EMULATION_BUILD", "asan")
        .env("GRADUS_CUDA_ALLOCATOR", "exact");
    if let Some(bug) = bug {
        command.env("GRADUS_EMULATION_BUG", bug.to_string());
    }
    let out = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    (out.status.success(), text)
}

#[test]
fn no_two_threads_race() {
    if !has_compiler() || std::env::var_os("GRADUS_EMULATION_BUILD").is_some() {
        return;
    }
    let out = racing(&OTHERS, None);
    assert!(out.0, "{}", out.1);
}

/// Runs this program with every access checked for races; whether it passed, and what it said.
pub fn racing(arguments: &[&str], bug: Option<usize>) -> (bool, String) {
    build(Build::Races, bug);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(arguments)
        .args(["--test-threads", "1"])
        .env("GRADUS_EMULATION_BUILD", "races");
    if let Some(bug) = bug {
        command.env("GRADUS_EMULATION_BUG", bug.to_string());
    }
    let out = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    (out.status.success(), text)
}
