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
//! [`spread`] is the walk of a broadcast, which joins the path at deliver; [`close`] is the end of
//! every connection, [`time`] what happens when nothing does; [`note`] tells the log of both ends.

pub mod accept;
pub mod answer;
pub mod close;
pub mod decode;
pub mod deliver;
pub mod flush;
pub mod login;
pub mod note;
pub mod request;
pub mod route;
pub mod spread;
pub mod time;
