//! The null server's broadcasts: each is dealt out at its pace, a slice at a time, so that pushes
//! and pings go on between them.

use holdfast_protocol::backend::answer::{Job, JobState};
use holdfast_protocol::backend::request::{Broadcast, JobAction};
use holdfast_protocol::client::Class;
use holdfast_protocol::client::from_server::{self, Push};
use std::time::{Duration, Instant};

/// Clients that get a broadcast before others have their turn again.
const SLICE: u64 = 64;
/// How long a paced broadcast waits for what is due next, at most.
const NAP: Duration = Duration::from_millis(1);

/// All broadcasts that were started.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    all: Vec<Dealt>,
}

/// One broadcast.
#[derive(Debug)]
struct Dealt {
    job: Job,
    frame: Vec<u8>,
    /// Where the next client is.
    next: usize,
    /// Users a second; 0 for as fast as it goes.
    pace: u64,
    begun: Instant,
}

impl Jobs {
    /// Starts one to so many clients.
    pub(super) fn begin(&mut self, broadcast: &Broadcast<'_>, total: u64) -> Job {
        let number = self.all.len() as u64 + 1;
        let (mut frame, body) = (Vec::new(), broadcast.body);
        let push = Push {
            class: Class::Online,
            broadcast: true,
            redelivered: false,
            sequence: number,
            body,
        };
        from_server::put_push(&push, &mut frame);
        let state = JobState::Running;
        let job = Job { id: number, state, sequence: number, total, delivered: 0, dropped: 0 };
        let (pace, begun) = (pace(broadcast), Instant::now());
        self.all.push(Dealt { job, frame, next: 0, pace, begun });
        job
    }

    /// Steers one, and says how it stands; `None` if there is none of this number.
    pub(super) fn steer(&mut self, id: u64, action: JobAction) -> Option<Job> {
        let dealt = self.all.iter_mut().find(|dealt| dealt.job.id == id)?;
        if action == JobAction::Cancel && dealt.job.state == JobState::Running {
            dealt.job.state = JobState::Cancelled;
        }
        Some(dealt.job)
    }

    /// Hands the next of each broadcast that is due at `now` to `deliver`, which is told a place of
    /// 0 to `places` and says whether somebody is there. Gives how long to wait for more; `None`
    /// where nothing is under way.
    pub(super) fn deal(
        &mut self,
        now: Instant,
        places: usize,
        mut deliver: impl FnMut(usize, &[u8]) -> bool,
    ) -> Option<Duration> {
        let running = self.all.iter_mut().filter(|one| one.job.state == JobState::Running);
        running.map(|one| one.deal(now, places, &mut deliver)).min()
    }
}

impl Dealt {
    fn deal(
        &mut self,
        now: Instant,
        places: usize,
        deliver: &mut impl FnMut(usize, &[u8]) -> bool,
    ) -> Duration {
        let due = self.due(now);
        let until = due.min(self.job.delivered + SLICE);
        while self.job.delivered < until && self.next < places {
            self.job.delivered += u64::from(deliver(self.next, &self.frame));
            self.next += 1;
        }
        if self.next >= places {
            self.job.state = JobState::Done;
        }
        if self.job.delivered < due { Duration::ZERO } else { NAP }
    }

    /// How many may have it by now.
    fn due(&self, now: Instant) -> u64 {
        if self.pace == 0 {
            return u64::MAX;
        }
        let passed = now.saturating_duration_since(self.begun).as_micros();
        u64::try_from(passed * u128::from(self.pace) / 1_000_000).unwrap_or(u64::MAX)
    }
}

/// Users a second, of the two paces the slower one.
fn pace(broadcast: &Broadcast<'_>) -> u64 {
    let bits = broadcast.body.len() as u64 * 8;
    let by_bits = match broadcast.bits_per_second {
        0 => 0,
        asked => (asked / bits.max(1)).max(1),
    };
    match (u64::from(broadcast.users_per_second), by_bits) {
        (0, one) | (one, 0) => one,
        (one, other) => one.min(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broadcast(users_per_second: u32, bits_per_second: u64) -> Broadcast<'static> {
        Broadcast {
            product: "p",
            tag: "",
            class: Class::Online,
            ttl: 0,
            users_per_second,
            bits_per_second,
            key: &[],
            body: &[7; 125],
        }
    }

    /// Everybody of 300 places but every third is there.
    fn deal(jobs: &mut Jobs, now: Instant) -> (u64, Option<Duration>) {
        let mut came = 0;
        let wait = jobs.deal(now, 300, |place, _| {
            came += u64::from(place % 3 != 0);
            place % 3 != 0
        });
        (came, wait)
    }

    #[test]
    fn a_broadcast_goes_to_everybody_who_is_there_a_slice_at_a_time() {
        let mut jobs = Jobs::default();
        let id = jobs.begin(&broadcast(0, 0), 200).id;
        let mut came = Vec::new();
        while let (some, Some(wait)) = deal(&mut jobs, Instant::now()) {
            assert!(wait == Duration::ZERO || some < SLICE, "{wait:?}");
            came.push(some);
        }
        assert_eq!(came, [64, 64, 64, 8]);
        let job = jobs.steer(id, JobAction::Status).unwrap();
        assert_eq!((job.state, job.delivered), (JobState::Done, 200));
        assert_eq!(jobs.steer(9, JobAction::Status), None);
    }

    #[test]
    fn a_pace_is_kept_and_a_cancelled_one_goes_no_further() {
        let mut jobs = Jobs::default();
        // 125 bytes are 1,000 bits: 40 users a second, less than the 100 of the other pace.
        let id = jobs.begin(&broadcast(100, 40_000), 200).id;
        let begun = jobs.all[0].begun;
        assert_eq!(deal(&mut jobs, begun), (0, Some(NAP)));
        assert_eq!(deal(&mut jobs, begun + Duration::from_millis(500)), (20, Some(NAP)));
        jobs.steer(id, JobAction::Cancel);
        assert_eq!(deal(&mut jobs, begun + Duration::from_secs(9)), (0, None));
    }
}
