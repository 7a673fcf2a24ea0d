//! Integration tests: the real binary, driven from outside, through real brokers.

mod support;

mod requests;
mod results;
mod sources;
