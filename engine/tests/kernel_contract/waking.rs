//! Wake-ups and the time that a wait takes.

use std::time::{Duration, Instant};

use holdfast::io::{Event, Wake};

use crate::harness::{Bench, PATIENCE, World};

pub(crate) fn a_wake_up_before_the_wait_is_not_lost<W: World>() {
    let mut bench = Bench::<W>::new();
    for _ in 0..3 {
        bench.world.waker().wake();
        bench.world.waker().wake();
        assert!(matches!(bench.next(), Event::Woken));
        bench.quiet();
    }
}

pub(crate) fn a_wake_up_ends_a_wait<W: World>() {
    let mut bench = Bench::<W>::new();
    let waker = bench.world.waker();
    let waking = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        waker.wake();
    });
    let mut events = Vec::new();
    while events.is_empty() {
        bench.world.wait(None, &mut events).unwrap();
    }
    assert!(matches!(events[..], [Event::Woken]));
    waking.join().unwrap();
}

pub(crate) fn wake_ups_never_stop_coming<W: World>() {
    const ROUNDS: u32 = 20_000;
    let mut bench = Bench::<W>::new();
    let waker = bench.world.waker();
    let (done, finished) = std::sync::mpsc::sync_channel(0);
    let waking = std::thread::spawn(move || {
        for _ in 0..ROUNDS {
            waker.wake();
            // The other side took it: one that is lost would wait here for ever.
            finished.recv().unwrap();
        }
    });
    for _ in 0..ROUNDS {
        assert!(matches!(bench.next(), Event::Woken));
        done.send(()).unwrap();
    }
    waking.join().unwrap();
}

pub(crate) fn a_wait_ends_after_its_timeout<W: World>() {
    let mut bench = Bench::<W>::new();
    let mut events = Vec::new();
    // The first wait may find the kernel's own settling in.
    bench.world.wait(Some(Duration::ZERO), &mut events).unwrap();
    let timeout = Duration::from_millis(25);
    let before = Instant::now();
    bench.world.wait(Some(timeout), &mut events).unwrap();
    assert!(before.elapsed() >= timeout, "{:?}", before.elapsed());
    assert!(before.elapsed() < PATIENCE, "{:?}", before.elapsed());
    let before = Instant::now();
    for _ in 0..100 {
        bench.world.wait(Some(Duration::ZERO), &mut events).unwrap();
    }
    assert!(before.elapsed() < PATIENCE, "{:?}", before.elapsed());
    assert!(events.is_empty());
}
