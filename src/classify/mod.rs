//! From a picture to ranked classes. All of it but [`session`] is plain functions on data.

pub mod dhash;
pub mod dynamic;
mod graphs;
pub mod prior;
pub mod quality;
pub mod rank;
pub mod session;
pub mod sketch;
pub mod temperature;
pub mod temporal;
pub mod views;
