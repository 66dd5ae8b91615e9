//! Durable broadcasts for who was not there: each is kept until its time to live ends, and a user
//! who logs in gets what the user has not had.
//!
//! Every shard has all of them, for its sessions; who has had which is known at the users' homes.
//! Pure: the shard sends.

use crate::directory::place::FixedState;
use holdfast_protocol::backend::JobId;
use holdfast_protocol::client::{Class, Push, from_server};
use holdfast_store::{Broadcast, BroadcastState};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// One durable broadcast.
#[derive(Debug)]
pub struct Notice {
    /// What it is.
    pub broadcast: Arc<Broadcast>,
    /// How it stands now.
    pub state: BroadcastState,
    /// The whole frame.
    pub frame: Arc<[u8]>,
    /// Users whose home is here and who have had it, by hash.
    seen: HashSet<u64, FixedState>,
    /// The oldest segment in which the store has who has had it.
    segment: u32,
}

impl Notice {
    fn new(broadcast: Arc<Broadcast>) -> Self {
        let frame = frame(&broadcast, false);
        let state = broadcast.state;
        Self { broadcast, state, frame, seen: HashSet::default(), segment: 0 }
    }

    /// The frame for somebody who may have had it.
    pub fn frame_again(&self) -> Arc<[u8]> {
        frame(&self.broadcast, true)
    }
}

fn frame(broadcast: &Broadcast, redelivered: bool) -> Arc<[u8]> {
    let push = Push {
        class: Class::Durable,
        broadcast: true,
        redelivered,
        sequence: broadcast.number,
        body: &broadcast.body,
    };
    let mut frame = Vec::with_capacity(broadcast.body.len() + 12);
    from_server::put_push(&push, &mut frame);
    frame.into()
}

/// What a user has had, as the user's home and the client say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Had {
    /// Numbers that were written to the user before.
    pub numbers: Vec<u64>,
    /// The greatest number that the client says it has dealt with; 0 where it does not say.
    pub said: u64,
    /// Whether the store could not be asked, so that the user may have had others too.
    pub unsure: bool,
}

/// Whether a session gets a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It has had it.
    No,
    /// It has not.
    Fresh,
    /// It was written before, and the client does not know of it.
    Again,
}

/// The durable broadcasts of all products.
#[derive(Debug)]
pub struct Notices {
    products: Vec<Vec<Notice>>,
    /// The greatest number of each product that was ever here.
    latest: Vec<u64>,
    /// The numbers of each product's, shared by those who ask while they stay the same.
    numbers: Vec<Option<Arc<[u64]>>>,
    /// Who has had one that has not come here yet: product, number, user. Another shard may be
    /// ahead by a turn.
    early: Vec<(u16, u64, u64)>,
    /// Idempotency keys, the oldest first; at the owner alone, and after a restart everywhere. They
    /// outlive what is cancelled or out of date.
    keys: VecDeque<UsedKey>,
}

/// The idempotency key of a broadcast.
#[derive(Debug)]
struct UsedKey {
    product: u16,
    key: Box<[u8]>,
    job: JobId,
    at: u32,
}

impl Notices {
    /// None yet, of so many products.
    pub fn new(products: usize) -> Self {
        let products = (0..products).map(|_| Vec::new()).collect::<Vec<_>>();
        Self {
            latest: vec![0; products.len()],
            numbers: vec![None; products.len()],
            products,
            early: Vec::new(),
            keys: VecDeque::new(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.products.iter().all(Vec::is_empty)
    }

    /// Those of a product, by number.
    pub fn of(&self, product: u16) -> &[Notice] {
        self.products.get(usize::from(product)).map_or(&[], Vec::as_slice)
    }

    /// The numbers of a product's, ascending.
    pub fn numbers(&mut self, product: u16) -> Arc<[u64]> {
        let notices = self.products.get(usize::from(product)).map_or(&[][..], Vec::as_slice);
        let all = || notices.iter().map(|notice| notice.broadcast.number).collect();
        match self.numbers.get_mut(usize::from(product)) {
            Some(numbers) => Arc::clone(numbers.get_or_insert_with(all)),
            None => all(),
        }
    }

    /// All of them.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Notice> {
        self.products.iter_mut().flatten()
    }

    /// Takes one that begins, in place of what was known of it; gives who has had it already.
    pub fn begin(&mut self, broadcast: Arc<Broadcast>) -> Vec<u64> {
        let Broadcast { product, number, .. } = *broadcast;
        let Some(notices) = self.products.get_mut(usize::from(product)) else { return Vec::new() };
        let mut notice = Notice::new(broadcast);
        let of_it = |early: &(u16, u64, u64)| (early.0, early.1) == (product, number);
        let users: Vec<u64> = self.early.iter().filter(|it| of_it(it)).map(|it| it.2).collect();
        notice.seen.extend(&users);
        let at = notices.partition_point(|earlier| earlier.broadcast.number < number);
        match notices.get_mut(at).filter(|known| known.broadcast.number == number) {
            Some(known) => {
                notice.seen.extend(known.seen.drain());
                *known = notice;
            }
            None => notices.insert(at, notice),
        }
        self.numbers[usize::from(product)] = None;
        self.early.retain(|early| !of_it(early));
        let latest = &mut self.latest[usize::from(product)];
        *latest = number.max(*latest);
        users
    }

    /// Takes one of an earlier life.
    pub fn recover(&mut self, broadcast: Broadcast) {
        let product = usize::from(broadcast.product);
        let Some(notices) = self.products.get_mut(product) else { return };
        self.latest[product] = broadcast.number.max(self.latest[product]);
        if !broadcast.key.is_empty() {
            let Broadcast { product, ref key, job, at, .. } = broadcast;
            self.keys.push_back(UsedKey { product, key: key.clone(), job, at });
        }
        if broadcast.state == BroadcastState::Cancelled {
            return;
        }
        notices.push(Notice::new(Arc::new(broadcast)));
        notices.sort_by_key(|notice| notice.broadcast.number);
        self.numbers[product] = None;
    }

    /// Takes one that another host began, unless it is known.
    pub fn learn(&mut self, broadcast: &Arc<Broadcast>) {
        if self.find(broadcast.product, broadcast.number).is_none() {
            self.begin(Arc::clone(broadcast));
        }
    }

    /// The one of this number.
    pub fn find(&self, product: u16, number: u64) -> Option<&Notice> {
        let notices = self.of(product);
        let at = notices.partition_point(|notice| notice.broadcast.number < number);
        notices.get(at).filter(|notice| notice.broadcast.number == number)
    }

    /// One of this job.
    pub fn by_job(&mut self, job: JobId) -> Option<&mut Notice> {
        self.all_mut().find(|notice| notice.broadcast.job == job)
    }

    /// The job with this idempotency key that was accepted at the second `since` or later; forgets
    /// older ones.
    pub fn by_key(&mut self, product: u16, key: &[u8], since: u32) -> Option<JobId> {
        while self.keys.front().is_some_and(|used| used.at < since) {
            self.keys.pop_front();
        }
        let same = |used: &&UsedKey| used.product == product && *used.key == *key;
        self.keys.iter().find(same).map(|used| used.job)
    }

    /// A job with a key begins, at its owner.
    pub fn use_key(&mut self, broadcast: &Broadcast) {
        let Broadcast { product, ref key, job, at, .. } = *broadcast;
        if !key.is_empty() {
            self.keys.push_back(UsedKey { product, key: key.clone(), job, at });
        }
    }

    /// A job could not be kept: its key may be used again.
    pub fn forget_key(&mut self, job: JobId) {
        self.keys.retain(|used| used.job != job);
    }

    /// It is steered.
    pub fn steer(&mut self, job: JobId, state: BroadcastState) {
        if let Some(notice) = self.by_job(job) {
            notice.state = state;
        }
        if state == BroadcastState::Cancelled {
            for (notices, numbers) in self.products.iter_mut().zip(&mut self.numbers) {
                notices.retain(|notice| notice.broadcast.job != job);
                *numbers = None;
            }
        }
    }

    /// Gives up those whose time to live ended before the second `unix`; whether there were any.
    pub fn expire(&mut self, unix: u32) -> bool {
        let mut any = false;
        for (notices, numbers) in self.products.iter_mut().zip(&mut self.numbers) {
            let before = notices.len();
            notices.retain(|notice| notice.broadcast.expires >= unix);
            if notices.len() < before {
                *numbers = None;
                any = true;
            }
        }
        any
    }

    /// A user whose home is here has had one; whether that is news.
    pub fn saw(&mut self, product: u16, number: u64, user: u64) -> Option<u32> {
        let notices = self.products.get_mut(usize::from(product))?;
        let Some(notice) = notices.iter_mut().find(|it| it.broadcast.number == number) else {
            if number > self.latest[usize::from(product)] {
                self.early.push((product, number, user));
            }
            return None;
        };
        notice.seen.insert(user).then_some(notice.broadcast.expires)
    }

    /// Which of them a user whose home is here has had; `None` where there are none at all.
    pub fn had(&self, product: u16, user: u64, said: u64) -> Option<Box<Had>> {
        let notices = self.of(product);
        // The session's shard may know of one that has not come here yet.
        let early = self.early.iter().filter(|it| (it.0, it.2) == (product, user)).map(|it| it.1);
        let seen = notices.iter().filter(|notice| notice.seen.contains(&user));
        let numbers: Vec<_> = seen.map(|notice| notice.broadcast.number).chain(early).collect();
        if notices.is_empty() && numbers.is_empty() {
            return None;
        }
        Some(Box::new(Had { numbers, said, unsure: false }))
    }

    /// Whether a session whose user has had `had` gets a broadcast of its product.
    pub fn due(&self, notice: &Notice, had: &Had) -> Due {
        let number = notice.broadcast.number;
        let latest = self.of(notice.broadcast.product).last();
        let latest = latest.map_or(0, |latest| latest.broadcast.number);
        let written = had.numbers.contains(&number);
        // A number that was never given says nothing.
        let said = if had.said > latest { 0 } else { had.said };
        // One may overtake another, so a greater number does not speak for the smaller ones.
        match written {
            // The record of it may have gone with a process; the client's own word is as good.
            false if number == said => Due::No,
            false => Due::Fresh,
            true if said > 0 && number > said => Due::Again,
            true => Due::No,
        }
    }

    /// Who has had what of which the store says so only in segments up to `upto`: to be said
    /// again. From now on it is in `segment` or a later one.
    pub fn rewrite(&mut self, upto: u32, segment: u32) -> Vec<holdfast_store::Seen> {
        let old = self.all_mut().filter(|it| it.segment <= upto && !it.seen.is_empty());
        old.map(|notice| {
            notice.segment = segment;
            let Broadcast { product, number, expires, .. } = *notice.broadcast;
            let users = notice.seen.iter().copied().collect();
            holdfast_store::Seen { product, number, until: expires, users }
        })
        .collect()
    }

    /// The memory of all: bodies, and who has had them.
    pub fn memory(&self) -> usize {
        let all = self.products.iter().flatten();
        all.map(|notice| notice.frame.len() * 2 + notice.seen.capacity() * 9).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broadcast(number: u64) -> Arc<Broadcast> {
        Arc::new(Broadcast {
            product: 0,
            number,
            job: 100 + number,
            tag: "".into(),
            at: 1000,
            expires: 2000,
            state: BroadcastState::Running,
            key: Box::from(*b"key"),
            body: Arc::from(*b"body"),
        })
    }

    fn notices(numbers: &[u64]) -> Notices {
        let mut notices = Notices::new(1);
        for &number in numbers {
            notices.begin(broadcast(number));
        }
        notices
    }

    fn due(notices: &Notices, numbers: &[u64], said: u64) -> Vec<Due> {
        let had = Had { numbers: numbers.to_vec(), said, unsure: false };
        notices.of(0).iter().map(|notice| notices.due(notice, &had)).collect()
    }

    #[test]
    fn a_user_gets_what_it_has_not_had() {
        let mut notices = notices(&[5, 6]);
        assert_eq!(notices.saw(0, 5, 77), Some(2000));
        assert_eq!(notices.saw(0, 5, 77), None, "that is no news");
        let had = notices.had(0, 77, 0).unwrap();
        assert_eq!(had.numbers, [5]);
        assert_eq!(due(&notices, &had.numbers, 0), [Due::No, Due::Fresh]);
    }

    #[test]
    fn who_had_it_before_it_came_here_is_not_forgotten() {
        let mut notices = notices(&[5]);
        assert_eq!(notices.saw(0, 6, 77), None);
        assert_eq!(notices.saw(0, 4, 77), None, "that one has gone");
        assert_eq!(notices.had(0, 77, 0).unwrap().numbers, [6], "a login may come first");
        assert_eq!(notices.begin(broadcast(6)), [77]);
        assert_eq!(notices.had(0, 77, 0).unwrap().numbers, [6]);
        assert!(notices.early.is_empty());
    }

    #[test]
    fn one_that_begins_twice_is_there_once() {
        let mut notices = notices(&[5, 6]);
        notices.saw(0, 5, 77);
        notices.begin(broadcast(5));
        assert_eq!(notices.numbers(0)[..], [5, 6]);
        assert_eq!(notices.had(0, 77, 0).unwrap().numbers, [5], "who has had it is not forgotten");
    }

    #[test]
    fn the_numbers_are_those_that_are_there_now() {
        let mut notices = notices(&[5, 6]);
        assert_eq!(notices.numbers(0)[..], [5, 6]);
        notices.begin(broadcast(4));
        assert_eq!(notices.numbers(0)[..], [4, 5, 6]);
        notices.steer(105, BroadcastState::Cancelled);
        assert_eq!(notices.numbers(0)[..], [4, 6]);
        notices.expire(2001);
        assert!(notices.numbers(0).is_empty());
    }

    #[test]
    fn what_was_written_and_lost_comes_again_where_the_client_says_so() {
        let notices = notices(&[5, 6, 7]);
        assert_eq!(due(&notices, &[5, 6, 7], 6), [Due::No, Due::No, Due::Again]);
        assert_eq!(due(&notices, &[7], 7), [Due::Fresh, Due::Fresh, Due::No]);
        assert_eq!(due(&notices, &[5, 6], 8), [Due::No, Due::No, Due::Fresh], "8 was never given");
        assert_eq!(due(&notices, &[5], 0), [Due::No, Due::Fresh, Due::Fresh]);
        assert_eq!(due(&notices, &[], 6), [Due::Fresh, Due::No, Due::Fresh], "it has had 6");
    }

    #[test]
    fn what_is_paused_is_known_and_what_is_cancelled_is_gone() {
        let mut notices = notices(&[6, 5]);
        notices.steer(105, BroadcastState::Paused);
        let state = |notices: &Notices, number| notices.find(0, number).map(|notice| notice.state);
        assert_eq!(state(&notices, 5), Some(BroadcastState::Paused));
        assert_eq!(state(&notices, 6), Some(BroadcastState::Running));
        notices.steer(105, BroadcastState::Cancelled);
        assert_eq!((state(&notices, 5), notices.of(0).len()), (None, 1));
    }

    #[test]
    fn they_end_with_their_time_to_live() {
        let mut notices = notices(&[5]);
        assert!(!notices.expire(2000));
        assert!(!notices.is_empty());
        assert!(notices.expire(2001));
        assert!(notices.is_empty());
    }

    #[test]
    fn a_key_finds_its_job_within_its_window() {
        let mut notices = notices(&[5]);
        notices.use_key(&broadcast(5));
        notices.steer(105, BroadcastState::Cancelled);
        assert_eq!(notices.by_key(0, b"key", 1000), Some(105), "also once it is cancelled");
        assert_eq!(notices.by_key(0, b"", 1000), None);
        assert_eq!(notices.by_key(0, b"key", 1001), None);
        assert_eq!(notices.by_key(0, b"key", 1000), None, "it was forgotten");
    }

    #[test]
    fn who_has_had_it_is_said_again_before_its_segment_goes() {
        let mut notices = notices(&[5]);
        notices.saw(0, 5, 77);
        let again = notices.rewrite(3, 4);
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].number, &again[0].users[..]), (5, &[77][..]));
        assert!(notices.rewrite(3, 5).is_empty());
    }
}
