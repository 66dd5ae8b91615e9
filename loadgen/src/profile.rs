//! The rhythm of a load: how many pushes of which sizes there were in each second, and nothing of
//! what was in them or for whom.
//!
//! [`record`] takes it from a gateway's metrics, a phase of kind `replay` offers it again.

pub(crate) mod record;
mod scrape;

use crate::schedule::size::Sizes;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The format that this program writes and reads.
const VERSION: u32 = 1;
/// The longest profile: a week of seconds.
const LONGEST: usize = 7 * 24 * 3_600;

/// What was recorded; each array has one entry for each interval.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    version: u32,
    /// The most users who had a session at a look; 0 where it is not known.
    #[serde(default)]
    pub(crate) clients: u32,
    /// Milliseconds of an interval.
    every_ms: u64,
    /// The greatest body size of each bucket, bytes, rising.
    bounds: Vec<u64>,
    /// Messages in the interval.
    pushes: Vec<u64>,
    /// How many of them were in each bucket; what is left out at the end is 0.
    sizes: Vec<Vec<u64>>,
}

/// One interval of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slice {
    /// Nanoseconds.
    pub(crate) length: u64,
    /// Messages in it.
    pub(crate) count: u64,
    /// How long they are.
    pub(crate) sizes: Sizes,
}

impl Profile {
    /// Without an interval yet, of buckets with these bounds.
    fn new(every_ms: u64, bounds: Vec<u64>) -> Self {
        Self { version: VERSION, every_ms, bounds, ..Self::default() }
    }

    /// Adds an interval with so many messages in each bucket.
    fn add(&mut self, mut sizes: Vec<u64>) {
        self.pushes.push(sum(&sizes));
        while sizes.last() == Some(&0) {
            sizes.pop();
        }
        self.sizes.push(sizes);
    }

    /// Messages in all.
    pub(crate) fn count(&self) -> u64 {
        sum(&self.pushes)
    }

    /// How long it takes, nanoseconds.
    pub(crate) fn length(&self) -> u64 {
        self.every_ms * crate::clock::MILLISECOND * self.pushes.len() as u64
    }

    /// Reads one from a file.
    ///
    /// # Errors
    /// It cannot be read, or is none; the text names the file and says what is wrong.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the profile {shown}: {error}"))?;
        let json = text.trim_start().starts_with('{');
        let parsed: Result<Self, String> = if json {
            serde_json::from_str(&text).map_err(|error| error.to_string())
        } else {
            toml::from_str(&text).map_err(|error| error.to_string())
        };
        let profile = parsed.map_err(|error| {
            format!("{shown} is no profile of `holdfast-loadgen record`: {}", error.trim_end())
        })?;
        profile.check().map_err(|wrong| format!("{shown}: {wrong}"))?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), String> {
        let alike = |(pushes, sizes): (&u64, &Vec<u64>)| {
            sizes.len() <= self.bounds.len() && sum(sizes) == *pushes
        };
        let rules = [
            (self.version == VERSION, format!("version must be {VERSION}")),
            ((100..=60_000).contains(&self.every_ms), "every_ms must be 100 to 60000".to_owned()),
            (self.bounds.is_sorted_by(|one, next| one < next), "bounds must rise".to_owned()),
            (
                (1..=LONGEST).contains(&self.pushes.len()),
                format!("pushes must have 1 to {LONGEST} entries"),
            ),
            (
                self.pushes.len() == self.sizes.len(),
                "pushes and sizes must have as many entries".to_owned(),
            ),
            (
                self.pushes.iter().zip(&self.sizes).all(alike),
                "each entry of sizes must add up to that of pushes, in as many buckets as bounds"
                    .to_owned(),
            ),
            (self.count() > 0, "there is no push in it".to_owned()),
        ];
        rules.into_iter().find(|(right, _)| !right).map_or(Ok(()), |(_, wrong)| Err(wrong))
    }

    /// As text: JSON, or TOML.
    fn text(&self, json: bool) -> String {
        let row = |values: &[u64]| serde_json::to_string(values).unwrap_or_default();
        if json {
            return serde_json::to_string(self).unwrap_or_default() + "\n";
        }
        let sizes: Vec<String> = self.sizes.iter().map(|sizes| row(sizes)).collect();
        format!(
            "# The rhythm of a load: pushes in each interval, and how many were in each bucket of \
             sizes.\nversion = {}\n\
             clients = {}\nevery_ms = {}\nbounds = {}\npushes = {}\nsizes = [\n  {},\n]\n",
            self.version,
            self.clients,
            self.every_ms,
            row(&self.bounds),
            row(&self.pushes),
            sizes.join(",\n  ")
        )
    }

    /// What a replay offers in each interval. Within a bucket every size is as likely.
    pub(crate) fn slices(&self) -> Vec<Slice> {
        let length = self.every_ms * crate::clock::MILLISECOND;
        let slice = |(count, sizes): (&u64, &Vec<u64>)| {
            let bucket = |(place, weight): (usize, &u64)| {
                let below = place.checked_sub(1).and_then(|place| self.bounds.get(place));
                let bound = self.bounds.get(place).copied().unwrap_or_default();
                (below.map_or(1, |below| below + 1), bound, *weight)
            };
            Slice { length, count: *count, sizes: Sizes::of(sizes.iter().enumerate().map(bucket)) }
        };
        self.pushes.iter().zip(&self.sizes).map(slice).collect()
    }
}

/// The sum, or the most that there is.
fn sum(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let mut profile = Profile::new(1_000, vec![64, 256, 1_024]);
        profile.clients = 70;
        for sizes in [vec![0, 200, 0], vec![0, 0, 0], vec![10, 0, 590]] {
            profile.add(sizes);
        }
        profile
    }

    #[test]
    fn a_profile_is_read_as_it_was_written_in_both_forms() {
        let folder = tempfile::tempdir().unwrap();
        for json in [true, false] {
            let file = folder.path().join("profile");
            std::fs::write(&file, profile().text(json)).unwrap();
            assert_eq!(Profile::read(&file), Ok(profile()), "json: {json}");
        }
        assert_eq!((profile().count(), profile().length()), (800, 3 * crate::clock::SECOND));
    }

    #[test]
    fn what_is_no_profile_is_refused_with_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("profile.json");
        for (from, to, says) in [
            ("\"version\":1", "\"version\":2", "version must be 1"),
            ("[200,", "[201,", "each entry of sizes must add up"),
            ("[64,256", "[256,64", "bounds must rise"),
            ("\"pushes\"", "\"pushs\"", "is no profile of `holdfast-loadgen record`"),
        ] {
            std::fs::write(&file, profile().text(true).replacen(from, to, 1)).unwrap();
            let wrong = Profile::read(&file).unwrap_err();
            assert!(wrong.contains(says) && wrong.contains("profile.json"), "{wrong}");
        }
        let wrong = Profile::read(&folder.path().join("none")).unwrap_err();
        assert!(wrong.starts_with("cannot read the profile"), "{wrong}");
    }

    #[test]
    fn slices_have_the_counts_and_sizes_of_their_interval() {
        let slices = profile().slices();
        assert_eq!(slices.iter().map(|slice| slice.count).collect::<Vec<_>>(), [200, 0, 600]);
        assert_eq!(slices[0].sizes.to_string(), "65-256x200");
        assert_eq!(slices[2].sizes.to_string(), "24-64x10,257-1024x590");
    }
}
