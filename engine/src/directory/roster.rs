//! Lists of connections that a broadcast can walk while members come and go.
//!
//! A list is linked in the order of joining. A [`Cursor`] goes from the youngest member to the
//! oldest; who joins later stands before its start, and when the member under it leaves, it steps
//! on. So each member that was there when the cursor was made, and still is, is met exactly once.

const NONE: u32 = u32::MAX;

/// Names a list.
pub type ListId = u32;
/// Names one membership, to end it.
pub type MemberId = u32;

#[derive(Debug, Clone, Copy)]
struct Node {
    slot: u32,
    next: u32,
    prev: u32,
    list: ListId,
}

#[derive(Debug, Clone, Copy)]
struct List {
    head: u32,
    length: u32,
}

#[derive(Debug, Clone, Copy)]
struct Walk {
    list: ListId,
    at: u32,
}

/// Names a walk over one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(u32);

/// The lists of one shard.
#[derive(Debug, Default)]
pub struct Roster {
    nodes: Vec<Node>,
    free: Vec<u32>,
    lists: Vec<List>,
    free_lists: Vec<ListId>,
    walks: Vec<Option<Walk>>,
}

impl Roster {
    /// Room for `capacity` memberships without moving.
    pub fn new(capacity: usize) -> Self {
        Self { nodes: Vec::with_capacity(capacity), ..Self::default() }
    }

    /// An empty list.
    pub fn open(&mut self) -> ListId {
        let list = List { head: NONE, length: 0 };
        if let Some(id) = self.free_lists.pop() {
            self.lists[id as usize] = list;
            return id;
        }
        self.lists.push(list);
        index(self.lists.len() - 1)
    }

    /// Gives up a list, which must be empty and not walked.
    pub fn close(&mut self, list: ListId) {
        debug_assert_eq!(self.len(list), 0, "list {list} still has members");
        self.free_lists.push(list);
    }

    /// How many members the list has.
    pub fn len(&self, list: ListId) -> u32 {
        self.lists[list as usize].length
    }

    /// Whether a walk goes over the list.
    pub fn is_walked(&self, list: ListId) -> bool {
        self.walks.iter().flatten().any(|walk| walk.list == list)
    }

    /// Adds the connection in `slot`.
    pub fn join(&mut self, list: ListId, slot: u32) -> MemberId {
        let head = self.lists[list as usize].head;
        let node = Node { slot, next: head, prev: NONE, list };
        let member = if let Some(member) = self.free.pop() {
            self.nodes[member as usize] = node;
            member
        } else {
            self.nodes.push(node);
            index(self.nodes.len() - 1)
        };
        if let Some(after) = self.nodes.get_mut(head as usize) {
            after.prev = member;
        }
        let list = &mut self.lists[list as usize];
        list.head = member;
        list.length += 1;
        member
    }

    /// Ends a membership; gives its list.
    pub fn leave(&mut self, member: MemberId) -> ListId {
        let Node { next, prev, list, .. } = self.nodes[member as usize];
        for walk in self.walks.iter_mut().flatten().filter(|walk| walk.at == member) {
            walk.at = next;
        }
        if prev == NONE {
            self.lists[list as usize].head = next;
        } else {
            self.nodes[prev as usize].next = next;
        }
        if let Some(after) = self.nodes.get_mut(next as usize) {
            after.prev = prev;
        }
        self.lists[list as usize].length -= 1;
        self.free.push(member);
        list
    }

    /// Starts a walk over the present members.
    pub fn walk(&mut self, list: ListId) -> Cursor {
        let walk = Some(Walk { list, at: self.lists[list as usize].head });
        if let Some(place) = self.walks.iter().position(Option::is_none) {
            self.walks[place] = walk;
            return Cursor(index(place));
        }
        self.walks.push(walk);
        Cursor(index(self.walks.len() - 1))
    }

    /// The next member's slot.
    pub fn next(&mut self, cursor: Cursor) -> Option<u32> {
        let walk = self.walks.get_mut(cursor.0 as usize)?.as_mut()?;
        let node = self.nodes.get(walk.at as usize)?;
        walk.at = node.next;
        Some(node.slot)
    }

    /// Ends a walk; gives its list.
    pub fn end(&mut self, cursor: Cursor) -> Option<ListId> {
        self.walks.get_mut(cursor.0 as usize)?.take().map(|walk| walk.list)
    }
}

fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(roster: &mut Roster, cursor: Cursor) -> Vec<u32> {
        std::iter::from_fn(|| roster.next(cursor)).collect()
    }

    #[test]
    fn a_walk_meets_who_was_there_and_stays_once() {
        let mut roster = Roster::new(4);
        let list = roster.open();
        let members: Vec<_> = (0..6).map(|slot| roster.join(list, slot)).collect();
        let cursor = roster.walk(list);
        assert_eq!(roster.next(cursor), Some(5));
        roster.join(list, 77);
        roster.leave(members[5]);
        roster.leave(members[4]);
        roster.leave(members[1]);
        assert_eq!(roster.next(cursor), Some(3));
        roster.leave(members[2]);
        assert_eq!(drain(&mut roster, cursor), [0]);
        assert_eq!(roster.end(cursor), Some(list));
        assert_eq!(roster.len(list), 3);
        let again = roster.walk(list);
        assert_eq!(drain(&mut roster, again), [77, 3, 0]);
    }

    #[test]
    fn a_reused_membership_is_not_met_by_an_older_walk() {
        let mut roster = Roster::new(4);
        let list = roster.open();
        let first = roster.join(list, 1);
        roster.join(list, 2);
        let cursor = roster.walk(list);
        roster.leave(first);
        roster.join(list, 3);
        assert_eq!(drain(&mut roster, cursor), [2]);
    }
}
