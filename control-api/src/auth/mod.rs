//! Who it is, and what they may do.

mod guard;
mod password;
mod role;
mod routes;
mod scope;
mod session;
mod token;

pub use password::{PasswordError, hash_password};
pub use role::{Role, UnknownRole};

pub(crate) use guard::Guard;
pub(crate) use password::Verifier;
pub(crate) use role::{Admin, Agent, Analyst, Manager, Require, Supervisor, User};
pub(crate) use routes::routes;
pub(crate) use scope::Scope;
pub(crate) use token::Keys;
