//! The data path, in the order in which a message travels.
//!
//! ```text
//!  client ─▶ accept ─▶ decode ─▶ login ──────────────┐
//!                                                    ▼
//!  backend ─▶ accept ─▶ decode ─▶ request ─▶ route (the user's home) ─▶ deliver ─▶ flush ─▶ client
//!                                    ▲                                    │
//!                                 answer ◀────────── outcomes ◀───────────┘
//! ```
//!
//! A message of class durable takes a longer way at its home: [`keep`] gives it to the store and to
//! the sessions that are there, [`hear`] is what the store answers, [`feed`] brings a session up to
//! date that was away or slow, [`open`] fetches the mailbox from a store that several hosts share,
//! [`merge`] goes behind what those stored and [`elsewhere`] hears what else they did,
//! [`acknowledge`] lets go of what is acknowledged, and [`sweep`] of what nobody wants any more.
//!
//! [`order`] begins and steers a broadcast, [`spread`] is its walk, which joins the path at
//! deliver, and [`catch_up`] gives it to who missed it; [`close`] is the end of every connection,
//! [`time`] what happens when nothing does; [`note`] tells the log of both ends.

pub mod accept;
pub mod acknowledge;
pub mod answer;
pub mod catch_up;
pub mod close;
pub mod decode;
pub mod deliver;
pub mod elsewhere;
pub mod feed;
pub mod flush;
pub mod hear;
pub mod keep;
pub mod login;
pub mod merge;
pub mod note;
pub mod open;
pub mod order;
pub mod request;
pub mod route;
pub mod spread;
pub mod sweep;
pub mod time;
