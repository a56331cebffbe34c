//! From HTTP to WebSocket: which requests want it, which web pages may not, and the handshake.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderMap, ORIGIN, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

/// Whether a request asks for a WebSocket.
pub(super) fn is_wanted<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok());
    request.method() == Method::GET && upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Whether a web page may connect: programs name no origin, and a page of this very host may. Browsers let every page
/// open WebSockets to anywhere, and send along the credentials that they know for the place.
pub(super) fn is_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    let named = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    named.zip(host).is_some_and(|(named, host)| named.eq_ignore_ascii_case(host))
}

/// The answer to a handshake: it switches protocols, or is 400 with a sentence if the handshake is wrong.
pub(super) fn answer<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    create_response_with_body(request, Full::default).unwrap_or_else(|error| {
        let mut response = Response::new(Full::new(Bytes::from(format!("No WebSocket: {error}"))));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::is_own_origin;
    use hyper::header::{HOST, HeaderMap, ORIGIN};

    #[test]
    fn only_pages_of_the_host_itself_and_programs_may_connect() {
        let own = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "127.0.0.1:2916".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            is_own_origin(&headers)
        };
        assert!(own(None));
        assert!(own(Some("http://127.0.0.1:2916")));
        for foreign in ["http://example.com", "null", "http://127.0.0.1", "http://127.0.0.1:2917", "file://", ""] {
            assert!(!own(Some(foreign)), "{foreign}");
        }
    }
}
