//! The API as its clients meet it: requests through the whole router, and real sockets where they matter.

mod auth;
mod bad_input;
mod fixture;
mod live;
mod prompts;
mod resources;
mod roles;
mod server;
mod spec;
mod trunks;
