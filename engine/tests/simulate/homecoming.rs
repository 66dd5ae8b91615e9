//! After the load: everybody comes back and acknowledges, and nothing may be left.

use holdfast_protocol::backend::request::MailboxAction;

use crate::asking::What;
use crate::client::Client;
use crate::durable::User;
use crate::ledger::Identity;
use crate::phases;
use crate::plan::{PRODUCTS, SECOND, TAGS};
use crate::run::{Run, in_seconds};
use crate::seat::Seat;
use crate::storage::Storage;

/// How often every user is visited at most before what waits must be gone.
const ROUNDS: usize = 20;
/// Users of each product who come although nothing durable was pushed to them.
const OTHERS: usize = 10;
/// How long a visit lasts, in microseconds.
const VISIT: u64 = 2 * SECOND;
/// How long the store may take to find out that nothing is needed, in seconds.
const CLEANED: u64 = 120;

/// Has every user log in and acknowledge until the mailboxes are empty, and checks that what was
/// promised was kept.
pub(crate) fn everybody_takes_what_waits(run: &mut Run) -> Result<(), String> {
    if run.storage.is_none() {
        return Ok(());
    }
    let mut rounds = 0;
    let users = visited(run);
    while kept(run) > 0
        || !run.scene.ledger.durables.open(run.scene.now).is_empty()
        || missed(run, &users).is_some()
    {
        if rounds == ROUNDS {
            let open = run.scene.ledger.durables.open(run.scene.now);
            let missed = missed(run, &users);
            return Err(format!("{} messages stay; {:?}; {missed:?}", kept(run), open.first()));
        }
        rounds += 1;
        visit_all(run, &users)?;
    }
    run.clients.iter_mut().for_each(Client::end_errand);
    let settled = in_seconds(run, CLEANED);
    run.go_on(settled, phases::is_settled)?;
    let cleaned = in_seconds(run, CLEANED);
    let few = |run: &mut Run| run.storage.as_ref().is_none_or(Storage::is_small);
    if !run.go_on(cleaned, few)? {
        let left = run.storage.as_ref().map(Storage::figures);
        return Err(format!("too much is left of nothing: {left:?}"));
    }
    run.verdict()
}

/// Who comes: everybody who was ever sent anything durable, and some others.
fn visited(run: &Run) -> Vec<User> {
    let mut users = run.scene.ledger.durables.users();
    let some = (0..run.scene.plan.users.min(OTHERS)).map(|number| format!("user-{number}"));
    users.extend(some.flat_map(|user| (0..PRODUCTS.len()).map(move |it| (it, user.clone()))));
    users.sort();
    users.dedup();
    users
}

/// A user who has not had a durable broadcast, and which.
fn missed(run: &Run, users: &[User]) -> Option<(User, Vec<usize>)> {
    let owed = users.iter().map(|user| (user.clone(), run.scene.ledger.broadcasts.owed(user)));
    owed.into_iter().find(|(_, owed)| !owed.is_empty())
}

/// An operator lets everybody out of quarantine.
fn release(run: &mut Run, users: &[User]) -> Result<(), String> {
    for (product, user) in users {
        let release = What::Mailbox(MailboxAction::Release, *product, user.clone());
        let asker = run.backends.iter_mut().find(|one| one.waiting() == 0);
        if !asker.is_some_and(|backend| backend.ask(release, &mut run.scene)) {
            return Err("nobody can release a mailbox".to_owned());
        }
        let soon = run.scene.now + SECOND;
        run.go_on(soon, |run| run.backends.iter().all(|one| one.waiting() == 0))?;
    }
    Ok(())
}

fn visit_all(run: &mut Run, users: &[User]) -> Result<(), String> {
    if run.scene.plan.keeping.as_ref().is_some_and(|keeping| keeping.rounds < 1000) {
        release(run, users)?;
    }
    // Connections spread by chance, so a shard may get more than its share.
    let plan = &run.scene.plan;
    let fits = plan.clients.min((plan.connections_max / 2).max(1));
    for some in users.chunks(fits) {
        run.clients.iter_mut().for_each(|client| client.hang_up(&mut run.scene));
        for (client, (product, user)) in run.clients.iter_mut().zip(some) {
            let identity = Identity { product: *product, user: user.clone(), tags: TAGS.to_vec() };
            client.run_errand(identity, &mut run.scene);
        }
        run.stir();
        let until = run.scene.now + VISIT;
        run.go_on(until, |_| false)?;
    }
    Ok(())
}

fn kept(run: &Run) -> u64 {
    run.seats.iter().map(Seat::kept).sum()
}
