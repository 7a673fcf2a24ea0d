//! Integration tests: the real binary, driven from outside, through real brokers.

mod support;

mod backlog;
mod bad_input;
mod bundles;
mod calibrate;
mod collect;
mod commands;
mod config;
mod eval;
mod feedback;
mod feedback_commands;
mod freshness;
mod homeassistant;
mod http;
mod learning;
mod lifecycle;
mod reconnect;
mod reload;
mod repeats;
mod requests;
mod results;
mod security;
mod sources;
mod systemd;
mod torture;
mod tuning;
mod web;
