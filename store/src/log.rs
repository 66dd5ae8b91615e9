//! The log: segments that are written one after the other and go oldest first.
//!
//! Invariants: what is not synced is the end of the active segment and nothing else. A segment is
//! synced before the next one is begun, and the next one's header says how much of it counts, so
//! only the last segment can have a torn tail. (The next one's file may be there before; its header
//! is written with its first group, so that going over to it costs no sync of its own. Until that
//! is synced the segment counts for nothing and is begun again where something fails. Its file may
//! be an older segment's, see [`supply`]: what lies behind its last record counts for nothing.) A
//! segment of an earlier life, or one whose sync failed, is never written again. Segments go in the
//! order of their age, each for good before the next: what a trim record cancels goes before the
//! trim does.
//!
//! It knows bytes and sums, not what records mean to anybody.

pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod shelf;
mod supply;
pub(crate) mod witness;

use self::segment::{Id, Segment, Tally};
use self::supply::{Blank, Supply};
use self::witness::Witness;
use crate::disk::{Disk, DiskFile, write_all};
use crate::letter::{Freed, Place};
use crate::record::{Header, Pen, VERSION};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// The file that a keeper keeps room with. It is no part of the log.
pub(crate) const RESERVE: &str = "reserve";

/// The part of a segment that may lie behind the end of a sealed one: less is not worth a cut.
const SLACK: u32 = 16;

/// The log of one directory.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    segment_bytes: u32,
    supply: Supply,
    /// By age, oldest first.
    sealed: VecDeque<Segment>,
    active: Option<Active>,
    /// The next segment that has something in it gets this number.
    next: u32,
    /// How much of the last sealed segment counts.
    before: u32,
    /// The greatest sequence that may have been given out.
    reserved: u64,
    /// The newest segment that the witness speaks of, of this life.
    witnessed: u32,
    /// A segment's name was removed and that is not yet sure to last.
    removal_unsynced: bool,
    pen: Pen,
}

/// The segment that is written.
struct Active {
    segment: Segment,
    file: Box<dyn DiskFile>,
    /// How long the file is, in bytes: longer than the segment where it was another's.
    room: u32,
    /// How much of it counts; 0 until its header does.
    synced: u32,
    /// A mark says how much is synced.
    is_marked: bool,
}

impl Active {
    const fn is_born(&self) -> bool {
        self.synced > 0
    }

    /// So much of the file is the segment's now.
    const fn reach(&mut self, end: u32) {
        self.segment.length = end;
        if self.room < end {
            self.room = end;
        }
    }

    /// Cuts the file off behind this.
    fn cut(&mut self, end: u32) -> io::Result<()> {
        self.file.truncate(u64::from(end))?;
        self.segment.length = end;
        self.room = end;
        Ok(())
    }
}

impl Log {
    /// A log whose earlier segments these are; `before` bytes of the last of them count.
    pub(crate) fn new(disk: Arc<dyn Disk>, segment_bytes: u32, seed: u64) -> Self {
        let supply = Supply::new(disk.clone(), seed);
        Self {
            disk,
            segment_bytes,
            supply,
            sealed: VecDeque::new(),
            active: None,
            next: 1,
            before: 0,
            reserved: 0,
            witnessed: 0,
            removal_unsynced: false,
            pen: Pen::default(),
        }
    }

    /// Takes what an earlier life left.
    pub(crate) fn inherit(&mut self, segments: Vec<Segment>, reserved: u64) {
        if let Some(last) = segments.last() {
            self.next = last.id.number + 1;
            self.before = last.length;
        }
        self.sealed = segments.into();
        self.reserved = reserved;
        self.supply.inherit();
    }

    pub(crate) const fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(crate) const fn segment_bytes(&self) -> u32 {
        self.segment_bytes
    }

    /// Sequences up to this may be given out from now on; the next segment's header says so.
    pub(crate) fn reserve(&mut self, upto: u64) {
        self.reserved = self.reserved.max(upto);
    }

    /// Every segment, oldest first.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.sealed.iter().chain(self.written())
    }

    /// The number of the oldest segment.
    pub(crate) fn oldest(&self) -> u32 {
        self.segments().next().map_or(self.next, |segment| segment.id.number)
    }

    /// Segments that are not written any more, oldest first.
    pub(crate) const fn sealed(&self) -> &VecDeque<Segment> {
        &self.sealed
    }

    /// The segment that is written, once something of it counts.
    pub(crate) fn written(&self) -> Option<&Segment> {
        self.active.as_ref().filter(|active| active.is_born()).map(|active| &active.segment)
    }

    /// Notes that records are of no use any more. Segments that are gone are not asked after.
    pub(crate) fn free(&mut self, freed: Freed) {
        let active = self.active.as_mut().map(|active| &mut active.segment);
        let found = match active {
            Some(segment) if segment.id.number == freed.segment => Some(segment),
            _ => self.sealed.iter_mut().find(|segment| segment.id.number == freed.segment),
        };
        if let Some(segment) = found {
            segment.free(freed);
        }
    }

    /// Makes sure that there is a segment to write to, with room; says where the next byte goes,
    /// and how much before it is synced and not yet said to be.
    pub(crate) fn ready(&mut self) -> io::Result<Spot> {
        if self.active.as_ref().is_some_and(|active| active.synced >= self.segment_bytes) {
            self.seal();
        }
        if self.active.is_none() {
            let Blank { id, file, length: room } = self.supply.blank(self.next)?;
            let segment = Segment { id, length: 0, tally: Tally::default() };
            self.active = Some(Active { segment, file, room, synced: 0, is_marked: false });
        }
        let Some(active) = &self.active else { return Err(io::ErrorKind::NotFound.into()) };
        let Id { number, salt } = active.segment.id;
        let place = Place { segment: number, offset: active.segment.length };
        let unmarked = (!active.is_marked && active.is_born()).then_some(active.synced);
        let (before, reserved, room) = (self.before, self.reserved, active.room);
        let header = Header { version: VERSION, number, before, reserved, room };
        let header = (!active.is_born()).then_some(header);
        Ok(Spot { place, salt, header, unmarked })
    }

    /// Makes sure that a segment is begun and counts, without a group.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        let Spot { salt, header: Some(header), .. } = self.ready()? else { return Ok(()) };
        let mut pen = std::mem::take(&mut self.pen);
        pen.begin(salt);
        pen.header(header);
        let begun = self.commit(pen.bytes(), &Tally::default());
        self.pen = pen;
        begun
    }

    /// Makes the next segment's file before it is needed, once half of this one is written.
    pub(crate) fn prepare(&mut self) -> io::Result<()> {
        let half = self.segment_bytes / 2;
        let is_near = self.written().is_some_and(|it| it.length > half);
        if is_near { self.supply.prepare(self.next) } else { Ok(()) }
    }

    /// Gives back what is kept for segments to come, and what lies behind the end.
    pub(crate) fn slim(&mut self) -> io::Result<()> {
        self.supply.empty();
        match &mut self.active {
            Some(active) if active.room > active.segment.length => {
                active.cut(active.segment.length)
            }
            _ => Ok(()),
        }
    }

    /// What files take of the disk besides segments, in bytes.
    pub(crate) fn blank_bytes(&self) -> u64 {
        let behind = self.active.as_ref().map_or(0, |it| it.room - it.segment.length);
        u64::from(behind) + self.supply.bytes()
    }

    /// Ends the active segment at what is surely synced, or has it begun again where nothing is.
    /// (What comes after that, if anything, is cut off; should that fail, the next segment's header
    /// still says to not read it.)
    pub(crate) fn seal(&mut self) {
        let Some(mut active) = self.active.take() else { return };
        if !active.is_born() {
            // Its header and group were refused, and must not be found by a later life.
            let _ = active.file.truncate(0);
            return;
        }
        // Nobody reads behind the end, so a mark may stay, and a little more: a cut costs a group.
        let end = if active.is_marked { active.segment.length } else { active.synced };
        if active.segment.length > end || active.room - end > self.segment_bytes / SLACK {
            // Where that fails, more of the disk is taken than has to be.
            let _ = active.cut(end);
        }
        self.before = active.synced;
        self.sealed.push_back(active.segment);
    }

    /// Writes a group and syncs it. After an error nothing of it counts, and the log is as before.
    pub(crate) fn commit(&mut self, group: &[u8], tally: &Tally) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Err(io::ErrorKind::NotFound.into()) };
        let end = u32::try_from(active.segment.length as usize + group.len());
        let end = end.map_err(|_| io::Error::other("a group is longer than any segment"))?;
        let start = u64::from(active.segment.length);
        if let Err(error) = write_all(active.file.as_mut(), start, group) {
            self.take_back();
            return Err(error);
        }
        active.reach(end);
        active.is_marked = false;
        if let Err(error) = active.file.sync_data() {
            // The kernel may have thrown the pages away and call the next sync a success.
            self.seal();
            return Err(error);
        }
        self.next += u32::from(!active.is_born());
        active.synced = end;
        active.segment.tally.add(tally);
        Ok(())
    }

    /// Undoes a write that went wrong half way.
    fn take_back(&mut self) {
        let Some(active) = &mut self.active else { return };
        if active.cut(active.synced).is_ok() {
            active.is_marked = false;
        } else {
            let length = active.file.length().unwrap_or_default();
            active.reach(u32::try_from(length).unwrap_or(active.synced));
            self.seal();
        }
    }

    /// Says in the log how much of it is synced, without syncing that. To be called when there is
    /// nothing else to write: so a byte that turns over in what was written last is found, and not
    /// taken for a torn tail.
    pub(crate) fn mark(&mut self) {
        let Some(active) = &mut self.active else { return };
        if active.is_marked || !active.is_born() {
            return;
        }
        self.pen.begin(active.segment.id.salt);
        self.pen.mark(active.synced);
        let start = u64::from(active.segment.length);
        match write_all(active.file.as_mut(), start, self.pen.bytes()) {
            Ok(()) => {
                let length = u32::try_from(self.pen.bytes().len()).unwrap_or_default();
                active.reach(active.segment.length + length);
                active.is_marked = true;
            }
            Err(_) => self.take_back(),
        }
    }

    /// Says beside the log that the segment that is written counts, once: so one that is lost whole
    /// is noticed, also after a kill.
    pub(crate) fn witness(&mut self) -> io::Result<()> {
        let Some(active) = self.active.as_ref().filter(|active| active.is_born()) else {
            return Ok(());
        };
        let witness = Witness { id: active.segment.id, length: active.synced };
        if witness.id.number == self.witnessed {
            return Ok(());
        }
        witness.write(self.disk.as_ref())?;
        self.witnessed = witness.id.number;
        Ok(())
    }

    /// Makes the last mark safe too, at the end of a life, leaves nothing behind it, and says where
    /// the log ends.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.mark();
        self.slim()?;
        if let Some(active) = &mut self.active {
            active.file.sync_data()?;
        }
        let last = match self.written() {
            Some(segment) => Some((segment.id, segment.length)),
            None => self.sealed.back().map(|segment| (segment.id, self.before)),
        };
        let witness = last.map(|(id, length)| Witness { id, length });
        witness.map_or(Ok(()), |witness| witness.write(self.disk.as_ref()))
    }

    /// Tries whether so many bytes can be written and synced, and takes them back.
    pub(crate) fn probe(&mut self, bytes: usize) -> io::Result<()> {
        self.ready()?;
        let Some(active) = &mut self.active else { return Err(io::ErrorKind::NotFound.into()) };
        let start = u64::from(active.segment.length);
        let written = write_all(active.file.as_mut(), start, &vec![0; bytes]);
        let synced = written.is_err() || active.file.sync_data().is_ok();
        self.take_back();
        if !synced {
            self.seal();
            return Err(io::Error::other("a sync failed"));
        }
        written
    }

    /// Removes the oldest segment for good; its file may be kept for one to come if `spares`.
    pub(crate) fn remove_oldest(&mut self, spares: bool) -> io::Result<()> {
        if !self.removal_unsynced {
            let Some(oldest) = self.sealed.front() else { return Ok(()) };
            self.supply.take(oldest, spares && oldest.length >= self.segment_bytes)?;
            self.sealed.pop_front();
            self.removal_unsynced = true;
        }
        self.disk.sync_directory()?;
        self.removal_unsynced = false;
        Ok(())
    }
}

/// Where the next byte goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    pub(crate) salt: u32,
    /// What has to be written first.
    pub(crate) header: Option<Header>,
    /// So much of the segment is synced, and no mark says so.
    pub(crate) unmarked: Option<u32>,
}
