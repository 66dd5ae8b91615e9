//! The sessions of one user: none, one, or where the product allows it several.

use crate::connection::id::ConnectionId;

/// A session as its user's home knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Its connection.
    pub connection: ConnectionId,
    /// Whether the connection dropped and the client may still come back to the session.
    pub lingers: bool,
}

/// The sessions of one user, the oldest first.
#[derive(Debug, Default)]
pub enum Sessions {
    /// None.
    #[default]
    None,
    /// One, which is the common case and costs no memory of its own.
    One(Session),
    /// Several.
    Several(Box<Vec<Session>>),
}

const _: () = assert!(size_of::<Sessions>() <= 16, "a million homes feel every byte");

impl Sessions {
    /// All of them, the oldest first.
    pub fn all(&self) -> &[Session] {
        match self {
            Self::None => &[],
            Self::One(session) => std::slice::from_ref(session),
            Self::Several(sessions) => sessions,
        }
    }

    /// Those whose connection is there.
    pub fn live(&self) -> impl Iterator<Item = ConnectionId> {
        self.all().iter().filter(|session| !session.lingers).map(|session| session.connection)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Adds a session, the youngest.
    pub fn add(&mut self, connection: ConnectionId) {
        let session = Session { connection, lingers: false };
        *self = match std::mem::take(self) {
            Self::None => Self::One(session),
            Self::One(first) => Self::Several(Box::new(vec![first, session])),
            Self::Several(mut sessions) => {
                sessions.push(session);
                Self::Several(sessions)
            }
        };
    }

    /// Takes a session away; gives it, if it was there.
    pub fn remove(&mut self, connection: ConnectionId) -> Option<Session> {
        let place = self.all().iter().position(|session| session.connection == connection)?;
        match self {
            Self::None => None,
            Self::One(session) => {
                let session = *session;
                *self = Self::None;
                Some(session)
            }
            Self::Several(sessions) => {
                let session = sessions.remove(place);
                if let [last] = sessions[..] {
                    *self = Self::One(last);
                }
                Some(session)
            }
        }
    }

    /// A session's connection dropped and may come back; whether it was there.
    pub fn linger(&mut self, connection: ConnectionId) -> bool {
        let all = match self {
            Self::None => &mut [],
            Self::One(session) => std::slice::from_mut(session),
            Self::Several(sessions) => &mut sessions[..],
        };
        let session = all.iter_mut().find(|session| session.connection == connection);
        session.map(|session| session.lingers = true).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32) -> ConnectionId {
        ConnectionId { shard: 0, slot, generation: 0 }
    }

    #[test]
    fn they_come_and_go_in_any_order() {
        let mut sessions = Sessions::default();
        (1..=3).for_each(|slot| sessions.add(id(slot)));
        assert!(sessions.linger(id(2)));
        assert!(sessions.live().eq([id(1), id(3)]));
        assert!(sessions.remove(id(2)).is_some_and(|session| session.lingers));
        assert_eq!(sessions.remove(id(2)), None);
        assert!(sessions.remove(id(1)).is_some());
        assert!(matches!(sessions, Sessions::One(session) if session.connection == id(3)));
        assert!(sessions.remove(id(3)).is_some());
        assert!(sessions.is_empty() && !sessions.linger(id(3)));
    }
}
