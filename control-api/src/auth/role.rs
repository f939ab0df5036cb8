//! Roles, and the extractors that demand one.

use std::marker::PhantomData;
use std::ops::Deref;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use kraliki_engine::AgentId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::state::Api;

/// What a user may do. The first four include those below them; agents stand beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, trunks and their passwords included.
    Admin,
    /// Campaigns, lists, suppressions, numbers in SIP traces.
    Manager,
    /// Live calls and agents.
    Supervisor,
    /// Reads campaigns, leads, calls and trunks.
    Analyst,
    /// Takes calls; sees only their own.
    Agent,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [Role::Admin, Role::Manager, Role::Supervisor, Role::Analyst, Role::Agent];

    /// The name used in the API and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Manager => "manager",
            Role::Supervisor => "supervisor",
            Role::Analyst => "analyst",
            Role::Agent => "agent",
        }
    }

    /// Its place in the hierarchy; agents have none.
    const fn rank(self) -> u8 {
        match self {
            Role::Admin => 4,
            Role::Manager => 3,
            Role::Supervisor => 2,
            Role::Analyst => 1,
            Role::Agent => 0,
        }
    }

    /// Whether this role may do what `needed` may.
    pub const fn includes(self, needed: Role) -> bool {
        match needed {
            Role::Agent => matches!(self, Role::Agent),
            _ => self.rank() >= needed.rank(),
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.as_str() == name).ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

/// Text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role; the roles are admin, manager, supervisor, analyst and agent")]
pub struct UnknownRole(String);

/// Somebody who is signed in, whoever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) role: Role,
}

impl User {
    /// An agent has the number of the user.
    pub(crate) fn agent(&self) -> AgentId {
        AgentId(self.id)
    }

    /// Whether it is an agent, who sees only their own.
    pub(crate) fn is_agent(&self) -> bool {
        self.role == Role::Agent
    }
}

impl FromRequestParts<Api> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let missing =
            || Problem::unauthorized("Send Authorization: Bearer with the token of POST /api/auth/login.");
        let value = parts.headers.get(AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
        let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        let claims = api.keys().verify(token.trim(), api.engine().wall_unix_ms())?;
        Ok(claims.user())
    }
}

/// A role that a route demands.
pub(crate) trait Needed: Send + Sync {
    const ROLE: Role;
}

macro_rules! needed {
    ($($name:ident),*) => {$(
        pub(crate) enum $name {}
        impl Needed for $name {
            const ROLE: Role = Role::$name;
        }
    )*};
}
needed!(Admin, Manager, Supervisor, Analyst, Agent);

/// Somebody who is signed in and whose role includes `R`: `Require<Manager>`.
pub(crate) struct Require<R>(User, PhantomData<R>);

impl<R> Deref for Require<R> {
    type Target = User;
    fn deref(&self) -> &User {
        &self.0
    }
}

impl<R: Needed> FromRequestParts<Api> for Require<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let user = User::from_request_parts(parts, api).await?;
        if user.role.includes(R::ROLE) {
            return Ok(Require(user, PhantomData));
        }
        let (is, needed) = (user.role.as_str(), R::ROLE.as_str());
        Err(Problem::forbidden(format!("This needs the role {needed}; you are signed in as {is}.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_include_those_below_and_agents_stand_beside() {
        assert!(Role::Admin.includes(Role::Manager));
        assert!(Role::Manager.includes(Role::Analyst));
        assert!(!Role::Analyst.includes(Role::Supervisor));
        assert!(!Role::Agent.includes(Role::Analyst));
        assert!(!Role::Admin.includes(Role::Agent));
        assert!(Role::Agent.includes(Role::Agent));
    }

    #[test]
    fn names_go_both_ways() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
