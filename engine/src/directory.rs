//! Who is where: [`homes`] orders each user's messages and knows the user's [`sessions`],
//! [`roster`] lists the connections that a broadcast is for, [`place`] says which shard is a user's
//! home.

pub mod homes;
pub mod place;
pub mod roster;
pub mod sessions;
