//! Integration tests: the real binary, driven from outside, through real brokers.

mod support;

mod lifecycle;
mod reconnect;
mod reload;
mod requests;
mod results;
mod security;
mod sources;
