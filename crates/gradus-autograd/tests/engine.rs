//! The engine: depth, repetition, freeing, sharing, hooks, recomputation, memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gradus_autograd::{Op, Var, checkpoint, grad, no_grad};
use gradus_tensor::{DType, Result, Tensor};

fn leaf(x: f64) -> Var {
    Var::leaf(Tensor::scalar(x)).unwrap()
}

fn value(t: &Tensor) -> f64 {
    t.item::<f64>().unwrap()
}

#[test]
fn a_chain_of_a_million_nodes_works_and_is_freed() -> Result<()> {
    // On a small stack, so that any recursion by depth would overflow at once.
    let run = || -> Result<()> {
        let x = leaf(1.0);
        let mut y = x.clone();
        for _ in 0..1_000_000 {
            y = y.add_scalar(1e-6)?;
        }
        assert_eq!(value(y.backward()?.get(&x).unwrap()), 1.0);
        drop(y); // frees the million nodes
        let mut y = x.clone();
        for _ in 0..300_000 {
            y = y.neg()?.mul(&x)?; // each rule owns the node before it, twice
        }
        let _ = y.backward_once()?;
        let mut y = x.clone();
        for _ in 0..300_000 {
            y = y.mul(&x)?;
        }
        drop(y);
        Ok(())
    };
    std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap()
}

#[test]
fn backward_twice_gives_exactly_twice() -> Result<()> {
    // micrograd's own trap: inner gradients must not be kept from the first time.
    let (a, b) = (leaf(2.0), leaf(-3.0));
    let c = a.mul(&b)?;
    let loss = c.mul(&c)?.add(&c)?.add(&a)?;
    let first = loss.backward()?;
    let mut total = loss.backward()?;
    total.accumulate(first.clone())?;
    for v in [&a, &b] {
        assert_eq!(
            value(total.get(v).unwrap()),
            2.0 * value(first.get(v).unwrap())
        );
    }
    assert_eq!(
        value(first.get(&a).unwrap()),
        (2.0 * -6.0 + 1.0) * -3.0 + 1.0
    );
    Ok(())
}

#[test]
fn one_value_used_often_sums_its_gradients() -> Result<()> {
    let x = leaf(3.0);
    let y = x.mul(&x)?.mul(&x)?.add(&x)?; // x³ + x
    assert_eq!(value(y.backward()?.get(&x).unwrap()), 28.0);
    // The gradient of add goes to both sides: adding to one in place must not change the other.
    let z = x.add(&y)?;
    let w = z.add(&z)?.mul(&x)?.add(&z)?;
    let d = grad(&[&w], &[&x], None, false)?.remove(0).unwrap();
    let f = |x: f64| 2.0 * (x * x * x + 2.0 * x) * x + x * x * x + 2.0 * x;
    assert!((d.item::<f64>()? - (f(3.0 + 1e-6) - f(3.0 - 1e-6)) / 2e-6).abs() < 1e-6);
    Ok(())
}

#[test]
fn backward_once_frees_and_says_so() -> Result<()> {
    let x = leaf(2.0);
    let y = x.exp()?;
    let (a, b) = (y.mul(&y)?, y.neg()?);
    assert!(a.backward_once().is_ok());
    let error = b.backward().unwrap_err().to_string();
    assert!(
        error.contains("exp") && error.contains("backward_once"),
        "{error}"
    );
    Ok(())
}

#[test]
fn errors_are_clear() -> Result<()> {
    assert!(Var::leaf(Tensor::scalar(1i64)).is_err());
    let x = Var::leaf(Tensor::zeros([2], DType::F64)?)?;
    assert!(
        x.exp()?
            .backward()
            .unwrap_err()
            .to_string()
            .contains("scalar")
    );
    assert!(x.detach().sum(.., false)?.backward().is_err());
    assert!(x.backward_with(&Tensor::zeros([3], DType::F64)?).is_err());
    assert!(grad(&[&x.exp()?], &[&x.detach()], None, false).is_err());
    assert!(no_grad(|| x.exp())?.sum(.., false)?.backward().is_err());
    Ok(())
}

#[test]
fn no_grad_is_put_back_after_a_panic() {
    let x = leaf(1.0);
    let _ = std::panic::catch_unwind(|| no_grad(|| panic!("inside")));
    assert!(x.exp().unwrap().is_tracked());
}

#[test]
fn gradients_of_inner_values() -> Result<()> {
    let x = leaf(2.0);
    let y = x.mul(&x)?;
    let z = y.mul(&y)?;
    assert!(z.backward()?.get(&y).is_none());
    assert_eq!(value(z.backward_all()?.get(&y).unwrap()), 8.0);
    y.retain_grad();
    assert_eq!(value(z.backward()?.get(&y).unwrap()), 8.0);
    let d = grad(&[&z], &[&y, &x, &leaf(0.0)], None, false)?;
    assert_eq!(d[0].as_ref().unwrap().item::<f64>()?, 8.0);
    assert_eq!(d[1].as_ref().unwrap().item::<f64>()?, 32.0);
    assert!(d[2].is_none());
    Ok(())
}

#[test]
fn derivatives_of_any_order() -> Result<()> {
    // x⁵: 5x⁴, 20x³, 60x², 120x, 120
    let x = leaf(1.5);
    let mut y = x.mul(&x)?.mul(&x)?.mul(&x)?.mul(&x)?;
    let mut expected = 1.0;
    for k in 0..5 {
        y = grad(&[&y], &[&x], None, true)?.remove(0).unwrap();
        expected *= f64::from(5 - k);
        assert!((y.item::<f64>()? - expected * 1.5f64.powi(4 - k)).abs() < 1e-9);
    }
    Ok(())
}

#[test]
fn hooks_see_the_whole_gradient_once() -> Result<()> {
    let x = leaf(2.0);
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let y = x.exp()?;
    let hook = y.register_hook(move |g| {
        count.fetch_add(1, Ordering::Relaxed);
        assert_eq!(g.item::<f64>()?, 2.0);
        Ok(Some(g.mul_scalar(10)?))
    })?;
    let z = y.add(&y)?;
    let d = value(z.backward()?.get(&x).unwrap());
    assert!((d - 20.0 * 2f64.exp()).abs() < 1e-12);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    hook.remove();
    hook.remove();
    z.backward()?;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(y.detach().register_hook(|_| Ok(None)).is_err());
    y.register_hook(|_| Ok(Some(Var::from(Tensor::zeros([3], DType::F64)?))))?;
    assert!(z.backward().unwrap_err().to_string().contains("hook"));
    Ok(())
}

#[test]
fn a_checkpoint_changes_nothing_but_the_memory() -> Result<()> {
    let (x, w, c) = (leaf(0.7), leaf(1.3), leaf(0.2).detach());
    let f = {
        let (w, inner) = (w.clone(), w.exp()?); // a leaf from outside, and something made before
        move |v: &[Var]| v[0].mul(&w)?.sin()?.mul(&inner)?.add(&v[1])?.mul(&v[0])
    };
    let plain = f(&[x.clone(), c.clone()])?.square()?;
    let spared = checkpoint(f, &[x.clone(), c])?.square()?;
    assert_eq!(plain.item::<f64>()?, spared.item::<f64>()?);
    let (a, b) = (plain.backward()?, spared.backward()?);
    assert_eq!((a.len(), b.len()), (2, 2));
    for v in [&x, &w] {
        assert!((value(a.get(v).unwrap()) - value(b.get(v).unwrap())).abs() < 1e-12);
    }
    // Second derivatives, through the recomputation.
    let second = |y: Var| -> Result<Vec<f64>> {
        let d = grad(&[&y], &[&x], None, true)?.remove(0).unwrap();
        let dd = grad(&[&d], &[&x, &w], None, false)?;
        dd.iter()
            .map(|d| d.as_ref().unwrap().item::<f64>())
            .collect()
    };
    for (a, b) in second(plain)?.iter().zip(second(spared)?) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }
    Ok(())
}

#[test]
fn a_checkpoint_draws_the_same_random_numbers() -> Result<()> {
    use gradus_tensor::random::{self, Rng};
    random::manual_seed(7);
    let x = leaf(1.0);
    let noise = |v: &[Var]| v[0].mul_scalar(random::with_default(Rng::next_f64));
    let y = checkpoint(noise, std::slice::from_ref(&x))?;
    let next = random::default_state();
    assert_eq!(value(y.backward()?.get(&x).unwrap()), y.item::<f64>()?);
    assert!(
        random::default_state() == next,
        "the backward must not advance the generator"
    );
    Ok(())
}

#[test]
fn gradients_are_contiguous_and_have_the_leaf_dtype() -> Result<()> {
    let x = Var::leaf(Tensor::ones([2, 3], DType::F32)?)?;
    let grads = x.sum(.., false)?.backward()?;
    let dx = grads.get(&x).unwrap();
    assert!(dx.is_contiguous());
    assert_eq!(dx.to_vec::<f32>()?, [1.0; 6]);
    let y = x
        .to_dtype(DType::F64)?
        .mul(&Var::from(Tensor::full([2, 3], 2.5, DType::F64)?))?
        .sum(.., false)?;
    assert_eq!(y.backward()?.get(&x).unwrap().to_vec::<f32>()?, [2.5; 6]);
    Ok(())
}

#[test]
fn leaves_are_told_as_soon_as_they_are_complete() -> Result<()> {
    let leaves = [2.0, 3.0, 0.5, 1.5].map(leaf);
    let [a, b, c, d] = &leaves;
    let names = ["a", "b", "c", "d"];
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |line: &'static str| order.lock().unwrap().push(line);
    let build = || -> Result<Var> {
        let first = a.mul(b)?.mul(a)?; // a² b
        let inner = first.tanh()?;
        let inner_log = Arc::clone(&order);
        inner.register_hook(move |_| {
            inner_log.lock().unwrap().push("inner");
            Ok(None)
        })?;
        // Whatever comes to the gate stays there, so that nobody can know that `d` is complete until the end.
        let behind = d.mul(&inner.detach())?;
        let gate = Op::new("gate")
            .inputs(&[&behind])
            .record(behind.value().clone(), |_, _| Ok([None]))?;
        inner.mul(c)?.add(&c.square()?)?.add(d)?.add(&gate)
    };
    let halve = c.register_hook(|g| Ok(Some(g.mul_scalar(0.5)?)))?;
    let told = Mutex::new(Vec::new());
    let gradients = build()?.backward_each(|id, grad| {
        let at = leaves.iter().position(|l| l.id() == Some(id)).unwrap();
        note(names[at]);
        told.lock().unwrap().push((id, value(grad)));
        Ok(())
    })?;
    // c, which the last layer uses, before the walk goes into the first one.
    assert_eq!(*order.lock().unwrap(), ["c", "inner", "b", "a", "d"]);
    // The same gradients as ever, in the same order, hooks included; and those told are those given.
    let plain = build()?.backward()?;
    let list = |g: &gradus_autograd::Gradients| -> Vec<(u64, f64)> {
        g.iter().map(|(id, t)| (id, value(t))).collect()
    };
    assert_eq!(list(&gradients), list(&plain));
    let mut told = told.into_inner().unwrap();
    told.sort_by_key(|(id, _)| *id);
    assert_eq!(told, list(&plain));
    halve.remove();
    assert_eq!(
        2.0 * value(plain.get(c).unwrap()),
        value(build()?.backward()?.get(c).unwrap())
    );
    // An error of the listener ends the walk.
    let error = build()?.backward_each(|_, _| Err(gradus_tensor::Error::value("", "enough")));
    assert!(error.unwrap_err().to_string().contains("enough"));
    Ok(())
}
