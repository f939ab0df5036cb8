//! The password of an agent's SIP phone, and what else is to be typed into it.

use aws_lc_rs::rand;
use axum::extract::State;
use axum::http::StatusCode;
use kraliki_engine::{AgentId, PhoneView, store};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Agent, Manager, Require};
use crate::error::Problem;
use crate::extract::{Json, Path};
use crate::limits;
use crate::state::Api;

/// Letters and digits that are not taken for each other; 32 of them, 5 bits each.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Letters of a password that is made here: 100 bits.
const LENGTH: usize = 20;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(phone, set_phone, remove_phone)).routes(routes!(remove_phone_of))
}

/// Where a phone registers.
#[derive(Debug, Serialize, ToSchema)]
struct Server {
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    transport: String,
    /// As others see it, e.g. `192.0.2.1:5060`.
    address: String,
}

/// What is to be typed into a phone, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
struct Phone {
    /// Whether this dialer takes SIP phones at all.
    enabled: bool,
    /// Where it registers; one of these.
    servers: Vec<Server>,
    /// The user: also called account, extension or authentication name.
    username: String,
    /// For phones that ask for a realm or domain of authentication.
    realm: Option<String>,
    /// The password, once, when it was just made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    /// How the phone stands; null: it has no password.
    phone: Option<PhoneView>,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PhoneRequest {
    /// 12 to 64 printable ASCII characters; none: one is made.
    #[serde(default)]
    password: Option<String>,
}

/// Your SIP phone
#[utoipa::path(get, path = "/api/agent/phone", tag = "agent", responses((status = 200, body = Phone)))]
async fn phone(State(api): State<Api>, user: Require<Agent>) -> Result<Json<Phone>, Problem> {
    let user = known(&api, user.agent()).await?;
    Ok(Json(view(&api, &user, None)))
}

/// Give your SIP phone a password
///
/// The one before is good no more, and a phone that is registered with it has to register anew. A password that was made
/// here is answered once and can never be read again.
#[utoipa::path(post, path = "/api/agent/phone", tag = "agent", request_body = PhoneRequest,
    responses((status = 201, body = Phone)))]
async fn set_phone(
    State(api): State<Api>,
    user: Require<Agent>,
    Json(request): Json<PhoneRequest>,
) -> Result<(StatusCode, Json<Phone>), Problem> {
    if api.engine().phone_realm().is_none() {
        return Err(Problem::conflict(
            "SIP phones are not switched on here; an administrator sets [sip] phones.",
        ));
    }
    let user = known(&api, user.agent()).await?;
    let made = match &request.password {
        Some(given) => {
            let fits = limits::PHONE_PASSWORD.contains(&given.len())
                && given.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
            if !fits {
                let (least, most) = (limits::PHONE_PASSWORD.start(), limits::PHONE_PASSWORD.end());
                let text = format!("must have {least} to {most} printable ASCII characters");
                return Err(Problem::invalid("password", text));
            }
            None
        }
        None => Some(generate()?),
    };
    let password = made.as_ref().or(request.password.as_ref()).map_or("", String::as_str);
    api.engine().set_phone_password(&user, password).await?;
    tracing::info!(user = user.id.0, "a SIP phone got a password");
    Ok((StatusCode::CREATED, Json(view(&api, &user, made))))
}

/// Take your SIP phone its password
///
/// It is hung up, and cannot register any more.
#[utoipa::path(delete, path = "/api/agent/phone", tag = "agent", responses((status = 204)))]
async fn remove_phone(State(api): State<Api>, user: Require<Agent>) -> Result<StatusCode, Problem> {
    api.engine().remove_phone(user.agent()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take an agent's SIP phone its password
///
/// It is hung up, and cannot register any more: for a phone that was lost.
#[utoipa::path(delete, path = "/api/agents/{id}/phone", tag = "agent",
    params(("id" = i64, Path, description = "Agent")), responses((status = 204)))]
async fn remove_phone_of(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    // Whoever has no phone is left without one, whether or not they exist: the wish is met.
    if api.engine().remove_phone(AgentId(id)).await? {
        tracing::info!(user = id, by = user.agent().0, "a SIP phone lost its password");
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn known(api: &Api, id: AgentId) -> Result<store::User, Problem> {
    let user = api.engine().store().user(id).await?;
    user.ok_or_else(|| Problem::unauthorized("This user does not exist any more."))
}

fn view(api: &Api, user: &store::User, password: Option<String>) -> Phone {
    let engine = api.engine();
    let server = |server: &kraliki_engine::runtime::PhoneServer| Server {
        transport: server.transport.clone(),
        address: server.address.to_string(),
    };
    Phone {
        enabled: engine.phone_realm().is_some(),
        servers: engine.phone_servers().iter().map(server).collect(),
        username: user.username.clone(),
        realm: engine.phone_realm().map(str::to_owned),
        password,
        phone: engine.snapshot().phones.iter().find(|phone| phone.agent == user.id).cloned(),
    }
}

fn generate() -> Result<String, Problem> {
    let mut chance = [0; LENGTH];
    rand::fill(&mut chance).map_err(|_| Problem::internal("The system gave no random numbers."))?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte & 31)).map(|letter| char::from(*letter));
    Ok(chance.iter().filter_map(letter).collect())
}
