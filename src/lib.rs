//! ringtrace.
pub mod error;
pub mod generate;
pub mod ids;
pub mod time;
