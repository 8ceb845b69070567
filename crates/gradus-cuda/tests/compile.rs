//! What the compiler makes of every kernel, for sm_80 and sm_90a, on a machine with no GPU: no warning, no spill, no stack and no
//! more registers than the manifest says, and the instructions the manifest claims.
//!
//! NVRTC is found as the crate finds it (`GRADUS_NVRTC`, …); without one the test says so and passes. The instructions are looked for in the
//! machine code, as nvdisasm shows it (`GRADUS_NVDISASM` names its folder; `cargo xtask nvrtc` fetches both); without it, in PTX.
//! `GRADUS_CUDA_REPORT=1` prints what each kernel takes; the name of a file there checks that file only. What the compiler said is
//! kept under `target/tmp`, under the hash of what it compiled.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use gradus_cuda::{Error, compiler, library, manifest};

/// What ptxas says of one kernel.
#[derive(Debug, Default, Clone)]
struct Report {
    registers: u32,
    stack: u32,
    spills: u32,
}

/// The number before `word` in a line of ptxas.
fn number(line: &str, word: &str) -> u32 {
    let before = line.split(word).next().unwrap_or_default();
    before
        .split_whitespace()
        .next_back()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

/// The log of a file, by kernel; and the lines that are warnings.
fn parse(log: &str) -> (HashMap<String, Report>, Vec<String>) {
    let (mut reports, mut warnings) = (HashMap::<String, Report>::new(), Vec::new());
    let (mut name, mut function) = (String::new(), String::new());
    for line in log.lines() {
        if let Some(rest) = line.split("Compiling entry function '").nth(1) {
            name = rest.split('\'').next().unwrap_or_default().into();
        } else if let Some(rest) = line.split("Function properties for ").nth(1) {
            function = rest.trim().into();
        } else if line.contains("bytes stack frame") {
            // Of the kernel itself, or of a function it calls: the stack of a thread holds both.
            let report = reports.entry(name.clone()).or_default();
            let own = number(line, " bytes stack frame");
            report.stack = if function == name {
                report.stack + own
            } else {
                report.stack.max(own)
            };
            report.spills +=
                number(line, " bytes spill stores") + number(line, " bytes spill loads");
        } else if line.contains("Used ") && line.contains(" registers") {
            reports.entry(name.clone()).or_default().registers = number(line, " registers");
        }
        if line.to_lowercase().contains("warning") {
            warnings.push(line.to_string());
        }
    }
    (reports, warnings)
}

/// An instruction of PTX that the manifest claims, and what it is in machine code.
const MACHINE: [(&str, &str); 7] = [
    ("mma.sync", "HMMA."),
    ("wgmma.mma_async", "HGMMA."),
    ("tf32.tf32", ".TF32"),
    ("ldmatrix", "LDSM."),
    ("cp.async", "LDGSTS."),
    ("cp.async.bulk.tensor", "UTMALDG."),
    ("mbarrier.try_wait", "SYNCS."),
];

/// The part of a file's code that is one kernel: PTX, or what nvdisasm writes.
fn body<'a>(code: &'a str, symbol: &str) -> &'a str {
    for (start, other) in [
        (format!(".entry {symbol}("), ".entry "),
        (format!("\n.text.{symbol}:"), "\n.text."),
    ] {
        if let Some(at) = code.find(&start) {
            let rest = &code[at..];
            let end = rest[1..].find(other).map_or(rest.len(), |i| i + 1);
            return &rest[..end];
        }
    }
    ""
}

/// nvdisasm, if there is one.
fn disassembler() -> Option<PathBuf> {
    let cache = || {
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or(home)?;
        Some(cache.join("gradus/nvdisasm"))
    };
    let folder = std::env::var_os("GRADUS_NVDISASM")
        .map(PathBuf::from)
        .or_else(cache)?;
    Some(folder.join("nvdisasm")).filter(|program| program.is_file())
}

/// The machine code of a cubin as text.
fn disassemble(program: &Path, cubin: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), cubin).unwrap();
    let mut command = std::process::Command::new(program);
    let output = command
        .arg("--print-code")
        .arg(file.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The compiler's log and the code of a file, or (`wide`) of its kernels for f64: from an earlier run of the same text, or from the compiler.
fn compile(file: &str, arch: &str, wide: bool) -> (String, String) {
    let disassembler = disassembler();
    let mut hash = std::hash::DefaultHasher::new();
    (
        manifest::header(),
        arch,
        wide,
        library::compiler().unwrap(),
        compiler::options(),
        disassembler.is_some(),
    )
        .hash(&mut hash);
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/kernels")).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|f| f.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.extension().is_some_and(|e| e == "cuh") || path.ends_with(file) {
            std::fs::read(path).unwrap().hash(&mut hash);
        }
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{file}-{arch}-{:016x}", hash.finish()));
    let separator = "\u{1}";
    if let Some((log, code)) = std::fs::read_to_string(&kept)
        .ok()
        .as_deref()
        .and_then(|t| t.split_once(separator))
    {
        return (log.into(), code.into());
    }
    let compiled = compiler::compile(file, arch, if wide { &[compiler::WIDE] } else { &[] })
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(&compiled.cubin[1..4], b"ELF", "{file}");
    let code = match disassembler {
        Some(program) => disassemble(&program, &compiled.cubin),
        None => compiled.ptx,
    };
    std::fs::write(kept, format!("{}{separator}{code}", compiled.log)).unwrap();
    (compiled.log, code)
}

fn check(arch: &str) {
    match library::compiler() {
        Err(Error::NoCompiler { detail }) => {
            println!("skipped: no NVRTC ({detail})");
            return;
        }
        other => drop(other.unwrap()),
    }
    let hopper = arch == "sm_90a";
    let machine = disassembler().is_some();
    if !machine {
        println!("skipped: no nvdisasm, instructions are looked for in PTX only");
    }
    let report = std::env::var("GRADUS_CUDA_REPORT").ok();
    let only = report.clone().filter(|r| r.ends_with(".cu"));
    let mut faults = Vec::new();
    for file in compiler::files() {
        let kernels: Vec<_> = manifest::KERNELS
            .iter()
            .filter(|k| k.file == file)
            .collect();
        if only.as_deref().is_some_and(|only| only != file)
            || !hopper && kernels.iter().all(|k| k.hopper)
        {
            continue;
        }
        for wide in [false, true] {
            if wide && !manifest::has_wide(file) {
                continue;
            }
            let start = std::time::Instant::now();
            let (log, code) = compile(file, arch, wide);
            let (reports, warnings) = parse(&log);
            faults.extend(warnings.iter().map(|w| format!("{file} ({arch}): {w}")));
            let symbols: usize = kernels.iter().map(|k| k.part(wide).len()).sum();
            if reports.len() != symbols {
                faults.push(format!(
                    "{file} ({arch}): {} kernels compiled, {symbols} in the manifest",
                    reports.len()
                ));
            }
            for kernel in &kernels {
                for symbol in kernel.part(wide) {
                    let (registers, stack) =
                        match symbol.ends_with("64") && !kernel.dtypes.is_empty() {
                            true => kernel.wide,
                            false => (kernel.registers, kernel.stack),
                        };
                    let Some(r) = reports.get(&symbol) else {
                        faults.push(format!("{symbol} ({arch}) is not in {file}"));
                        continue;
                    };
                    if report.is_some() {
                        println!(
                            "{arch:7} {symbol:32} {:3} registers, {:3} stack, {} spills",
                            r.registers, r.stack, r.spills
                        );
                    }
                    if r.registers > registers || r.stack > stack || r.spills > 0 {
                        faults.push(format!(
                            "{symbol} ({arch}): {r:?}; allowed {registers} registers, {stack} stack"
                        ));
                    }
                    for instruction in kernel.uses {
                        let found = MACHINE.iter().find(|(ptx, _)| ptx == instruction);
                        let (_, sass) =
                            found.unwrap_or_else(|| panic!("{instruction}: not in MACHINE"));
                        let wanted = if machine { sass } else { instruction };
                        if !body(&code, &symbol).contains(wanted) {
                            faults.push(format!("{symbol} ({arch}): no {wanted} in its code"));
                        }
                    }
                }
            }
            if report.is_some() {
                println!("{arch} {file}: {:?}", start.elapsed());
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn sm_80() {
    check("sm_80");
}

#[test]
fn sm_90a() {
    check("sm_90a");
}

#[test]
fn the_check_can_fail() {
    let log = "ptxas info    : Compiling entry function 'k_f32' for 'sm_80'\n\
               ptxas info    : Function properties for k_f32\n\
               \x20   16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads\n\
               ptxas info    : Used 77 registers, used 1 barriers, 400 bytes cmem[0]\n\
               k.cu(3): warning #177-D: variable \"x\" was declared but never referenced";
    let (reports, warnings) = parse(log);
    let r = &reports["k_f32"];
    assert_eq!(
        (r.registers, r.stack, r.spills, warnings.len()),
        (77, 16, 20, 1)
    );
    assert_eq!(body(".entry a(\n1\n.entry b(\n2", "a"), ".entry a(\n1\n");
    assert_eq!(
        body("\n.text.ab:\n1\n.text.a:\n2\n", "a"),
        "\n.text.a:\n2\n"
    );
    assert_eq!(body("\n.text.ab:\n1\n", "a"), "");
}
