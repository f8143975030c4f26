//! The page of a load: verdict and objectives first, then when, how far and why; charts are drawn here as SVG, so that
//! the page shows everything without a script and without a network.

mod charts;
mod client;
mod objectives;
mod page;
mod scale;
mod shape;
mod svg;
mod tables;
mod time;

pub use page::render;
