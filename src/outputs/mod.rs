//! Stage 8 of 8: results -> published files: tables, lists, register, changes, manifest.

pub mod calendar;
pub mod csv;
pub mod diff;
pub mod explain;
pub mod export;
pub mod facts;
pub mod hold;
pub mod lists;
pub mod lookup;
pub mod origins;
pub mod path;
pub mod pushes;
pub mod query;
pub mod read;
pub mod record;
pub mod register;
pub mod report;
pub mod run;
pub mod stream;
pub mod summary;
pub mod sweep;
pub mod survey;
pub mod tables;
