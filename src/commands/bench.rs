//! `glanced bench`.
use super::Failure;
use crate::cli::{Bench, Settings};

pub(super) fn bench(_args: &Bench, _settings: &Settings) -> Result<(), Failure> {
    Ok(())
}
