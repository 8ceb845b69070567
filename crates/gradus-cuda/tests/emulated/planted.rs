//! Bugs planted into the kernels, each of which a test must catch: this is what keeps the emulation honest.
//!
//! A bug is a change of a kernel's text. The kernel is compiled with it and one test is run, in a process of its own, which must fail,
//! and for the right reason.

use std::process::Command;

use crate::sanitized::{racing, sanitized};
use crate::standin::{Build, build, has_compiler};

pub struct Bug {
    pub what: &'static str,
    pub file: &'static str,
    pub from: &'static str,
    pub to: &'static str,
    /// The test that must fail.
    test: &'static str,
    /// What it must say.
    says: &'static str,
    /// The build that sees it.
    under: Build,
}

const fn bug(
    what: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    test: &'static str,
    says: &'static str,
) -> Bug {
    Bug {
        what,
        file,
        from,
        to,
        test,
        says,
        under: Build::Plain,
    }
}

pub const BUGS: &[Bug] = &[
    bug(
        "a missing barrier after writing a tile",
        "copy.cu",
        "  gr_sync();\n",
        "",
        "elementwise::unary_and_copies_of_any_layout",
        "transposed",
    ),
    bug(
        "a missing barrier before a tile is overwritten",
        "conv.cu",
        "    gr_sync(); // everybody is done with the tile before\n",
        "",
        "conv::convolutions_and_their_gradients",
        "element",
    ),
    bug(
        "a missing barrier before a tile of attention is overwritten",
        "attention_mma.cu",
        "    gr_sync(); // the tile may be overwritten\n",
        "",
        "attention::by_tensor_cores_of_width_64",
        "element",
    ),
    bug(
        "a causal mask that shows one key too many",
        "attention_mma.cu",
        "(a.causal && column > row)) s[n][e]",
        "(a.causal && column > row + 1)) s[n][e]",
        "attention::by_tensor_cores_of_width_64",
        "element",
    ),
    bug(
        "tiles read before their copies have come",
        "mma_tile.cuh",
        "gr_copy_wait<STAGES - 2>();",
        "gr_copy_wait<STAGES - 1>();",
        "gemm::rung_4_tensor_cores_of_a_warp",
        "element",
    ),
    bug(
        "a row of the image above read where padding is",
        "conv_mma.cu",
        "k.r < th.count && h >= 0 && h < height &&",
        "k.r < th.count && h >= -1 && h < height &&",
        "conv::on_tensor_cores",
        "element",
    ),
    bug(
        "a phase of the strides that forgets its place",
        "conv_mma.cu",
        "+ phase_w + rest % wide * g.stride[1];",
        "+ rest % wide * g.stride[1];",
        "conv::on_tensor_cores",
        "element",
    ),
    bug(
        "a ring of tiles filled without asking whether they are free",
        "gemm_wgmma.cu",
        "gr_barrier_wait(empty + s, (step / STAGES & 1) ^ 1);",
        "",
        "gemm::rung_5_tensor_cores_of_a_warpgroup",
        "",
    ),
    bug(
        "a tile released while the product that reads it is under way",
        "gemm_wgmma.cu",
        "if (t % 32 == 0 && step > 0) gr_barrier_arrive(empty + (step - 1) % STAGES);",
        "if (t % 32 == 0) gr_barrier_arrive(empty + s);",
        "gemm::rung_5_tensor_cores_of_a_warpgroup",
        "element",
    ),
    bug(
        "a warp that speaks for the three others of its group",
        "gemm_wgmma.cu",
        "if (t % 32 == 0 && step > 0) gr_barrier_arrive(empty + (step - 1) % STAGES);",
        "if (t == 0 && step > 0) for (int i = 0; i < 4; i++) gr_barrier_arrive(empty + (step - 1) % STAGES);",
        "gemm::rung_5_tensor_cores_of_a_warpgroup",
        "",
    ),
    bug(
        "a barrier that waits for bytes nobody sends",
        "gemm_wgmma.cu",
        "gr_barrier_expect(full + s, A_BYTES + B_BYTES);",
        "gr_barrier_expect(full + s, A_BYTES + B_BYTES + 16);",
        "gemm::rung_5_tensor_cores_of_a_warpgroup",
        "deadlock",
    ),
    bug(
        "shared memory that nobody wrote",
        "gemm_simt.cu",
        "b_tile[r][column] = in_b ? pb[(k0 + r) * g.b_row + (j0 + column) * g.b_column] : 0.f;",
        "if (in_b) b_tile[r][column] = pb[(k0 + r) * g.b_row + (j0 + column) * g.b_column];",
        "gemm::rung_2_tiled",
        "NaN",
    ),
    bug(
        "a barrier that not all threads reach",
        "reduce.cu",
        "  if (lane == 0) { values[warp] = v.value; places[warp] = v.place; }\n  gr_sync();",
        "  if (lane == 0) { values[warp] = v.value; places[warp] = v.place; gr_sync(); }",
        "reduce::places_of_extremes",
        "deadlock",
    ),
    bug(
        "a shuffle in a part of the warp",
        "reduce.cu",
        "  v = warp_best(mine, smallest);",
        "  if (lane < 16) v = warp_best(mine, smallest);",
        "reduce::places_of_extremes",
        "CUDA_ERROR_LAUNCH_FAILED",
    ),
    Bug {
        under: Build::Asan,
        ..bug(
            "an element beyond the end",
            "copy.cu",
            "for (i64 i = grid_index(); i < n; i += grid_size()) y[i] = value;",
            "for (i64 i = grid_index(); i <= n; i += grid_size()) y[i] = value;",
            "elementwise::fills",
            "heap-buffer-overflow",
        )
    },
    Bug {
        under: Build::Asan,
        ..bug(
            "shared memory beyond the array",
            "copy.cu",
            "= tile[lane][c];",
            "= tile[lane + 1][c + 1];",
            "elementwise::unary_and_copies_of_any_layout",
            "global-buffer-overflow",
        )
    },
    Bug {
        under: Build::Races,
        ..bug(
            "a missing barrier between two tiles, whatever the order of threads",
            "gemm_simt.cu",
            "    gr_sync(); // the next tiles are there, and these may be overwritten\n",
            "",
            "gemm::rung_3_vectorised",
            "race in shared memory",
        )
    },
    Bug {
        under: Build::Races,
        ..bug(
            "a tile's copies begun while others still read it",
            "mma_tile.cuh",
            "    gr_sync();                  // … and of all; and everybody is done with the tile that is loaded next\n",
            "",
            "conv::on_tensor_cores",
            "race in shared memory",
        )
    },
    Bug {
        under: Build::Races,
        ..bug(
            "lanes that do not meet before they read what others wrote",
            "probe.cu",
            "  gr_sync_warp();\n",
            "",
            "probe::every_primitive_by_itself",
            "race in shared memory",
        )
    },
    Bug {
        under: Build::Races,
        ..bug(
            "two threads with one element",
            "copy.cu",
            "i += grid_size()) y[i] = value;",
            "i += grid_size()) y[i / 2] = value;",
            "elementwise::fills",
            "race in global memory",
        )
    },
];

/// Runs this program with a bug, as it is otherwise; whether it passed, and what it said.
fn plain(arguments: &[&str], bug: usize) -> (bool, String) {
    build(Build::Plain, Some(bug));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(arguments)
        .args(["--test-threads", "1"])
        .env("GRADUS_EMULATION_BUG", bug.to_string());
    let out = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    (out.status.success(), text)
}

#[test]
fn every_planted_bug_is_caught() {
    if !has_compiler() || std::env::var_os("GRADUS_EMULATION_BUILD").is_some() {
        return;
    }
    let mut missed = Vec::new();
    for (n, bug) in BUGS.iter().enumerate() {
        let arguments = [bug.test, "--exact"];
        let (passed, text) = match bug.under {
            Build::Asan => sanitized(&arguments, Some(n)),
            Build::Races => racing(&arguments, Some(n)),
            Build::Plain => plain(&arguments, n),
        };
        assert!(
            text.contains("running 1 test"),
            "{}: no test {}\n{text}",
            bug.what,
            bug.test
        );
        if passed || !text.contains(bug.says) {
            missed.push(format!(
                "{} ({}): passed: {passed}\n{text}",
                bug.what, bug.file
            ));
        }
    }
    assert!(missed.is_empty(), "not caught:\n{}", missed.join("\n"));
}
