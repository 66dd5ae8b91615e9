//! Descriptor tables of a thread's own.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use holdfast::io::table::{own_descriptor_table, pin_to_core};
use holdfast::io::wake::WakeFd;
use holdfast::io::{Event, Wake};

use crate::harness::{Bench, World};

pub(crate) fn a_wake_up_crosses_tables<W: World>() {
    let wake = WakeFd::new().unwrap();
    let kept = wake.clone();
    let (told, tells) = std::sync::mpsc::channel();
    let shard = std::thread::spawn(move || {
        own_descriptor_table(&[kept.as_fd()]).unwrap();
        let mut world = W::make(Vec::new(), kept);
        told.send(()).unwrap();
        let mut events = Vec::new();
        while events.is_empty() {
            world.wait(None, &mut events).unwrap();
        }
        assert!(matches!(events[..], [Event::Woken]));
    });
    tells.recv().unwrap();
    wake.wake();
    shard.join().unwrap();
    // A whole connection in a table of its own.
    std::thread::spawn(|| {
        own_descriptor_table(&[]).unwrap();
        let mut bench = Bench::<W>::new();
        let _pair = bench.pair();
    })
    .join()
    .unwrap();
}

#[test]
fn a_split_table_holds_what_was_kept_and_no_more() {
    let first = WakeFd::new().unwrap();
    let between = File::open("/dev/null").unwrap();
    let second = WakeFd::new().unwrap();
    let number = between.as_raw_fd();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            own_descriptor_table(&[second.as_fd(), first.as_fd()]).unwrap();
            let mut open: Vec<i32> = (0..1024).filter(|fd| is_open(*fd)).collect();
            open.retain(|fd| *fd > 2);
            let mut kept = vec![first.as_fd().as_raw_fd(), second.as_fd().as_raw_fd()];
            kept.sort_unstable();
            assert_eq!(open, kept);
        });
    });
    assert!(is_open(number), "the split closed a descriptor of another table");
}

#[test]
fn a_thread_is_pinned_to_a_core_it_has() {
    std::thread::spawn(|| {
        let allowed = rustix::thread::sched_getaffinity(None).unwrap();
        let core = (0..1024).find(|core| allowed.is_set(*core)).unwrap();
        pin_to_core(core).unwrap();
        assert_eq!(rustix::thread::sched_getaffinity(None).unwrap().count(), 1);
        assert!(pin_to_core(1023).is_err());
        assert!(pin_to_core(usize::MAX).is_err());
    })
    .join()
    .unwrap();
}

fn is_open(fd: i32) -> bool {
    let path = format!("/proc/thread-self/fd/{fd}");
    std::fs::symlink_metadata(path).is_ok()
}
