//! CUDA graphs: what is recorded runs at each replay and not before; its memory is its own; what cannot be recorded is refused.

use gradus_cuda::manifest::BinaryOp;
use gradus_cuda::ops::elementwise::binary;
use gradus_cuda::ops::embedding::gather_rows;
use gradus_cuda::ops::optim::{Kept, Numbers, Sgd, Step, clip_gradients, sgd};
use gradus_cuda::{Buffer, Error, Event, Result};

use crate::lacks::again;
use crate::standin::{device, for_streams};

fn add(a: &Buffer<f32>, b: &Buffer<f32>) -> Result<Buffer<f32>> {
    let mut y = a.device().uninit(a.len())?;
    let shape = [a.len()];
    binary(BinaryOp::Add, &a.view(&shape)?, &b.view(&shape)?, &mut y)?;
    Ok(y)
}

#[test]
fn replays_read_what_is_there_then() {
    for_streams(|device| {
        let mut x = device.upload(&[1.0f32, 2.0, 3.0]).unwrap();
        let mut total = device.zeros::<f32>(3).unwrap();
        let (y, graph) = device
            .capture(|| {
                assert!(device.is_capturing());
                // Data of the host is part of the graph; so are fills.
                let ten = device.upload(&[10.0f32; 3])?;
                let zero = device.zeros::<f32>(3)?;
                let y = add(&add(&x, &ten)?, &zero)?;
                let mut next = device.uninit(3)?;
                let shape = [3];
                binary(
                    BinaryOp::Add,
                    &total.view(&shape)?,
                    &y.view(&shape)?,
                    &mut next,
                )?;
                gradus_cuda::ops::copy::copy(&next.view(&shape)?, &mut total)?;
                Ok::<_, Error>(y)
            })
            .unwrap();
        assert!(!device.is_capturing());
        assert_eq!(total.download().unwrap(), [0.0; 3]); // nothing has run
        let mut want = [0.0f32; 3];
        for step in 0..4 {
            let now = [step as f32, 1.0, -2.0];
            x.write(&now).unwrap();
            graph.replay().unwrap();
            want.iter_mut().zip(now).for_each(|(w, x)| *w += x + 10.0);
            assert_eq!(y.download().unwrap(), now.map(|x| x + 10.0));
        }
        assert_eq!(total.download().unwrap(), want);
        // Without waiting in between.
        graph.replay().unwrap();
        graph.replay().unwrap();
        let last = [3.0f32, 1.0, -2.0].map(|x| 2.0 * (x + 10.0));
        let want: Vec<f32> = want.iter().zip(last).map(|(w, l)| w + l).collect();
        assert_eq!(total.download().unwrap(), want);
        assert!(graph.bytes() > 0 && graph.device() == device);
    });
}

#[test]
fn memory_is_the_graphs_own() {
    let Some(device) = device() else { return };
    let shape = [1000];
    let (mut x, step) = (
        device.upload(&[1.0f32; 1000]).unwrap(),
        device.upload(&[1.0f32; 1000]).unwrap(),
    );
    let run = |x: &Buffer<f32>| -> Result<Buffer<f32>> {
        let mut y = add(x, &step)?;
        for _ in 0..20 {
            y = add(&y, &step)?; // reused within: two blocks are enough
        }
        Ok(y)
    };
    let (y, graph) = device.capture(|| run(&x)).unwrap();
    // Three blocks, and what was kept of other tests' may be twice as large as it is asked for.
    assert!(graph.bytes() <= 3 * 2 * 4096, "{}", graph.bytes());
    // Others get none of it, whatever they allocate and drop between replays.
    for k in 0..5 {
        let junk: Vec<Buffer<f32>> = (0..10)
            .map(|_| device.upload(&[f32::NAN; 1000]).unwrap())
            .collect();
        graph.replay().unwrap();
        drop(junk);
        x.write(&[k as f32; 1000]).unwrap();
        let junk: Vec<Buffer<f32>> = (0..10)
            .map(|_| device.upload(&[f32::NAN; 1000]).unwrap())
            .collect();
        graph.replay().unwrap();
        drop(junk);
        assert_eq!(y.download().unwrap(), [k as f32 + 21.0; 1000]);
    }
    // A result outlives the graph, and what the graph reads outlives its owner.
    let (z, second) = device.capture(|| add(&y, &x)).unwrap();
    drop(graph);
    let address_is_free = device.upload(&[f32::NAN; 1000]).unwrap();
    second.replay().unwrap();
    assert_eq!(z.download().unwrap(), [25.0 + 4.0; 1000]);
    drop((x, y));
    let junk: Vec<Buffer<f32>> = (0..10)
        .map(|_| device.upload(&[f32::NAN; 1000]).unwrap())
        .collect();
    second.replay().unwrap();
    assert_eq!(z.download().unwrap(), [25.0 + 4.0; 1000]);
    assert!(z.view(&shape).is_ok());
    drop((junk, address_is_free));
}

/// In a process of its own: others would count too.
#[test]
fn all_memory_comes_back() {
    again("graphs::comes_back", &[]);
}

#[test]
#[ignore = "started by all_memory_comes_back"]
fn comes_back() {
    let device = device().unwrap();
    let x = device.zeros::<f32>(100_000).unwrap();
    let once = |keep_result: bool| {
        let (y, graph) = device
            .capture(|| {
                let host = device.upload(&vec![1.0f32; 100_000])?;
                add(&add(&x, &host)?, &x)
            })
            .unwrap();
        let bytes = device.memory_stats().used;
        graph.replay().unwrap();
        if keep_result {
            drop(graph);
            assert_eq!(device.memory_stats().used, bytes); // the result keeps the arena
            assert_eq!(y.download().unwrap()[0], 1.0);
        } else {
            drop(y);
            assert_eq!(device.memory_stats().used, bytes);
        }
    };
    once(true);
    let before = device.memory_stats();
    assert_eq!(before.used, 400_384);
    for i in 0..5 {
        once(i % 2 == 0);
    }
    let after = device.memory_stats();
    assert_eq!((after.used, after.reserved), (before.used, before.reserved));
    assert_eq!(after.driver_requests, before.driver_requests);
    drop(x);
    device.trim().unwrap();
    assert_eq!(device.memory_stats().reserved, 0);
}

#[test]
fn what_waits_is_refused_and_the_stream_stays() {
    for_streams(|device| {
        let x = device.upload(&[1.0f32, 2.0]).unwrap();
        let start = Event::record(device).unwrap();
        let cases: [(&str, &dyn Fn() -> Result<()>); 6] = [
            ("Buffer::download", &|| x.download().map(drop)),
            ("synchronize", &|| device.synchronize()),
            ("Event::record", &|| Event::record(device).map(drop)),
            ("Event::milliseconds_to", &|| {
                start.milliseconds_to(&start).map(drop)
            }),
            ("capture", &|| {
                device.capture(|| Ok::<_, Error>(())).map(drop)
            }),
            ("Buffer::download", &|| {
                let _ = x.download(); // an error that is dropped is one all the same
                Ok(())
            }),
        ];
        for (name, case) in cases {
            let refused = device.capture(|| {
                let y = add(&x, &x)?;
                case()?;
                Ok::<_, Error>(y)
            });
            match refused {
                Err(Error::Capture { op, .. }) => assert_eq!(op, name),
                other => panic!("{name}: {other:?}"),
            }
            assert_eq!(add(&x, &x).unwrap().download().unwrap(), [2.0, 4.0]);
        }
        // Any error, and a panic, end it too.
        let shape = device
            .capture(|| add(&x, &device.uninit(3)?).map(drop))
            .unwrap_err();
        assert!(matches!(shape, Error::Shape { .. }));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            device.capture(|| -> Result<()> { panic!("in a capture") })
        }));
        assert!(panicked.is_err() && !device.is_capturing());
        let (y, graph) = device.capture(|| add(&x, &x)).unwrap();
        graph.replay().unwrap();
        assert_eq!(y.download().unwrap(), [2.0, 4.0]);
    });
}

#[test]
fn tables_of_pointers_are_replayed() {
    for_streams(|device| {
        let (mut p, g) = (
            device.upload(&[1.0f32; 5]).unwrap(),
            device.upload(&[3.0f32; 5]).unwrap(),
        );
        let options = Sgd {
            lr: 0.5,
            momentum: 0.0,
            dampening: 0.0,
            weight_decay: 0.0,
            nesterov: false,
            maximize: false,
            first: false,
        };
        let table = device.upload(&[1.0f32, 2.0, 3.0, 4.0]).unwrap(); // (2, 2)
        let mut index = device.upload(&[0i64, 1]).unwrap();
        let mut kept = Kept::default();
        assert!(kept.renumber(Numbers::from(options)).is_err());
        let (rows, graph) = device
            .capture(|| {
                let mut clipped = add(&g, &device.zeros(5)?)?;
                clip_gradients(&mut [&mut clipped], 1.0)?;
                sgd(options, &mut [Step::new(&mut p, &clipped)], &mut kept)?;
                let mut rows = device.uninit::<f32>(4)?;
                gather_rows(&table, 2, 2, &index, &mut rows)?;
                Ok::<_, Error>(rows)
            })
            .unwrap();
        let scaled = 3.0 * (1.0 / (45f32.sqrt() + 1e-6)).min(1.0);
        let mut moved = 0.0;
        for lr in [0.5, 0.25, 1.0] {
            kept.renumber(Sgd { lr, ..options }).unwrap();
            graph.replay().unwrap();
            moved += scaled * lr as f32;
            let got = p.download().unwrap();
            assert!((got[4] - (1.0 - moved)).abs() < 1e-6, "{got:?}");
        }
        assert_eq!(rows.download().unwrap(), [1.0, 2.0, 3.0, 4.0]);
        index.write(&[1, 0]).unwrap();
        graph.replay().unwrap();
        assert_eq!(rows.download().unwrap(), [3.0, 4.0, 1.0, 2.0]);
    });
}

#[test]
fn other_threads_wait_and_copies_ahead_arrive() {
    for_streams(|device| {
        let ahead = device.upload_ahead(&vec![2.0f32; 30_000]).unwrap();
        let (begun, go_on) = std::sync::mpsc::channel();
        let (graph, y, there) = std::thread::scope(|scope| {
            let other = scope.spawn(move || {
                go_on.recv().unwrap();
                // Recorded? Then it would be NaN until a replay.
                let x = device.upload(&[1.0f32; 4]).unwrap();
                add(&x, &x).unwrap().download().unwrap()
            });
            let copied = device.upload_ahead(&vec![3.0f32; 30_000]).unwrap();
            let (y, graph) = device
                .capture(|| {
                    begun.send(()).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    let while_recording = device.upload_ahead(&vec![4.0f32; 30_000])?;
                    add(&add(&ahead, &copied)?, &while_recording)
                })
                .unwrap();
            (graph, y, other.join().unwrap())
        });
        assert_eq!(there, [2.0; 4]);
        graph.replay().unwrap();
        assert_eq!(y.download().unwrap(), vec![9.0; 30_000]);
    });
}
