//! How the tests call the command.

#![allow(dead_code)] // each test uses some of it

use std::process::{Command, Output};

/// Its output and its exit code.
pub fn gradus(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gradus"))
        .args(arguments)
        .output()
        .unwrap()
}

/// What a command that must succeed prints.
pub fn said(arguments: &[&str]) -> String {
    let output = gradus(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one line of standard error of a command that must fail with code 1.
pub fn error(arguments: &[&str]) -> String {
    let output = gradus(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    assert!(text.starts_with("gradus: "), "{text}");
    text
}
