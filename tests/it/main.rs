//! One integration binary: linking is slow.

mod bad_input;
mod cli;
mod hostile;
mod id_forms;
mod publishing;
mod rejected_rows;
mod support;
