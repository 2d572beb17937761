//! ringtrace.
pub mod records;
pub mod visits;
pub mod store;
pub mod contacts;
pub mod rings;
pub mod facts;
pub mod colors;
pub mod outputs;

pub mod generate;
pub mod pipeline;

pub mod cli;
pub mod commands;
pub mod config;
pub mod error;
pub mod ids;
pub mod progress;
pub mod schema;
pub mod time;
