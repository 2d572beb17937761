//! The one integration binary: oracles, laws, whole commands, whole nights. One, because linking is slow.

mod support;

mod asked;
mod brute;
mod colors;
mod facts;
mod feeds;
mod kernels;
mod laws;
mod months;
mod packs;
mod pages;
mod persons;
mod properties;
mod random;
mod releases;
mod stored;
mod ways;
mod worlds;

mod bad_input;
mod cli;
mod groups;
mod hostile;
mod id_forms;
mod publishing;
mod rejected_rows;

mod backward;
mod compare;
mod exchange;
mod reporting;
mod standing;
mod explaining;
mod night;
mod queries;
mod results;
mod shared_data;
