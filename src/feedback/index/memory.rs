//! The index in memory: for commands that look at a store whose daemon runs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use super::{Batch, IndexError, Keys, Order, Pairs};

/// As long as it lives, nothing more.
#[derive(Debug, Default)]
pub(in crate::feedback) struct MemoryKeys(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Keys for MemoryKeys {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn page(&self, range: Range<Vec<u8>>, order: Order, limit: usize) -> Result<Pairs, IndexError> {
        if range.start >= range.end {
            return Ok(Vec::new());
        }
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let pairs = map.range(range).map(|(key, value)| (key.clone(), value.clone()));
        Ok(match order {
            Order::Ascending => pairs.take(limit).collect(),
            Order::Descending => pairs.rev().take(limit).collect(),
        })
    }

    fn apply(&self, batch: Batch) -> Result<(), IndexError> {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), IndexError> {
        Ok(())
    }
}
