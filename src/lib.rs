//! ringtrace.
pub mod config;
pub mod error;
pub mod generate;
pub mod ids;
pub mod records;
pub mod store;
pub mod contacts;
pub mod rings;
pub mod facts;
pub mod colors;
pub mod time;
pub mod visits;
