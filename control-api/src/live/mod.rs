//! The live socket: a snapshot, then changes as they happen, to each who may see them.

mod socket;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Problem;
use crate::limits;
use crate::peer::origin_allowed;
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(live))
}

/// Changes as they happen
///
/// A WebSocket. The client's first message is `{"token": "…"}`, within 5 s; it may send another one at any time to renew
/// it. The server sends `{"type": "snapshot", …}` (a `Snapshot`) and then `Event`s; a client that falls behind gets
/// another snapshot. Every 3 s it sends `{"type": "ping", "n": 1}`, to be answered with `{"type": "pong", "n": 1}`; a
/// client that answers none for 10 s is closed. Agents see themselves, their phone, their own calls, and of campaigns `id`, `name`,
/// `status` and `mode`. Closed with 4401: the token is missing, not valid or over; 4408: no answer to pings; 4429: too
/// many sockets; 1008: messages that are not understood.
#[utoipa::path(get, path = "/api/live", tag = "live", security(()),
    responses((status = 101, description = "The socket is open")))]
async fn live(
    State(api): State<Api>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    // Browsers let any page open a socket to any host; only the origin tells whose page it is.
    if !origin_allowed(&headers, api.allowed_origins()) {
        return Err(Problem::forbidden(
            "Pages of other hosts may not connect; [http] allowed_origins names those that may.",
        ));
    }
    let upgrade = upgrade.map_err(|_| Problem::malformed("This is a WebSocket; connect with one."))?;
    let place = Arc::clone(api.live_places()).try_acquire_owned().map_err(|_| {
        Problem::unavailable("Too many live sockets are open; try again.").retry_after(limits::LIVE_TOKEN)
    })?;
    let bytes = limits::LIVE_MESSAGE_BYTES;
    let upgrade = upgrade.max_message_size(bytes).max_frame_size(bytes);
    Ok(upgrade.on_upgrade(async move |socket| {
        socket::run(socket, api).await;
        drop(place);
    }))
}
