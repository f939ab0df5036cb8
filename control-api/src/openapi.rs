//! The description of the API, made from its handlers.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, path::Operation, path::PathItem};
use utoipa::{Modify, OpenApi as _};

use crate::error::Problem;
use crate::router;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Kraliki Voice",
        description = "An outbound dialer: paces calls over SIP trunks and bridges each answer to an agent's browser.\n\n\
            Times are milliseconds since 1970 (`*_unix_ms`), ids are integers. Errors are \
            `application/problem+json` (RFC 9457).",
    ),
    security(("bearer" = [])),
    components(schemas(Problem, kraliki_engine::Snapshot, kraliki_engine::Event, kraliki_engine::Dedupe)),
    modifiers(&Bearer),
    tags(
        (name = "auth", description = "Signing in"),
        (name = "campaigns", description = "Whom to call, when, how fast"),
        (name = "leads", description = "Lists of people to be called"),
        (name = "lists", description = "How lists are dialed"),
        (name = "imports", description = "Lists that are being read, and what came of them"),
        (name = "agent", description = "The agent's own state and audio"),
        (name = "supervision", description = "Supervisors who listen, whisper or barge in, and set agents' states"),
        (name = "teams", description = "Teams, levels and priorities, reasons for a pause"),
        (name = "calls", description = "Calls in progress and past ones"),
        (name = "prompts", description = "Sounds that campaigns play"),
        (name = "recordings", description = "What was said in calls"),
        (name = "suppressions", description = "Numbers that must not be called"),
        (name = "compliance", description = "What the law says of calls"),
        (name = "trunks", description = "Carriers"),
        (name = "trunk groups", description = "Trunks that calls may go by, one for another"),
        (name = "caller ids", description = "Numbers that are shown, and how they do"),
        (name = "live", description = "Changes as they happen"),
        (name = "operation", description = "For monitoring"),
    )
)]
pub(crate) struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.bearer_format = Some("JWT".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The description of every route, as `/openapi.json` answers it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = router::described().into_openapi();
    // Any answer that is not described with an operation is a problem.
    let problem = ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name("Problem")))).build();
    let response = ResponseBuilder::new()
        .description("What went wrong and what to do")
        .content("application/problem+json", problem)
        .build();
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        operation.responses.responses.insert("default".to_owned(), RefOr::T(response.clone()));
        // A handler is named within its resource; a client generator needs names that are unique.
        let tag = operation.tags.iter().flatten().next().map_or("", String::as_str);
        operation.operation_id = operation.operation_id.take().map(|name| format!("{tag}_{name}"));
    }
    document
}

/// The start of the document, before the routes are added.
pub(crate) fn start() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().filter_map(Option::as_mut)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::openapi;

    #[test]
    fn the_golden_document_is_up_to_date() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let document = openapi().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &document).unwrap();
        }
        let stored = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(
            stored == document,
            "docs/openapi.json is out of date; run the tests once with UPDATE_GOLDEN=1"
        );
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let document = serde_json::to_value(openapi()).unwrap();
        let items = document["paths"].as_object().unwrap().values();
        let mut names: Vec<&str> = items
            .flat_map(|item| {
                ["get", "put", "post", "delete", "patch"].iter().filter_map(|method| item.get(method))
            })
            .map(|operation| operation["operationId"].as_str().unwrap())
            .collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        fn walk(value: &Value, document: &Value) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(reference)) = map.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    map.values().for_each(|v| walk(v, document));
                }
                Value::Array(items) => items.iter().for_each(|v| walk(v, document)),
                _ => {}
            }
        }
        let document = serde_json::to_value(openapi()).unwrap();
        walk(&document, &document);
    }
}
