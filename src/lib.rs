//! ringtrace.
pub mod error;
pub mod ids;
pub mod time;
