//! Signing in, staying signed in, signing out.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::{AgentId, Command, store};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::role::{Role, User};
use super::session::{self, RefreshToken, Renewal};
use crate::error::Problem;
use crate::extract::Json;
use crate::limits;
use crate::peer::{Client, origin_allowed};
use crate::state::Api;

const COOKIE: &str = "kraliki_refresh";

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(me))
}

/// What somebody types.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LoginRequest {
    /// In any case.
    username: String,
    /// As it was set.
    password: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct UserView {
    /// The same number as the agent's.
    #[schema(value_type = i64)]
    id: AgentId,
    /// What is typed at sign-in.
    username: String,
    /// For screens.
    name: String,
    /// What they may do.
    role: Role,
}

/// A token and whose it is. The cookie `kraliki_refresh` comes with it.
#[derive(Debug, Serialize, ToSchema)]
struct Login {
    /// Goes into `Authorization: Bearer`, and into the first message of a live socket.
    access_token: String,
    /// How long it is good for.
    expires_in_s: u64,
    /// Who is signed in.
    user: UserView,
}

/// Sign in
///
/// The same answer, after the same time, for a wrong password and an unknown user. Too many wrong ones lock the user
/// for this address for a while: 429 with Retry-After.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", security(()), request_body = LoginRequest,
    responses((status = 200, body = Login)))]
async fn login(
    State(api): State<Api>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Json(request): Json<LoginRequest>,
) -> Result<Response, Problem> {
    check_origin(&api, &headers)?;
    let wrong = || Problem::unauthorized("The user name or the password is wrong.");
    let count = |result: &str| api.metrics().sign_ins.with_label_values(&[result]).inc();
    let username = request.username.trim();
    if username.is_empty() || username.len() > limits::USERNAME_BYTES {
        return Err(wrong());
    }
    let network = client.network();
    if let Err(rest) = api.guard().begin(username, network, api.uptime()) {
        count("locked");
        return Err(Problem::too_many("Too many wrong passwords; wait, then try again.", rest));
    }
    let store = api.engine().store();
    let user = store.user_by_name(username).await?;
    let hash = user.as_ref().map(|user| user.password_hash.0.clone());
    let right = api.verifier().verify(request.password, hash).await?;
    let Some(user) = user.filter(|_| right) else {
        api.guard().failed(network, api.uptime());
        count("wrong");
        return Err(wrong());
    };
    api.guard().succeeded(username, network);
    count("ok");
    let token = session::start(store, user.id, api.engine().wall_unix_ms()).await?;
    signed_in(&api, client, &token, user)
}

/// Get a new access token
///
/// Uses up the cookie and sets the next one. A cookie that was used before, some seconds ago or longer, was copied, and
/// ends the session.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "auth", security(()), responses((status = 200, body = Login)))]
async fn refresh(
    State(api): State<Api>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check_origin(&api, &headers)?;
    let over = || Problem::unauthorized("The session is over; sign in again.");
    let old = cookie(&headers).ok_or_else(over)?;
    let now = api.engine().wall_unix_ms();
    match session::renew(api.engine().store(), &old, now).await? {
        Renewal::Renewed(token, user) => signed_in(&api, client, &token, user),
        Renewal::Unknown => Err(over()),
        Renewal::Reused(user) => {
            api.metrics().refresh_reused.inc();
            tracing::warn!(user = user.0, ip = %client.ip, "a refresh token was used twice; its session was ended");
            Err(over())
        }
    }
}

/// Sign out
///
/// Ends the session. An agent goes offline; in a call that takes effect after the wrap-up.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", security(()), responses((status = 204)))]
async fn logout(
    State(api): State<Api>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check_origin(&api, &headers)?;
    if let Some(token) = cookie(&headers) {
        let now = api.engine().wall_unix_ms();
        let user = session::end(api.engine().store(), &token, now).await?;
        if let Some(user) = user.filter(|user| user.role == Role::Agent.as_str()) {
            leave(&api, user.id).await;
        }
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(header::SET_COOKIE, set_cookie("", 0, client.https)?);
    Ok(response)
}

/// Who is signed in
#[utoipa::path(get, path = "/api/auth/me", tag = "auth", responses((status = 200, body = UserView)))]
async fn me(State(api): State<Api>, user: User) -> Result<Json<UserView>, Problem> {
    let user = api.engine().store().user(user.agent()).await?;
    user.map(view)
        .transpose()?
        .map(Json)
        .ok_or_else(|| Problem::unauthorized("This user does not exist any more."))
}

/// An agent signs out: no more calls, and the audio leg ends with the last one.
async fn leave(api: &Api, agent: AgentId) {
    // An agent who was not signed in for calls is offline already.
    let _ = api.engine().command(Command::SignOut(agent)).await;
    let in_call = api.engine().snapshot().agents.iter().any(|view| view.id == agent && view.call.is_some());
    if in_call {
        return;
    }
    let session = api.legs().remove(&agent);
    if let Some(session) = session {
        // The browser may have ended it itself.
        let _ = api.engine().close_session(agent, &session).await;
    }
}

fn check_origin(api: &Api, headers: &HeaderMap) -> Result<(), Problem> {
    if origin_allowed(headers, api.allowed_origins()) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "Pages of other hosts may not sign in here; [http] allowed_origins names those that may.",
    ))
}

fn view(user: store::User) -> Result<UserView, Problem> {
    let role = user.role.parse().map_err(|error| {
        tracing::error!(user = user.id.0, %error, "a user has no usable role");
        Problem::forbidden("This user has no role; ask an administrator.")
    })?;
    Ok(UserView { id: user.id, username: user.username, name: user.name, role })
}

fn signed_in(
    api: &Api,
    client: Client,
    token: &RefreshToken,
    user: store::User,
) -> Result<Response, Problem> {
    let user = view(user)?;
    let now = api.engine().wall_unix_ms();
    let claims = User { id: user.id.0, name: user.name.clone(), role: user.role };
    let access_token = api.keys().issue(&claims, now)?;
    let expires_in_s = limits::ACCESS_TOKEN.as_secs();
    let rest_s = token.ends_unix_ms().saturating_sub(now).max(0) / 1000;
    let mut response = Json(Login { access_token, expires_in_s, user }).into_response();
    response.headers_mut().insert(header::SET_COOKIE, set_cookie(&token.text(), rest_s, client.https)?);
    Ok(response)
}

fn set_cookie(value: &str, max_age_s: i64, secure: bool) -> Result<HeaderValue, Problem> {
    let secure = if secure { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE}={value}; Path=/api/auth; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&cookie).map_err(|_| Problem::internal("The cookie could not be written."))
}

fn cookie(headers: &HeaderMap) -> Option<RefreshToken> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .and_then(|(_, value)| RefreshToken::parse(value))
}
