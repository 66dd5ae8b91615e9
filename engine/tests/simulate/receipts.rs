//! What backends are told later of messages that were stored: the truth, and once.
//!
//! After a restart a receipt may come once more where the store may not have been told that it was
//! sent: it went out moments before a crash, or the disk was not well. The store is never told of a
//! message that went out of date behind an older one that waits.

use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::DropReason;

use super::{Account, Durables, Judged, Message, SAFE, Told, User};

impl Durables {
    /// A backend is told what became of a message later.
    pub(crate) fn receipt(
        &mut self,
        user: &User,
        sequence: u64,
        outcome: Outcome,
        told: Told,
    ) -> Judged {
        let (told, now) = (self.dated(told), told.1);
        self.judge_receipt(user, sequence, (outcome, told))?;
        let account = self.account(user);
        let acked = account.acked;
        account.receipts.insert((sequence, told.0), (outcome, told.1));
        let id = account.by_sequence.get(&sequence).copied();
        let message = id.and_then(|id| self.message(id));
        let fair = match outcome {
            Outcome::Acked(same) => same == sequence && acked >= sequence,
            Outcome::Expired => message.is_none_or(|message| message.may_be_expired(now)),
            Outcome::Dropped(DropReason::MadeRoom) => {
                message.is_none_or(|message| self.may_have_made_room(message))
            }
            Outcome::Dropped(DropReason::Purged) => {
                message.is_none_or(|message| self.may_be_purged(message))
            }
            _ => false,
        };
        if !fair {
            return Err(format!("{user:?} {sequence} has the receipt {outcome:?}: {message:?}"));
        }
        if let Some(message) = id.and_then(|id| self.message_mut(id))
            && matches!(outcome, Outcome::Acked(_))
        {
            message.told_acked.get_or_insert(told);
        }
        Ok(())
    }

    /// A receipt comes once, and once more where a restart may have forgotten it.
    fn judge_receipt(
        &self,
        user: &User,
        sequence: u64,
        (outcome, told): (Outcome, Told),
    ) -> Judged {
        let Some(account) = self.accounts.get(user) else { return Ok(()) };
        for (&(_, life), before) in account.receipts.range((sequence, 0)..=(sequence, u32::MAX)) {
            let earlier = life < told.0;
            let (what, first) =
                if earlier { (before.0, (life, before.1)) } else { (outcome, told) };
            let stays = what == Outcome::Expired && self.may_have_waited(account, sequence, first);
            if life == told.0 || !(stays || self.may_have_lost(first, SAFE)) {
                return Err(format!(
                    "{user:?} {sequence} has two receipts: {before:?} in life {life}, {outcome:?}"
                ));
            }
        }
        Ok(())
    }

    /// Whether an older message than this may have waited at that time.
    fn may_have_waited(&self, account: &Account, sequence: u64, (_, at): Told) -> bool {
        let known = |told: Told| told.1 <= at && !self.may_have_lost(told, SAFE);
        let heard = account.heard.iter().filter(|heard| known(heard.told));
        let heard = heard.map(|heard| heard.sequence).max().unwrap_or(0);
        let older = |message: &Message| {
            // One that nobody has seen may have any sequence.
            let mut seen = message.seen.iter().map(|seen| seen.sequence);
            message.seen.is_empty() || seen.any(|it| it > heard && it < sequence)
        };
        let all = account.durable.iter().filter_map(|&id| self.message(id));
        all.filter(|message| message.asked <= at && older(message))
            .any(|message| !message.told_acked.is_some_and(known) && !message.may_be_expired(at))
    }
}
