//! Lists, imports that run by themselves, exports, and why a lead is not dialed.

use axum::http::Method;
use serde_json::{Value, json};

use super::fixture::Fixture;

async fn campaign(fixture: &Fixture) -> String {
    let made = fixture.post("mia", "/api/campaigns", json!({"name": "Spring"})).await.ok(201).json();
    format!("/api/campaigns/{}", made["id"])
}

/// Waits for an import to be over.
async fn ended(fixture: &Fixture, id: &Value) -> Value {
    // Each question goes to the store and back, which lets the import go on.
    for _ in 0..20_000 {
        let import = fixture.get("mia", &format!("/api/imports/{id}")).await.ok(200).json();
        if !["receiving", "running"].contains(&import["state"].as_str().unwrap()) {
            return import;
        }
        tokio::task::yield_now().await;
    }
    panic!("the import does not end");
}

#[tokio::test]
async fn a_list_from_its_making_to_its_end() {
    let fixture = Fixture::start().await;
    let path = campaign(&fixture).await;
    let lists = format!("{path}/lists");
    let made = fixture.post("mia", &lists, json!({"name": "May", "order": "newest"})).await.ok(201);
    let (location, list) = (made.headers["location"].to_str().unwrap().to_owned(), made.json());
    assert_eq!((&list["settings"]["weight"], &list["counts"]), (&json!(1), &json!({})));
    fixture.post("mia", &lists, json!({"name": "May"})).await.problem(409);
    assert_eq!(fixture.post("mia", &lists, json!({"name": ""})).await.problem(422)["field"], "name");

    let csv = "phone,plan\n+12025550100,a\n+12025550101,b\n";
    let into = format!("{path}/leads?list=May");
    fixture.upload("mia", Method::POST, &into, "text/csv", csv.into()).await.ok(200);
    let filter = json!({"field": "custom.plan", "comparison": "equals", "value": "b"});
    let settings = json!({"name": "June", "priority": 5, "filter": filter});
    let changed = fixture.call("mia", Method::PUT, &location, settings).await.ok(200).json();
    assert_eq!((&changed["settings"]["name"], &changed["counts"]["new"]), (&json!("June"), &json!(2)));
    let bad = json!({"name": "June", "filter": {"field": "status", "comparison": "equals", "value": "x"}});
    assert_eq!(fixture.call("mia", Method::PUT, &location, bad).await.problem(422)["field"], "filter.field");
    let reset = format!("{location}/reset");
    fixture.post("mia", &reset, json!({"outcomes": ["busy"]})).await.ok(202);
    fixture.post("mia", &reset, json!({"outcomes": ["nothing"]})).await.problem(422);
    let all = fixture.get("ana", &lists).await.ok(200).json();
    assert_eq!(all.as_array().unwrap().len(), 1);

    fixture.call("mia", Method::DELETE, &location, Value::Null).await.ok(204);
    fixture.call("mia", Method::DELETE, &location, Value::Null).await.problem(404);
    assert_eq!(fixture.get("ana", &lists).await.ok(200).json(), json!([]));
}

#[tokio::test]
async fn an_import_goes_on_by_itself_and_keeps_its_errors() {
    let fixture = Fixture::start().await;
    let path = campaign(&fixture).await;
    let csv = "Kontakt,Jmeno\n+12025550100,Ada\n=cmd,\"Bob, x\"\n+12025550100,Cy\n+12025550101,Dan\n";
    let send = async |query: &str| {
        let to = format!("{path}/imports?list=May&{query}");
        fixture.upload("mia", Method::POST, &to, "text/csv", csv.into()).await
    };
    // {"Kontakt":"phone","Jmeno":"first_name"}
    let map = "map=%7B%22Kontakt%22%3A%22phone%22%2C%22Jmeno%22%3A%22first_name%22%7D";
    let dry = send(&format!("{map}&dry_run=true")).await.ok(202).json();
    let dry = ended(&fixture, &dry["id"]).await;
    assert_eq!((&dry["state"], &dry["imported"], &dry["list"]), (&json!("done"), &json!(2), &Value::Null));
    let leads = format!("{path}/leads");
    assert_eq!(fixture.get("ana", &leads).await.ok(200).json()["items"], json!([]));

    let import = send(map).await.ok(202).json();
    let import = ended(&fixture, &import["id"]).await;
    assert_eq!(
        (&import["rows"], &import["imported"], &import["duplicates"], &import["rejected"]),
        (&json!(4), &json!(2), &json!(1), &json!(1))
    );
    assert_eq!((&import["bytes"], &import["read_bytes"]), (&json!(csv.len()), &json!(csv.len())));
    assert_eq!(
        (&import["errors"][0]["line"], &import["errors"][0]["column"]),
        (&json!(3), &json!("Kontakt"))
    );
    let errors = fixture.get("mia", &format!("/api/imports/{}/errors", import["id"])).await.ok(200);
    let lines: Vec<&str> = errors.text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "line,column,message,record"));
    assert!(
        lines[1].starts_with("3,Kontakt,") && lines[1].ends_with("\"'=cmd,\"\"Bob, x\"\"\""),
        "{}",
        lines[1]
    );
    let listed = fixture.get("mia", &format!("{path}/imports")).await.ok(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(fixture.get("ana", &leads).await.ok(200).json()["items"][0]["first_name"], "Ada");

    // A header that cannot be read is said where the import is asked for.
    let failed = send("map=%7B%22Tel%22%3A%22phone%22%7D").await.ok(202).json();
    let failed = ended(&fixture, &failed["id"]).await;
    assert!(failed["state"] == "failed" && failed["message"].as_str().unwrap().contains("Tel"), "{failed}");
    assert_eq!(send("map=phone").await.problem(422)["field"], "map");
    fixture
        .call("mia", Method::DELETE, &format!("/api/imports/{}", failed["id"]), Value::Null)
        .await
        .problem(409);
    fixture.get("mia", "/api/imports/99").await.problem(404);
    fixture.get("mia", "/api/imports/99/errors").await.problem(404);
}

#[tokio::test]
async fn what_is_exported_can_be_imported_again() {
    let fixture = Fixture::start().await;
    let path = campaign(&fixture).await;
    let lead = json!({
        "phone": "+12025550100", "first_name": "=HYPERLINK(\"x\")", "last_name": "-Lovelace, Ada",
        "phones": [{"phone": "+12025550101", "kind": "mobile"}], "custom": {"plan": "+b", "note": "x"},
    });
    let made = fixture.post("mia", &format!("{path}/leads"), lead).await.ok(201).json();
    assert_eq!(made["phones"][1]["kind"], "mobile");
    let export = fixture.get("mia", &format!("{path}/leads.csv")).await.ok(200);
    assert_eq!(export.headers["content-type"], "text/csv; charset=utf-8");
    let row = export.text.lines().nth(1).unwrap();
    assert!(row.starts_with("'+12025550100,'+12025550101,,,,"), "{row}");
    assert!(!row.split(',').any(|field| field.trim_matches('"').starts_with(['=', '+', '-', '@'])), "{row}");

    let other = fixture.post("mia", "/api/campaigns", json!({"name": "Autumn"})).await.ok(201).json();
    let leads = format!("/api/campaigns/{}/leads", other["id"]);
    let report = fixture.upload("mia", Method::POST, &leads, "text/csv", export.text.clone().into()).await;
    assert_eq!(report.ok(200).json()["imported"], 1);
    let again = fixture.get("ana", &leads).await.ok(200).json()["items"][0].clone();
    for field in ["phone", "first_name", "last_name", "time_zone"] {
        assert_eq!(again[field], made[field], "{field}");
    }
    assert_eq!(
        (&again["custom"]["plan"], &again["phones"][1]["phone"]),
        (&json!("+b"), &json!("+12025550101"))
    );
}

#[tokio::test]
async fn a_lead_says_why_it_is_not_dialed() {
    let fixture = Fixture::start().await;
    let path = campaign(&fixture).await;
    let lead = json!({"phone": "+12025550100"});
    let lead = fixture.post("mia", &format!("{path}/leads?list=May"), lead).await.ok(201).json();
    let why = async || fixture.get("ana", &format!("/api/leads/{}/why", lead["id"])).await.ok(200).json();
    let rules = |why: &Value| -> Vec<String> {
        let reasons = why["reasons"].as_array().unwrap();
        reasons.iter().map(|reason| reason["rule"].as_str().unwrap().to_owned()).collect()
    };
    let said = why().await;
    assert_eq!(said["prospect"], "waits");
    assert!(rules(&said).contains(&"campaign_draft".to_owned()), "{said}");
    assert_eq!((&said["before"], &said["more_before"]), (&json!(0), &json!(false)));
    let list = format!("/api/lists/{}", lead["list"]);
    fixture.call("mia", Method::PUT, &list, json!({"name": "May", "enabled": false})).await.ok(200);
    assert_eq!(rules(&why().await)[0], "list_disabled");
    fixture.post("mia", "/api/suppressions", json!({"phone": "+12025550100"})).await.ok(201);
    let said = why().await;
    assert_eq!((&said["prospect"], rules(&said)[0].as_str()), (&json!("never"), "suppressed"));
    fixture.get("ana", "/api/leads/99/why").await.problem(404);
}

#[tokio::test]
async fn an_erased_person_is_not_there_any_more_and_is_not_called_again() {
    let fixture = Fixture::start().await;
    let path = campaign(&fixture).await;
    let csv = "phone,phone2,first_name\n+12025550100,,Ada\n+12025550101,+12025550100,Bob\n+12025550102,,Cy\n";
    let into = format!("{path}/leads?list=May");
    fixture.upload("mia", Method::POST, &into, "text/csv", csv.into()).await.ok(200);
    let erase = json!({"phone": "+1 202 555 0100"});
    fixture.post("mia", "/api/erase", erase.clone()).await.problem(403);
    let wrong = fixture.post("root", "/api/erase", json!({"phone": "2025550100"})).await.problem(422);
    assert_eq!(wrong["field"], "phone");
    let erased = fixture.post("root", "/api/erase", erase.clone()).await.ok(200).json();
    assert_eq!(erased, json!({"leads": 1, "phones": 1, "calls": 0, "recordings": 0}));

    let leads = async || {
        let items = fixture.get("ana", &format!("{path}/leads")).await.ok(200).json()["items"].clone();
        let lead = |lead: &Value| format!("{} {} {}", lead["first_name"], lead["phone"], lead["status"]);
        items.as_array().unwrap().iter().map(lead).collect::<Vec<_>>()
    };
    let [bob, cy] = [r#""Bob" "+12025550101" "new""#, r#""Cy" "+12025550102" "new""#];
    assert_eq!(leads().await, [bob, cy]);
    // The number stands nowhere, and whoever brings it in again brings it in suppressed.
    assert_eq!(fixture.get("mia", "/api/suppressions").await.ok(200).json()["items"], json!([]));
    let into = format!("{path}/leads?list=June");
    let again = "phone,phone2,first_name\n+12025550100,,Ada\n+12025550103,+12025550100,Dan\n";
    fixture.upload("mia", Method::POST, &into, "text/csv", again.into()).await.ok(200);
    let [ada, dan] = [r#""Ada" "+12025550100" "suppressed""#, r#""Dan" "+12025550103" "new""#];
    assert_eq!(leads().await, [bob, cy, ada, dan]);
    let all = fixture.get("ana", &format!("{path}/leads")).await.ok(200).json();
    let lead = &all["items"][3];
    assert_eq!((&lead["phones"][1]["status"], &lead["dial"]), (&json!("suppressed"), &Value::Null), "{lead}");
    // Once more changes nothing but the lead that came since.
    let erased = fixture.post("root", "/api/erase", erase).await.ok(200).json();
    assert_eq!((&erased["leads"], &erased["phones"]), (&json!(1), &json!(1)));
}
