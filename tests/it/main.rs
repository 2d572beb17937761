//! The one integration binary: oracles, laws, and whole commands. One, because linking is slow.

mod brute;
mod feeds;
mod laws;
mod properties;
mod random;
mod worlds;
