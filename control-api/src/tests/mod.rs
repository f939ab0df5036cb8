//! The API as its clients meet it: requests through the whole router, and real sockets where they matter.

mod auth;
mod bad_input;
mod caller_ids;
mod fixture;
mod lists;
mod live;
mod prompts;
mod resources;
mod roles;
mod server;
mod spec;
mod teams;
mod trunks;
