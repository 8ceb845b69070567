//! The products of panels by tiles, as the assembly they are: two tiles of rows and two of columns keep four sums, and each tile
//! loaded is used twice.
//!
//! Written once for one or two tiles of rows and of columns ([`kernels`]). `plain` multiplies bf16 as they are, `split` the three
//! parts of an f32, `shifted` the same with a B that was not packed, `sliding` with such an A. What they ask of their callers stands at
//! `Tiles`.

/// An instruction that is only there with a second tile of rows (columns).
macro_rules! only {
    (two, $text:expr) => {
        $text
    };
    (one, $text:expr) => {
        ""
    };
}

/// Loads part `$part` (its offset in a step) of A into tmm4 and tmm5.
macro_rules! load_a {
    ($rows:ident, $part:literal, $second:literal) => {
        concat!(
            "tileloadd tmm4, [{a} + {row}*1 + ",
            $part,
            "]\n",
            only!(
                $rows,
                concat!("tileloadd tmm5, [{a} + {row}*1 + ", $second, "]\n")
            )
        )
    };
}

/// Loads part `$part` of B into tmm6 and tmm7.
macro_rules! load_b {
    ($columns:ident, $part:literal, $second:literal) => {
        concat!(
            "tileloadd tmm6, [{b} + {row}*1 + ",
            $part,
            "]\n",
            only!(
                $columns,
                concat!("tileloadd tmm7, [{b} + {row}*1 + ", $second, "]\n")
            )
        )
    };
}

/// Loads the part of an unpacked B at `t` into tmm6 and tmm7.
macro_rules! load_shifted {
    ($columns:ident) => {
        concat!(
            "tileloadd tmm6, [{t} + {apart}*1]\n",
            only!($columns, "tileloadd tmm7, [{t} + {apart}*1 + 64]\n")
        )
    };
}

/// Loads the part of an unpacked A at `t` into tmm4 and tmm5, whose rows follow.
macro_rules! load_sliding {
    ($rows:ident) => {
        concat!(
            "tileloadd tmm4, [{t} + {apart}*1]\n",
            only!(
                $rows,
                "lea {lower}, [{t} + {tile}]\ntileloadd tmm5, [{lower} + {apart}*1]\n"
            )
        )
    };
}

/// Fetches eight lines, from `$line` on, of what lies `$ahead` bytes further to L1.
macro_rules! ahead {
    ($panel:literal, $ahead:literal, $line:literal) => {
        concat!(
            ".irp line, 0, 64, 128, 192, 256, 320, 384, 448\nprefetcht0 [{",
            $panel,
            "} + ",
            $ahead,
            " + ",
            $line,
            " + \\line]\n.endr\n"
        )
    };
}

/// [`multiply`], fetching the two tiles `$ahead` bytes further meanwhile: tile loads would wait for L2, and nothing hides it.
macro_rules! multiply_ahead {
    ($rows:ident, $columns:ident, $panel:literal, $ahead:literal) => {
        concat!(
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            ahead!($panel, $ahead, "0"),
            only!($columns, "tdpbf16ps tmm1, tmm4, tmm7\n"),
            ahead!($panel, $ahead, "512"),
            only!($rows, "tdpbf16ps tmm2, tmm5, tmm6\n"),
            ahead!($panel, $ahead, "1024"),
            only!($rows, only!($columns, "tdpbf16ps tmm3, tmm5, tmm7\n")),
            ahead!($panel, $ahead, "1536"),
        )
    };
}

/// Adds the products of the loaded tiles to tmm0, tmm1 (the upper tiles of C), tmm2 and tmm3.
macro_rules! multiply {
    ($rows:ident, $columns:ident) => {
        concat!(
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            only!($columns, "tdpbf16ps tmm1, tmm4, tmm7\n"),
            only!($rows, "tdpbf16ps tmm2, tmm5, tmm6\n"),
            only!($rows, only!($columns, "tdpbf16ps tmm3, tmm5, tmm7\n"))
        )
    };
}

/// Zeros the tiles of C.
macro_rules! clear {
    () => {
        "tilezero tmm0\ntilezero tmm1\ntilezero tmm2\ntilezero tmm3\n"
    };
}

/// Stores the tiles of C: the upper ones at `c`, the lower ones at `lower`, rows `stride` bytes apart.
macro_rules! store {
    ($rows:ident, $columns:ident) => {
        concat!(
            "/* the lower ones: {lower} */\n",
            "tilestored [{c} + {stride}*1], tmm0\n",
            only!($columns, "tilestored [{c} + {stride}*1 + 64], tmm1\n"),
            only!($rows, "tilestored [{lower} + {stride}*1], tmm2\n"),
            only!(
                $rows,
                only!($columns, "tilestored [{lower} + {stride}*1 + 64], tmm3\n")
            )
        )
    };
}

/// The two products for one or two tiles of rows and of columns.
macro_rules! kernels {
    ($name:ident, $rows:ident, $columns:ident) => {
        pub(super) mod $name {
            use std::arch::asm;

            /// One part: load both, multiply, step by step; a panel of B is in L1 as a rule, those of A come from L2.
            pub(in crate::amx) unsafe fn plain(
                steps: usize,
                a: *const u8,
                b: *const u8,
                (c, stride): (*mut f32, usize),
                soon: *const u8,
            ) {
                // SAFETY: the panels and the tile of C are as `Tiles::product` asks.
                unsafe {
                    asm!(
                        clear!(),
                        "test {n}, {n}",
                        "jz 3f",
                        "2:",
                        load_a!($rows, "0", "1024"),
                        load_b!($columns, "0", "1024"),
                        multiply_ahead!($rows, $columns, "a", "4096"),
                        "prefetcht1 [{soon}]",
                        "prefetcht1 [{soon} + 64]",
                        "prefetcht1 [{soon} + 128]",
                        "prefetcht1 [{soon} + 192]",
                        "add {soon}, 256",
                        "add {a}, 2048",
                        "add {b}, 2048",
                        "dec {n}",
                        "jnz 2b",
                        "3:",
                        store!($rows, $columns),
                        a = inout(reg) a => _,
                        b = inout(reg) b => _,
                        c = in(reg) c,
                        lower = in(reg) c.wrapping_add(16 * stride),
                        stride = in(reg) stride * 4,
                        soon = inout(reg) soon => _,
                        n = inout(reg) steps => _,
                        row = in(reg) 64usize,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            }

            /// Three parts, h m l. Forwards over k the small products, hl hm mm mh lh, each sharing an operand with the one before;
            /// then h·h backwards, while the last steps are still in L1.
            pub(in crate::amx) unsafe fn split(
                steps: usize,
                a: *const u8,
                b: *const u8,
                (c, stride): (*mut f32, usize),
                soon: *const u8,
            ) {
                // SAFETY: the panels and the tile of C are as `Tiles::split_product` asks.
                unsafe {
                    asm!(
                        clear!(),
                        "test {n}, {n}",
                        "jz 4f",
                        "2:",
                        load_a!($rows, "0", "1024"),
                        load_b!($columns, "0", "1024"),
                        multiply_ahead!($rows, $columns, "a", "6144"),
                        load_b!($columns, "2048", "3072"),
                        multiply_ahead!($rows, $columns, "b", "6144"),
                        load_a!($rows, "2048", "3072"),
                        multiply_ahead!($rows, $columns, "b", "8192"),
                        load_b!($columns, "4096", "5120"),
                        multiply_ahead!($rows, $columns, "a", "8192"),
                        load_a!($rows, "4096", "5120"),
                        multiply_ahead!($rows, $columns, "b", "10240"),
                        ahead!("a", "10240", "0"),
                        ahead!("a", "10240", "512"),
                        ahead!("a", "10240", "1024"),
                        ahead!("a", "10240", "1536"),
                        ".irp line, 0, 64, 128, 192, 256, 320, 384, 448, 512, 576, 640, 704",
                        "prefetcht1 [{soon} + \\line]",
                        ".endr",
                        "add {soon}, 768",
                        "add {a}, 6144",
                        "add {b}, 6144",
                        "dec {n}",
                        "jnz 2b",
                        "3:",
                        "sub {a}, 6144",
                        "sub {b}, 6144",
                        load_a!($rows, "0", "1024"),
                        load_b!($columns, "4096", "5120"),
                        multiply!($rows, $columns),
                        "cmp {a}, {first}",
                        "jne 3b",
                        "4:",
                        store!($rows, $columns),
                        a = inout(reg) a => _,
                        b = inout(reg) b => _,
                        c = in(reg) c,
                        lower = in(reg) c.wrapping_add(16 * stride),
                        stride = in(reg) stride * 4,
                        first = in(reg) a,
                        soon = inout(reg) soon => _,
                        n = inout(reg) steps => _,
                        row = in(reg) 64usize,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            }

            /// [`split`] with a table of where B lies.
            pub(in crate::amx) unsafe fn shifted(
                steps: usize,
                a: *const u8,
                (b, apart, part): (*const u8, usize, usize),
                table: *const usize,
                (c, stride): (*mut f32, usize),
            ) {
                // SAFETY: the panel of A, B's rows and the tile of C are as `Tiles::split_shifted` asks.
                unsafe {
                    asm!(
                        clear!(),
                        "test {n}, {n}",
                        "jz 4f",
                        "2:",
                        "mov {t}, [{table}]",
                        "add {t}, {b}",
                        load_a!($rows, "0", "1024"),
                        load_shifted!($columns),
                        multiply_ahead!($rows, $columns, "a", "6144"),
                        "add {t}, {part}",
                        load_shifted!($columns),
                        multiply_ahead!($rows, $columns, "a", "8192"),
                        load_a!($rows, "2048", "3072"),
                        multiply_ahead!($rows, $columns, "a", "10240"),
                        "add {t}, {part}",
                        load_shifted!($columns),
                        multiply!($rows, $columns),
                        load_a!($rows, "4096", "5120"),
                        multiply!($rows, $columns),
                        "add {table}, 8",
                        "add {a}, 6144",
                        "dec {n}",
                        "jnz 2b",
                        "3:",
                        "sub {a}, 6144",
                        "sub {table}, 8",
                        "mov {t}, [{table}]",
                        "add {t}, {b}",
                        "lea {t}, [{t} + {part}*2]",
                        load_a!($rows, "0", "1024"),
                        load_shifted!($columns),
                        multiply!($rows, $columns),
                        "cmp {a}, {first}",
                        "jne 3b",
                        "4:",
                        store!($rows, $columns),
                        a = inout(reg) a => _,
                        b = in(reg) b,
                        c = in(reg) c,
                        t = out(reg) _,
                        table = inout(reg) table => _,
                        apart = in(reg) apart,
                        part = in(reg) part,
                        lower = in(reg) c.wrapping_add(16 * stride),
                        stride = in(reg) stride * 4,
                        first = in(reg) a,
                        n = inout(reg) steps => _,
                        row = in(reg) 64usize,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            }

            /// [`split`] with rows of A that lie where they are, and go on by 32 steps of k.
            pub(in crate::amx) unsafe fn sliding(
                steps: usize,
                (a, apart, part): (*const u8, usize, usize),
                b: *const u8,
                (c, stride): (*mut f32, usize),
            ) {
                // SAFETY: the rows of A, the panel of B and the tile of C are as `Tiles::split_sliding` asks.
                unsafe {
                    asm!(
                        clear!(),
                        "test {n}, {n}",
                        "jz 4f",
                        "2:",
                        "mov {t}, {a}",
                        load_sliding!($rows),
                        load_b!($columns, "0", "1024"),
                        multiply_ahead!($rows, $columns, "b", "6144"),
                        load_b!($columns, "2048", "3072"),
                        multiply_ahead!($rows, $columns, "b", "8192"),
                        "add {t}, {part}",
                        load_sliding!($rows),
                        multiply_ahead!($rows, $columns, "b", "10240"),
                        load_b!($columns, "4096", "5120"),
                        multiply!($rows, $columns),
                        "add {t}, {part}",
                        load_sliding!($rows),
                        multiply!($rows, $columns),
                        "add {a}, 64",
                        "add {b}, 6144",
                        "dec {n}",
                        "jnz 2b",
                        "3:",
                        "sub {a}, 64",
                        "sub {b}, 6144",
                        "mov {t}, {a}",
                        load_sliding!($rows),
                        load_b!($columns, "4096", "5120"),
                        multiply!($rows, $columns),
                        "cmp {b}, {first}",
                        "jne 3b",
                        "4:",
                        "/* the second tile of A: {tile} further */",
                        "mov {lower}, {stride}",
                        "shl {lower}, 4",
                        "add {lower}, {c}",
                        store!($rows, $columns),
                        a = inout(reg) a => _,
                        b = inout(reg) b => _,
                        c = in(reg) c,
                        t = out(reg) _,
                        apart = in(reg) apart,
                        part = in(reg) part,
                        tile = in(reg) 16 * apart,
                        lower = out(reg) _,
                        stride = in(reg) stride * 4,
                        first = in(reg) b,
                        n = inout(reg) steps => _,
                        row = in(reg) 64usize,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            }
        }
    };
}

kernels!(whole, two, two);
kernels!(tall, two, one);
kernels!(wide, one, two);
kernels!(single, one, one);
