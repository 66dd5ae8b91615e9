//! Changes the host back.

use crate::change::{Failed, NR_OPEN, all_or, is_moved_by_the_kernel, turn};
use crate::host::{CARD, Host};
use crate::persist::LIMITS;
use crate::record::{Record, Setting, Written, is_of_a_card};
use crate::want::in_few_words;
use std::collections::HashSet;
use std::io;

/// Stands above what was left.
pub const LEFT: &str = "left, since somebody has changed it since `apply`:";

/// What was put back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// Settings.
    pub settings: usize,
    /// Files.
    pub files: Vec<String>,
    /// What was left, since somebody has changed it since; in words.
    pub left: Vec<String>,
}

/// Puts back what was there before the first change. What somebody has changed since is left, and
/// stays in the record, unless it is done by `force`.
///
/// # Errors
/// [`Failed`]; after `Some` the record is still there, and undo can be tried again.
pub fn undo(host: &Host, force: bool) -> Result<Undone, Failed> {
    let _turn = turn(host)?;
    let record = Record::load(host).map_err(Failed::Record)?.of_this_boot(host);
    let mut undoing = Undoing::new(host, force);
    // Files first: the limit of logins must not be above fs.nr_open for a moment.
    for file in record.files {
        undoing.file(file);
    }
    undoing.has_limits = host.has(LIMITS)
        && (!undoing.refused.is_empty() || undoing.rest.files.iter().any(|one| one.path == LIMITS));
    undoing.settings(record.settings);
    for folder in record.folders.iter().rev() {
        host.remove_if_empty(folder);
    }
    let Undoing { mut rest, done, mut refused, .. } = undoing;
    if !refused.is_empty() {
        if let Some(last) = refused.last_mut().filter(|_| !done.left.is_empty()) {
            *last = format!("{last}\n{LEFT}\n{}", done.left.join("\n"));
        }
        return all_or(refused).map(|()| Undone::default());
    }
    let noted = if done.left.is_empty() {
        Record::forget(host)
    } else {
        rest.settings.reverse();
        rest.folders = record.folders.into_iter().filter(|folder| host.has(folder)).collect();
        (rest.managed, rest.boot) = (record.managed, record.boot);
        rest.save(host)
    };
    all_or(noted.err().map(|error| format!("  {error}")).into_iter().collect())?;
    Ok(done)
}

/// An undo that is under way.
struct Undoing<'a> {
    host: &'a Host,
    force: bool,
    /// The file of the limit of logins is there, and may say what it said.
    has_limits: bool,
    /// What is not put back.
    rest: Record,
    done: Undone,
    refused: Vec<String>,
}

impl<'a> Undoing<'a> {
    fn new(host: &'a Host, force: bool) -> Self {
        let (rest, done, refused) = (Record::default(), Undone::default(), Vec::new());
        Self { host, force, has_limits: false, rest, done, refused }
    }

    fn file(&mut self, file: Written) {
        if !self.force && file.written_since(self.host) {
            self.done.left.push(format!("  {}: it was written since", file.path));
            self.rest.files.push(file);
            return;
        }
        let put = match &file.before {
            Some(text) => self.host.put(&file.path, text, false),
            None => self.host.remove(&file.path),
        };
        match put {
            Ok(()) => self.done.files.push(file.path),
            Err(error) => self.refused.push(format!("  {}: {error}", file.path)),
        }
    }

    /// What was set last is put back first; but see [`in_turn`].
    fn settings(&mut self, settings: Vec<Setting>) {
        // Looked at first: what a driver sets meanwhile is nobody's.
        let (mine, since): (Vec<_>, Vec<_>) = settings
            .into_iter()
            .rev()
            .partition(|one| self.force || one.set_since(self.host).is_none());
        for setting in since {
            self.leave(setting);
        }
        let of_cards: Vec<_> = mine.iter().filter(|one| is_of_a_card(&one.path)).cloned().collect();
        self.begin(&of_cards);
        for (turn, setting) in in_turn(mine) {
            match turn {
                Turn::Ahead => self.ahead(&setting),
                Turn::Own => self.setting(setting),
            }
        }
        // What is to be put back again when the queues are, since drivers set it with them.
        if self.rest.settings.iter().any(|one| is_queues(&one.path)) {
            let left: HashSet<_> = self.rest.settings.iter().map(|one| one.path.clone()).collect();
            let put_back = of_cards.into_iter().filter(|one| !left.contains(&one.path));
            self.rest.settings.extend(put_back);
        }
    }

    /// Notes of what is of cards that it is about to be put back: where that is interrupted, what a
    /// driver has set by then is nobody's either.
    fn begin(&self, of_cards: &[Setting]) {
        let is_to_go = |setting: &Setting| {
            self.host.read(&setting.path).is_ok_and(|now| now != setting.before)
        };
        if !of_cards.iter().any(|setting| is_queues(&setting.path) && is_to_go(setting)) {
            return;
        }
        let Ok(mut record) = Record::load(self.host) else { return };
        for setting in &mut record.settings {
            if of_cards.iter().any(|one| one.path == setting.path) {
                setting.after = None;
            }
        }
        // On a full disk it is undone all the same.
        let _ = record.save(self.host);
    }

    fn ahead(&self, setting: &Setting) {
        let Setting { path, before, .. } = setting;
        if self.host.read(path).is_ok_and(|now| now != *before) && !self.names_more(path, before) {
            // It has its own turn, and there it is said.
            let _ = self.host.set(path, before);
        }
    }

    fn leave(&mut self, setting: Setting) {
        let now = self.host.read(&setting.path).unwrap_or_default();
        let [now, before] = [&now, &setting.before].map(|text| in_few_words(text));
        self.done.left.push(format!("  {} = {now}: it was {before} before", setting.path));
        self.rest.settings.push(setting);
    }

    fn setting(&mut self, setting: Setting) {
        let Setting { path, before, .. } = &setting;
        match self.host.read(path) {
            // What its own queues make of it is the kernel's own again, and not just the same.
            Ok(now) if now == *before && is_table(path) => {
                let _ = self.host.set(path, before);
            }
            Ok(now) if now == *before => {}
            _ if self.has_limits && path == NR_OPEN => {
                let told = format!(
                    "  {path} = {before}: while {LIMITS} may say more, nobody could log in"
                );
                self.keep(setting, told);
                return;
            }
            Ok(now) if self.is_named(path, before) => {
                let told = format!(
                    "  {path} = {now}: it was {before} before, and the card's table names more"
                );
                self.keep(setting, told);
                return;
            }
            Ok(now) if self.names_more(path, before) => {
                let [now, before] = [&now, before].map(|text| in_few_words(text));
                let told = format!(
                    "  {path} = {now}: it was {before} before, and the card has fewer queues"
                );
                self.keep(setting, told);
                return;
            }
            // The card, the core or the module is gone, and its setting with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => {
                if let Err(error) = self.host.set(path, before)
                    && !is_moved_by_the_kernel(path, &error)
                {
                    let before = in_few_words(before);
                    self.refused.push(format!("  {path} = {before}: {error}"));
                    return;
                }
            }
        }
        self.done.settings += 1;
    }

    /// Whether queues would go that the card's table names, which is somebody's by now.
    fn is_named(&self, path: &str, before: &str) -> bool {
        let name = path.strip_prefix(CARD).and_then(|name| name.rsplit_once(':'));
        let (Some((card, "combined" | "rx")), Ok(stay)) = (name, before.parse::<u64>()) else {
            return false;
        };
        let table = format!("{CARD}{card}:rss");
        let goes = |queue: &str| queue.parse::<u64>().is_ok_and(|queue| queue >= stay);
        self.rest.settings.iter().any(|one| one.path == table)
            && self.host.read(&table).is_ok_and(|now| now.split_whitespace().any(goes))
    }

    /// Whether this is a table of more queues than the card has, whose number is somebody's by now.
    fn names_more(&self, path: &str, before: &str) -> bool {
        let Some(card) = path.strip_suffix(":rss") else { return false };
        let queues = ["combined", "rx"].map(|kind| format!("{card}:{kind}"));
        let there = self.rest.settings.iter().filter(|one| queues.contains(&one.path));
        let there = there.filter_map(|one| self.host.read(&one.path).ok()?.parse::<u64>().ok());
        let names = |queue: &str, there| queue.parse::<u64>().is_ok_and(|queue| queue >= there);
        there.min().is_some_and(|there| before.split_whitespace().any(|one| names(one, there)))
    }

    /// Leaves what must not be put back before something else is; that is refused, or was left.
    fn keep(&mut self, setting: Setting, told: String) {
        if self.refused.is_empty() {
            self.done.left.push(told);
            self.rest.settings.push(setting);
        } else {
            self.refused.push(told);
        }
    }
}

/// Of what a setting's turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// To be tried, since another setting may need it; it has a turn of its own too.
    Ahead,
    /// To be put back.
    Own,
}

/// When settings are put back: a card's table before its queues, of which it may not name those
/// that go, and again behind them, since it may name some that come; then what its driver sets for
/// those that stay, and the rest.
fn in_turn(settings: Vec<Setting>) -> Vec<(Turn, Setting)> {
    let (tables, others): (Vec<_>, Vec<_>) =
        settings.into_iter().partition(|one| is_table(&one.path));
    let (queues, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|one| is_queues(&one.path));
    let ahead = tables.clone().into_iter().map(|table| (Turn::Ahead, table));
    let own = queues.into_iter().chain(tables).chain(rest).map(|setting| (Turn::Own, setting));
    ahead.chain(own).collect()
}

fn is_table(path: &str) -> bool {
    path.starts_with(CARD) && path.ends_with(":rss")
}

fn is_queues(path: &str) -> bool {
    path.starts_with(CARD) && !is_table(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_s_table_goes_before_its_queues_and_behind_and_then_what_is_theirs() {
        let xps = "/sys/class/net/eth0/queues/tx-0/xps_cpus";
        let [irq, queues, table] =
            ["/proc/irq/24/smp_affinity_list", "ethtool:eth0:combined", "ethtool:eth0:rss"];
        let setting =
            |path: &str| Setting { path: path.to_owned(), before: String::new(), after: None };
        let all = in_turn([irq, queues, xps, table].map(setting).to_vec());
        let turns: Vec<_> = all.iter().map(|(turn, one)| (*turn, one.path.as_str())).collect();
        let own = [queues, table, irq, xps].map(|path| (Turn::Own, path));
        assert_eq!(turns, [&[(Turn::Ahead, table)], &own[..]].concat());
    }
}
