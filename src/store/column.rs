//! Columns of visits on loan: slices of what is in memory, or buffers that go back to be filled again.

use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

/// Buffers not in use. A trace reads thousands of columns of all lengths; taking each from the system and giving it back
/// costs more than filling it, and leaves memory in pieces.
#[derive(Default)]
pub struct Pool {
    buffers: Mutex<Vec<Vec<u32>>>,
}

impl Pool {
    /// An empty buffer.
    pub fn take(&self) -> Vec<u32> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps a buffer for the next to come.
    pub fn give_back(&self, mut buffer: Vec<u32>) {
        buffer.clear();
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// The values of a column in some rows.
pub enum Column<'a> {
    /// Part of a longer column in memory.
    Held(&'a [u32]),
    /// Read, or made.
    Read(Vec<u32>, &'a Pool),
}

impl Deref for Column<'_> {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match self {
            Column::Held(values) => values,
            Column::Read(values, _) => values,
        }
    }
}

impl Drop for Column<'_> {
    fn drop(&mut self) {
        if let Column::Read(values, pool) = self {
            pool.give_back(std::mem::take(values));
        }
    }
}
