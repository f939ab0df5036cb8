//! A client of the API.

use std::time::Duration;

use serde_json::{Value, json};

/// Longer than anything but a huge list takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody who is signed in, or nobody.
#[derive(Clone)]
pub(crate) struct Client {
    http: ureq::Agent,
    base: String,
    token: String,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) text: String,
}

impl Reply {
    /// The body, which has to be of that status.
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The problem, which has to be complete and of that status.
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!((self.status, &*self.content_type), (status, "application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(problem["status"], status, "{problem}");
        for key in ["type", "title", "detail"] {
            assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "no {key} in {problem}");
        }
        problem
    }
}

impl Client {
    /// Nobody, at `http://host:port`.
    pub(crate) fn new(base: &str) -> Client {
        Client::patient(base, PATIENCE)
    }

    /// As `new`, for requests that may take longer.
    pub(crate) fn patient(base: &str, most: Duration) -> Client {
        // A connection for each request: the server closes one whose body it had no use for, and the next request on it
        // would fail.
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(most))
            .max_idle_connections(0)
            .build();
        Client { http: config.into(), base: base.to_owned(), token: String::new() }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The same person at another address, or with more patience.
    pub(crate) fn with_token_of(mut self, other: &Client) -> Client {
        self.token.clone_from(&other.token);
        self
    }

    pub(crate) fn login(base: &str, username: &str, password: &str) -> Client {
        let mut client = Client::new(base);
        let body = json!({"username": username, "password": password});
        let answer = client.post("/api/auth/login", &body).ok(200);
        client.token = answer["access_token"].as_str().unwrap().to_owned();
        client
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.try_get(path).unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.try_post(path, body).unwrap()
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Reply {
        let request =
            self.http.put(format!("{}{path}", self.base)).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", self.token));
        read(request.send(body.to_string()).unwrap()).unwrap()
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        let request = self.http.delete(format!("{}{path}", self.base));
        read(request.header("authorization", format!("Bearer {}", self.token)).call().unwrap()).unwrap()
    }

    /// A body that is no text, with its type.
    pub(crate) fn bytes(&self, path: &str) -> (String, Vec<u8>) {
        let request = self.http.get(format!("{}{path}", self.base));
        let response = request.header("authorization", format!("Bearer {}", self.token)).call().unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        (content_type, response.into_body().read_to_vec().unwrap())
    }

    /// A request that may find nobody there any more.
    pub(crate) fn try_get(&self, path: &str) -> Result<Reply, ureq::Error> {
        let request = self.http.get(format!("{}{path}", self.base));
        read(request.header("authorization", format!("Bearer {}", self.token)).call()?)
    }

    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Result<Reply, ureq::Error> {
        self.try_send(path, "application/json", &*body.to_string())
    }

    pub(crate) fn send(&self, path: &str, of: &str, body: impl ureq::AsSendBody) -> Reply {
        self.try_send(path, of, body).unwrap()
    }

    pub(crate) fn try_send(
        &self,
        path: &str,
        of: &str,
        body: impl ureq::AsSendBody,
    ) -> Result<Reply, ureq::Error> {
        let request = self.http.post(format!("{}{path}", self.base)).header("content-type", of);
        read(request.header("authorization", format!("Bearer {}", self.token)).send(body)?)
    }
}

fn read(response: ureq::http::Response<ureq::Body>) -> Result<Reply, ureq::Error> {
    let content_type = response.headers().get("content-type").and_then(|v| v.to_str().ok());
    Ok(Reply {
        status: response.status().as_u16(),
        content_type: content_type.unwrap_or_default().to_owned(),
        text: response.into_body().read_to_string()?,
    })
}
