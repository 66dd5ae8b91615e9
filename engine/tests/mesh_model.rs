//! The ring between two shards and the sleep of its consumer, under every interleaving and every
//! order of memory that the language allows.
//!
//! The engine's own files are compiled here a second time, with the model checker's atomics and
//! cells in place of `std`'s. Two faults are planted to show that the models would find them:
//! telling of items without order, and going to sleep without a second look.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]
#![allow(missing_docs, reason = "tests are named after what they show")]

use holdfast::io::Wake;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use self::sleep::{Doorbell, Sleeper};
use self::spsc::{Consumer, ring};

#[allow(dead_code, unreachable_pub, reason = "the engine's file, of which models use a part")]
#[path = "../src/io/sleep.rs"]
mod sleep;
#[allow(dead_code, unreachable_pub, reason = "the engine's file, of which models use a part")]
#[path = "../src/io/spsc.rs"]
mod spsc;

/// What the two files use in place of `io/sync.rs`.
mod sync {
    use std::cell::Cell;

    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::Arc;
    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering, fence};

    thread_local! {
        /// Whether the stores of this model have lost their order. A model stays on one thread.
        pub(crate) static SPOILT: Cell<bool> = const { Cell::new(false) };
    }

    /// The checker's, with the fault that [`SPOILT`] plants.
    #[derive(Debug)]
    pub(crate) struct AtomicUsize(loom::sync::atomic::AtomicUsize);

    impl AtomicUsize {
        pub(crate) fn new(value: usize) -> Self {
            Self(loom::sync::atomic::AtomicUsize::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> usize {
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: usize, order: Ordering) {
            self.0.store(value, if SPOILT.get() { Ordering::Relaxed } else { order });
        }
    }
}

/// All interleavings with at most three preemptions: what more would find is known to be rare, and
/// it takes minutes.
fn bounded() -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder
}

/// A wake-up that the model knows: waiting without one is a deadlock, which fails the model.
#[derive(Clone)]
struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new())))
    }

    fn wait(&self) {
        let mut rung = self.0.0.lock().unwrap();
        while !*rung {
            rung = self.0.1.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }
}

#[test]
fn each_item_arrives_once_and_in_order() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let sender = thread::spawn(move || {
            // The third finds room only where the consumer gave some back.
            let pushed = (0..3).take_while(|item| {
                let room = producer.push(*item).is_ok();
                producer.publish();
                room
            });
            pushed.count()
        });
        let mut seen = Vec::new();
        for _ in 0..2 {
            assert!(consumer.take(1, |item| seen.push(item)) <= 1);
        }
        let pushed = sender.join().unwrap();
        consumer.take(3, |item| seen.push(item));
        assert_eq!(seen, (0..3).take(pushed).collect::<Vec<_>>());
        assert_eq!(consumer.waiting(), 0);
    });
}

#[test]
fn what_is_left_is_dropped_once_whoever_ends_last() {
    loom::model(|| {
        let witness = std::sync::Arc::new(());
        let (mut producer, mut consumer) = ring(4);
        let mut items: Vec<_> = (0..3).map(|_| std::sync::Arc::clone(&witness)).collect();
        let sender = thread::spawn(move || {
            producer.push(items.pop().unwrap()).unwrap();
            producer.publish();
            producer.push(items.pop().unwrap()).unwrap();
            drop(producer);
            drop(items);
        });
        consumer.take(1, drop);
        drop(consumer);
        sender.join().unwrap();
        assert_eq!(std::sync::Arc::strong_count(&witness), 1);
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn the_model_finds_items_told_of_without_order() {
    sync::SPOILT.set(true);
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let sender = thread::spawn(move || {
            producer.push(0).unwrap();
            producer.publish();
            producer
        });
        consumer.take(1, drop);
        drop(sender.join().unwrap());
    });
}

/// A shard that sleeps whenever its rings are empty, until it has `count` items of each.
fn serve(sleeper: &Sleeper, bell: &Bell, rings: &mut [Consumer<u32>], count: u32) {
    let mut left = count * u32::try_from(rings.len()).unwrap();
    while left > 0 {
        for ring in &mut *rings {
            ring.take(8, |_| left -= 1);
        }
        if left == 0 {
            break;
        }
        sleeper.announce();
        if rings.iter_mut().any(|ring| ring.waiting() > 0) {
            sleeper.awake();
            continue;
        }
        bell.wait();
        sleeper.awake();
    }
}

fn sleep_model(producers: usize, items: u32) {
    bounded().check(move || {
        let (bell, sleeper) = (Bell::new(), std::sync::Arc::new(Sleeper::new()));
        let rung = Arc::new(AtomicUsize::new(0));
        let mut consumers = Vec::new();
        let mut senders = Vec::new();
        for _ in 0..producers {
            let (mut producer, consumer) = ring(2);
            consumers.push(consumer);
            let doorbell = Doorbell::new(sleeper.clone(), bell.clone());
            let rung = Arc::clone(&rung);
            senders.push(thread::spawn(move || {
                for item in 0..items {
                    producer.push(item).unwrap();
                    producer.publish();
                    if doorbell.ring() {
                        rung.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }));
        }
        serve(&sleeper, &bell, &mut consumers, items);
        for sender in senders {
            sender.join().unwrap();
        }
        // Never more wake-ups than items; that none is missing, the end itself shows.
        assert!(rung.load(Ordering::Relaxed) <= producers * items as usize);
    });
}

#[test]
fn no_wake_up_is_lost_with_one_neighbour() {
    sleep_model(1, 2);
}

#[test]
fn no_wake_up_is_lost_with_two_neighbours() {
    sleep_model(2, 1);
}

/// One item and one sleep. What the sleeper would wait for is looked at once the producer is done,
/// so that a lost wake-up is a failed assertion, not a deadlock.
fn one_sleep(look_again: bool) {
    loom::model(move || {
        let (bell, sleeper) = (Bell::new(), std::sync::Arc::new(Sleeper::new()));
        let (mut producer, mut consumer) = ring(2);
        let doorbell = Doorbell::new(sleeper.clone(), bell.clone());
        let sender = thread::spawn(move || {
            producer.push(7).unwrap();
            producer.publish();
            doorbell.ring();
        });
        if consumer.take(1, drop) == 0 {
            sleeper.announce();
            let seen = look_again && consumer.waiting() > 0;
            sender.join().unwrap();
            let rung = *bell.0.0.lock().unwrap();
            assert!(seen || rung, "a wake-up is lost");
        } else {
            sender.join().unwrap();
        }
    });
}

#[test]
fn a_sleeper_that_looks_again_is_woken_or_sees() {
    one_sleep(true);
}

#[test]
#[should_panic(expected = "a wake-up is lost")]
fn the_model_finds_a_sleep_without_a_second_look() {
    one_sleep(false);
}

/// The same file with `std`'s types, as the engine has it.
mod as_built {
    use std::sync::Arc;

    use holdfast::io::spsc::ring;

    #[test]
    fn nothing_is_seen_before_it_is_published() {
        let (mut producer, mut consumer) = ring(4);
        producer.push(1).unwrap();
        assert_eq!(consumer.waiting(), 0);
        assert!(producer.publish());
        assert!(!producer.publish());
        assert_eq!(consumer.waiting(), 1);
    }

    #[test]
    fn a_full_ring_gives_the_item_back() {
        let (mut producer, mut consumer) = ring(3);
        for item in 0..4 {
            producer.push(item).unwrap();
        }
        assert_eq!(producer.push(4), Err(4));
        producer.publish();
        let mut seen = Vec::new();
        assert_eq!(consumer.take(3, |item| seen.push(item)), 3);
        assert_eq!(seen, [0, 1, 2]);
        assert_eq!(producer.room(), 3);
    }

    #[test]
    fn what_is_left_is_dropped_once() {
        let witness = Arc::new(());
        let (mut producer, mut consumer) = ring(8);
        for _ in 0..6 {
            producer.push(Arc::clone(&witness)).unwrap();
        }
        producer.publish();
        producer.push(Arc::clone(&witness)).unwrap();
        consumer.take(2, drop);
        assert_eq!(Arc::strong_count(&witness), 6);
        drop(consumer);
        drop(producer);
        assert_eq!(Arc::strong_count(&witness), 1);
    }

    #[test]
    fn a_million_items_cross_in_order() {
        let (mut producer, mut consumer) = ring(64);
        let sender = std::thread::spawn(move || {
            for item in 0..1_000_000_u32 {
                while producer.push(item).is_err() {
                    producer.publish();
                    std::thread::yield_now();
                }
                if item % 16 == 0 {
                    producer.publish();
                }
            }
        });
        let mut next = 0;
        while next < 1_000_000 {
            let taken = consumer.take(32, |item| {
                assert_eq!(item, next);
                next += 1;
            });
            if taken == 0 {
                std::thread::yield_now();
            }
        }
        sender.join().unwrap();
    }
}
