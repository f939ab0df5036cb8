//! Dialogs (RFC 3261 §12): tags, sequence numbers, route set, remote target.

use bytes::Bytes;

use crate::core::Core;
use crate::limits;
use crate::message::{Headers, Method, Name, NameAddr, Request, Response, Writer};
use crate::transaction::Hop;

/// What two user agents know of each other in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dialog {
    pub(crate) call_id: Bytes,
    /// Our From (or To) value, tag included.
    pub(crate) local: Bytes,
    /// The peer's To (or From) value, tag included.
    pub(crate) remote: Bytes,
    pub(crate) remote_tag: Bytes,
    pub(crate) local_seq: u32,
    pub(crate) remote_seq: Option<u32>,
    /// The peer's Contact URI.
    pub(crate) target: Bytes,
    /// Route values, in the order in which they are written.
    pub(crate) routes: Vec<Bytes>,
    /// Where requests go.
    pub(crate) hop: Hop,
    /// The peer is a registered phone. It is reached where it sends from, whatever its Contact says: that may be a
    /// private address, or a browser's `xyz.invalid`.
    pub(crate) pinned: bool,
}

impl Dialog {
    /// From a 2xx to our INVITE (§12.1.2). A peer that leaves out its tag (RFC 2543) has an empty one; one that
    /// leaves out its Contact is asked for at the URI that we called.
    pub(crate) fn of_caller(
        core: &Core,
        response: &Response,
        local: Bytes,
        called: &[u8],
        seq: u32,
        hop: Hop,
    ) -> Dialog {
        let tag = response.to().and_then(|to| to.tag()).unwrap_or_default();
        let mut routes = routes(response);
        routes.reverse();
        let target =
            response.contact().map_or_else(|| Bytes::copy_from_slice(called), |c| response.share(c.uri));
        let mut dialog = Dialog {
            call_id: response.share(response.call_id().unwrap_or_default()),
            local,
            remote: response.share(response.get(Name::To).unwrap_or_default()),
            remote_tag: response.share(tag),
            local_seq: seq,
            remote_seq: None,
            target,
            routes,
            hop,
            pinned: false,
        };
        dialog.hop = dialog.next_hop(core);
        dialog
    }

    /// From a peer's INVITE that we answer with `tag` (§12.1.1).
    pub(crate) fn of_callee(core: &Core, request: &Request, tag: &[u8], hop: Hop) -> Dialog {
        let to = request.get(Name::To).unwrap_or_default();
        let from = request.from();
        let target = match request.contact() {
            Some(contact) => contact.uri,
            None => from.map_or(&b""[..], |from| from.uri),
        };
        let mut dialog = Dialog {
            call_id: request.share(request.call_id().unwrap_or_default()),
            local: Bytes::from([to, b";tag=", tag].concat()),
            remote: request.share(request.get(Name::From).unwrap_or_default()),
            remote_tag: request.share(from.and_then(|from| from.tag()).unwrap_or_default()),
            local_seq: 0,
            remote_seq: request.cseq().map(|cseq| cseq.number),
            target: request.share(target),
            routes: routes(request),
            hop,
            pinned: false,
        };
        dialog.hop = dialog.next_hop(core);
        dialog
    }

    /// Keeps the dialog on the flow of a registered phone, unless it has a route (RFC 5626 §5.3).
    pub(crate) fn pin(&mut self, core: &Core, flow: Hop) {
        (self.pinned, self.hop) = (true, flow);
        self.hop = self.next_hop(core);
    }

    /// Where requests go: the first route, else the target, when that is an address. A name is not looked up
    /// here: then the peer that the call came through is the way.
    fn next_hop(&self, core: &Core) -> Hop {
        if self.pinned && self.routes.is_empty() {
            return self.hop;
        }
        let uri = match self.routes.first() {
            Some(route) => NameAddr::parse(route).map_or(&b""[..], |route| route.uri),
            None => &self.target[..],
        };
        core.route_to_uri(uri, self.hop)
    }

    /// The peer's Contact in a re-INVITE, UPDATE or its answer is the new target (§12.2.1.2, RFC 3311 §5.1).
    pub(crate) fn refresh(&mut self, core: &Core, headers: &Headers) {
        if let Some(contact) = headers.contact() {
            self.target = headers.share(contact.uri);
            self.hop = self.next_hop(core);
        }
    }

    /// The start of a request within the dialog (§12.2.1.1), up to and including CSeq.
    pub(crate) fn write(&self, core: &Core, method: &Method, seq: u32, branch: &[u8], body: usize) -> Writer {
        let first = self.routes.first().and_then(|route| NameAddr::parse(route));
        let strict = first.filter(|first| first.parsed_uri().is_some_and(|uri| !uri.params.has("lr")));
        let uri = strict.map_or(&self.target[..], |first| first.uri);
        let mut w = Writer::request(method, uri, body);
        w.via(&core.via(self.hop.socket), branch).max_forwards();
        for route in self.routes.iter().skip(usize::from(strict.is_some())) {
            w.header(Name::Route, route);
        }
        if strict.is_some() {
            // §12.2.1.1: a strict router takes its own URI as Request-URI, and the target goes last.
            w.raw(b"Route: <").clean(&self.target).raw(b">\r\n");
        }
        w.header(Name::From, &self.local).header(Name::To, &self.remote).header(Name::CallId, &self.call_id);
        w.cseq(seq, method);
        w
    }
}

fn routes(headers: &Headers) -> Vec<Bytes> {
    headers.values(Name::RecordRoute).take(limits::ROUTES).map(|route| headers.share(route)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::SocketId;
    use crate::event::EndpointConfig;
    use crate::message::Message;
    use crate::recovery::DialogSnapshot;
    use crate::transport::{LocalSocket, Transport};

    fn core() -> Core {
        let at = "192.0.2.7:5060".parse().unwrap();
        let socket = |transport| LocalSocket { transport, bound: at, advertise: at };
        let sockets = [Transport::Udp, Transport::Tcp, Transport::Ws].map(socket).to_vec();
        Core::new(EndpointConfig { sockets, ..EndpointConfig::default() }, [0; 32], Default::default())
    }

    fn dialog(record_route: &str) -> Dialog {
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:us@h>;tag=a\r\nTo: <sip:them@h>;tag=b\r\n\
             Call-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:them@192.0.2.9:5090>\r\n{record_route}\r\n"
        );
        let Ok(Message::Response(response)) = Message::parse(text.into()) else { panic!() };
        let hop = Hop { socket: SocketId(0), to: "192.0.2.1:5060".parse().unwrap() };
        Dialog::of_caller(&core(), &response, Bytes::from_static(b"<sip:us@h>;tag=a"), b"sip:them@h", 1, hop)
    }

    fn written(dialog: &Dialog) -> String {
        let bytes = dialog.write(&core(), &Method::Bye, 2, b"z9hG4bK1", 0).body(None);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn no_route() {
        let d = dialog("");
        assert_eq!(d.hop.to, "192.0.2.9:5090".parse().unwrap());
        assert!(written(&d).starts_with("BYE sip:them@192.0.2.9:5090 SIP/2.0\r\n"));
    }

    #[test]
    fn loose_routes_are_reversed_for_the_caller() {
        let d = dialog("Record-Route: <sip:192.0.2.5;lr>, <sip:192.0.2.6;lr>\r\n");
        assert_eq!(d.hop.to, "192.0.2.6:5060".parse().unwrap());
        let text = written(&d);
        assert!(text.starts_with("BYE sip:them@192.0.2.9:5090 SIP/2.0\r\n"));
        assert!(text.contains("Route: <sip:192.0.2.6;lr>\r\nRoute: <sip:192.0.2.5;lr>\r\n"));
    }

    #[test]
    fn a_strict_router_gets_its_own_uri() {
        let d = dialog("Record-Route: <sip:192.0.2.5;lr>, <sip:192.0.2.6>\r\n");
        let text = written(&d);
        assert!(text.starts_with("BYE sip:192.0.2.6 SIP/2.0\r\n"));
        assert!(text.contains("Route: <sip:192.0.2.5;lr>\r\nRoute: <sip:them@192.0.2.9:5090>\r\n"));
    }

    #[test]
    fn a_snapshot_can_be_stored() {
        for routes in ["", "Record-Route: <sip:192.0.2.5;lr>, <sip:192.0.2.6;lr>\r\n"] {
            for bound in [None, Some("[2001:db8::7]:5062".parse().unwrap())] {
                let snapshot = DialogSnapshot { dialog: dialog(routes), transport: Transport::Tcp, bound };
                assert_eq!(snapshot.encode().parse(), Ok(snapshot));
            }
        }
        assert!("".parse::<DialogSnapshot>().is_err());
        assert!("1\nx".parse::<DialogSnapshot>().is_err());
        // As it was written before there was more than UDP.
        let text = DialogSnapshot { dialog: dialog(""), transport: Transport::Udp, bound: None }.encode();
        assert_eq!(text.replacen("udp ", "", 1).parse::<DialogSnapshot>().unwrap().transport, Transport::Udp);
    }

    #[test]
    fn a_uri_says_how_it_is_reached() {
        let (core, known) = (core(), Hop { socket: SocketId(0), to: "192.0.2.1:5060".parse().unwrap() });
        let route = |uri: &str, known: Hop| {
            let hop = core.route_to_uri(uri.as_bytes(), known);
            (hop.socket.0, hop.to.to_string())
        };
        assert_eq!(route("sip:192.0.2.9", known), (0, "192.0.2.9:5060".into()));
        assert_eq!(route("sip:192.0.2.9:7;transport=TCP", known), (1, "192.0.2.9:7".into()));
        // No TLS socket here, a name, another family, a browser: the way that is known.
        for uri in ["sips:192.0.2.9", "sip:h.example.com", "sip:[2001:db8::1]", "sip:x.invalid;transport=ws"]
        {
            assert_eq!(route(uri, known), (0, "192.0.2.1:5060".into()), "{uri}");
        }
        // A peer that came by TCP and does not say so in its Contact.
        let by_tcp = Hop { socket: SocketId(1), ..known };
        assert_eq!(route("sip:192.0.2.9", by_tcp), (1, "192.0.2.9:5060".into()));
    }
}
