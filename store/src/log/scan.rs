//! Reading a segment from its start: its records, and what is wrong where they end.

use super::segment::Id;
use crate::disk::{Disk, read_full};
use crate::letter::Place;
use crate::record::{HEAD, Header, Kind, Record, parse, unproven};
use std::io;

/// The bytes of a segment, as they were found.
pub(crate) struct Found {
    pub(crate) id: Id,
    bytes: Vec<u8>,
}

/// One record and where it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lying<'a> {
    pub(crate) place: Place,
    pub(crate) record: Record<'a>,
    /// Its bytes with everything.
    pub(crate) length: usize,
}

impl Found {
    /// Reads a whole segment, into this buffer.
    pub(crate) fn read(disk: &dyn Disk, id: Id, mut bytes: Vec<u8>) -> io::Result<Self> {
        let file = disk.open(&id.name())?;
        // A place has 32 bits, so no segment that was written here is longer.
        let length = file.length()?.min(u64::from(u32::MAX));
        bytes.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        let count = read_full(file.as_ref(), 0, &mut bytes)?;
        bytes.truncate(count);
        Ok(Self { id, bytes })
    }

    /// Reads the beginning of a segment, enough for its header.
    pub(crate) fn head(disk: &dyn Disk, id: Id) -> io::Result<Self> {
        let mut bytes = vec![0; 128];
        let count = read_full(disk.open(&id.name())?.as_ref(), 0, &mut bytes)?;
        bytes.truncate(count);
        Ok(Self { id, bytes })
    }

    /// The buffer, to be used again.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn length(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// What it begins with, if that is whole and its own.
    pub(crate) fn header(&self) -> Option<Header> {
        match parse(&self.bytes, self.id.salt) {
            Ok((Record::Header(header), _)) if header.number == self.id.number => Some(header),
            _ => None,
        }
    }

    /// Whether it begins with the header of an older segment, over whose file this one was to be
    /// written. (Its salt is not known here, so its sum is not looked at.)
    pub(crate) fn is_blank(&self) -> bool {
        let record = unproven(&self.bytes).map(|(record, _)| record);
        matches!(record, Some(Record::Header(header)) if header.number < self.id.number)
    }

    /// Whether all that lies in the file was there before the segment, so that nothing says that
    /// what is no record there was written for it.
    pub(crate) fn is_within_room(&self) -> bool {
        self.header().is_some_and(|header| self.length() <= header.room)
    }

    /// The bytes from this offset on.
    pub(crate) fn from(&self, offset: u32) -> &[u8] {
        self.bytes.get(offset as usize..).unwrap_or_default()
    }

    /// The record at this offset.
    pub(crate) fn record(&self, offset: u32) -> Option<Lying<'_>> {
        let rest = self.bytes.get(offset as usize..)?;
        let (record, length) = parse(rest, self.id.salt).ok()?;
        Some(Lying { place: Place { segment: self.id.number, offset }, record, length })
    }

    /// Hands out all records up to this end, or up to the first place where there is none; says
    /// where it stopped.
    pub(crate) fn each<'a>(&'a self, end: u32, mut take: impl FnMut(Lying<'a>)) -> u32 {
        let mut offset = 0;
        while offset < end {
            let Some(lying) = self.record(offset) else { break };
            let behind = offset as usize + lying.length;
            // Who wrote `end` ended a record there.
            if behind > end as usize {
                break;
            }
            take(lying);
            offset = u32::try_from(behind).unwrap_or(u32::MAX);
        }
        offset
    }

    /// Whether a mark somewhere behind this offset says that it had been synced.
    pub(crate) fn is_marked_behind(&self, offset: u32) -> bool {
        const LENGTH: usize = HEAD + 4;
        let rest = self.bytes.get(offset as usize..).unwrap_or_default();
        let looks = |window: &[u8]| window[4..9] == [4, 0, 0, 0, Kind::Mark as u8];
        rest.windows(LENGTH).filter(|window| looks(window)).any(|window| {
            let record = parse(window, self.id.salt);
            matches!(record, Ok((Record::Mark(synced), _)) if synced > offset)
        })
    }

    /// Where the next record begins behind this offset, whatever lies between.
    pub(crate) fn next_record(&self, offset: u32) -> Option<u32> {
        (offset.saturating_add(1)..self.length()).find(|at| self.record(*at).is_some())
    }
}
