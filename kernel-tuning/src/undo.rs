//! Changes the host back.

use crate::change::{Failed, NR_OPEN, all_or, is_moved_by_the_kernel, turn};
use crate::host::{CARD, Host};
use crate::persist::LIMITS;
use crate::record::{Record, Setting, Written, is_of_a_card};
use crate::want::in_few_words;
use std::collections::HashSet;
use std::io;

/// When queues are put back; see [`turn_of`].
const QUEUES: u8 = 1;
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

    /// What was set last is put back first; but see [`turn_of`].
    fn settings(&mut self, settings: Vec<Setting>) {
        // Looked at first: what a driver sets meanwhile is nobody's.
        let (mut mine, since): (Vec<_>, Vec<_>) = settings
            .into_iter()
            .rev()
            .partition(|one| self.force || one.set_since(self.host).is_none());
        for setting in since {
            self.leave(setting);
        }
        mine.sort_by_key(|setting| turn_of(&setting.path));
        let of_cards: Vec<_> = mine.iter().filter(|one| is_of_a_card(&one.path)).cloned().collect();
        for setting in mine {
            self.setting(setting);
        }
        // What is to be put back again when the queues are, since drivers set it with them.
        if self.rest.settings.iter().any(|one| turn_of(&one.path) == QUEUES) {
            let left: HashSet<_> = self.rest.settings.iter().map(|one| one.path.clone()).collect();
            let put_back = of_cards.into_iter().filter(|one| !left.contains(&one.path));
            self.rest.settings.extend(put_back);
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

/// When a setting is put back: a card's table before its queues, of which it may not name those
/// that go, and these before what its driver sets for those that stay.
fn turn_of(path: &str) -> u8 {
    match path.strip_prefix(CARD) {
        Some(name) if name.ends_with(":rss") => 0,
        Some(_) => QUEUES,
        None => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_s_table_goes_before_its_queues_and_these_before_what_is_theirs() {
        let xps = "/sys/class/net/eth0/queues/tx-0/xps_cpus";
        let mut paths =
            ["/proc/irq/24/smp_affinity_list", "ethtool:eth0:combined", xps, "ethtool:eth0:rss"];
        paths.sort_by_key(|path| turn_of(path));
        assert_eq!(
            paths,
            ["ethtool:eth0:rss", "ethtool:eth0:combined", "/proc/irq/24/smp_affinity_list", xps]
        );
    }
}
