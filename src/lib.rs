//! ringtrace: venue scans in, rings of contacts around cases out, health-code colors with reason and evidence.
//!
//! # Architecture
//!
//! ```text
//! scans ──records──▶ checked rows ──visits──▶ visits ──store──▶ sorted visit store
//!                      └─▶ rejects                                   │
//! cases ─────────────────────────────────────────────────▶ rings ◀──┘   overlap kernel, hop by hop
//!                                                            │
//! residences, windows ────────────────────────────▶ facts ──┴─▶ colors ──▶ outputs: changes, lists, register
//!                                                     scheme pack ─┘                + run.json
//! ```
//!
//! The modules below are in reading order; [`pipeline::night`] calls the stages one after the other, about a line
//! each, and is the place to start. A stage uses the stages above it and the shared files, never those below.
//!
//! | stage | makes | begin with |
//! |---|---|---|
//! | [`records`] | checked rows of foreign files, rejects, the balance of rows | [`records::table::read`] |
//! | [`visits`] | stays from scans | [`visits::build`] |
//! | [`store`] | two sorted copies by day, id tables, versions | [`store::ingest::ingest`] |
//! | [`contacts`] | overlaps at one venue: the kernel | [`contacts::overlap::sweep`] |
//! | [`rings`] | who is how many contacts from a case | [`rings::expand()`] |
//! | [`facts`] | typed facts with their evidence | [`facts::Facts::read`] |
//! | [`colors`] | reasons under a scheme, the worst first | [`colors::assign`] |
//! | [`outputs`] | published files | [`outputs::run::publish`] |
//!
//! Three rules hold everywhere:
//!
//! 1. **Keys inside, ids outside.** Persons and venues are dense `u32` keys from [`store`] to [`colors`]; ids come
//!    back in [`outputs`]. Wherever order shows, it is the order of ids, never of keys: keys depend on deliveries.
//! 2. **Integers, half-open spans, total orders.** No float, clock or hash-map order reaches a result, so the same
//!    input gives the same bytes on any number of threads and in any order of rows and files.
//! 3. **Whole or not at all.** A store version, a night, a file is written beside, flushed and renamed
//!    ([`store::publish`]); what a killed process leaves is removed by the next one.
//!
//! To change what a contact is, see [`contacts::ContactRule`]; how long a stay lasts, `visits/stays.rs`; what a color
//! follows from, the packs in `colors/schemes/`; where a ring is computed, [`rings::Runner`]; what an input column
//! may be called, [`schema`].
#![warn(missing_docs)]

pub mod records;
pub mod visits;
pub mod store;
pub mod contacts;
pub mod rings;
pub mod facts;
pub mod colors;
pub mod outputs;

pub mod backward;
pub mod generate;
pub mod once;
pub mod pipeline;

pub mod cli;
pub mod commands;
pub mod config;
pub mod error;
pub mod ids;
pub mod person_set;
pub mod progress;
pub mod schema;
pub mod time;
pub mod words;
