//! Signing and verifying, against vectors of the RFCs, of openssl, and a certificate authority made here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::certificate::verify_es256;
use super::passport::{Claims, Header, signing_input};
use super::*;
use crate::limits;

/// A key for tests only, made with `openssl ecparam -name prime256v1 -genkey -noout`.
pub(crate) const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIO4m/6WPQulxfybz8X9BMPLBiUv1OqufCqtQtLjkz5WUoAoGCCqGSM49
AwEHoUQDQgAEyocYTFxghkkFk8zgSS8fU8Bvdrw3v7c7Pe/PEUeYPoc8jBCvaTm7
v28Q9qaX8vhwci42Z49IJJnx+cOGi5r0mQ==
-----END EC PRIVATE KEY-----
";
/// The same key in PKCS#8.
pub(crate) const PKCS8: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg7ib/pY9C6XF/JvPx
f0Ew8sGJS/U6q58Kq1C0uOTPlZShRANCAATKhxhMXGCGSQWTzOBJLx9TwG92vDe/
tzs9788RR5g+hzyMEK9pObu/bxD2ppfy+HByLjZnj0gkmfH5w4aLmvSZ
-----END PRIVATE KEY-----
";
/// A key on the curve P-384.
const P384: &str = "-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDD6gfDPB5YwmOpDNhM5
RJPid0FJU44819He+ds4ygcnKk0KzyvDzlVyVpvsXD6XcwahZANiAAQ2LTu8WHAs
fstQz0RpAO+aLVUYkGqOylWZZFSV46JwE0eRj32sGtAuY0wokpv9UmYgJM3DqHU4
D8KVpjfudhiFfWygJirDEJeq7stnMiCfsN7Wo70CfjZ1RigVgZwDsu0=
-----END PRIVATE KEY-----
";

pub(crate) const URL: &str = "https://cert.example.org/passport.cer";
pub(crate) const ORIGID: &str = "123e4567-e89b-12d3-a456-426655440000";
/// The moment of RFC 8588's example: 2015-09-25.
pub(crate) const NOW: u64 = 1_443_208_345;
const FROM: &str = "+12155550121";
const TO: &str = "tel:+1-215-555-0131";

/// What RFC 8588 §4 gives as an example, in canonical form.
const CLAIMS: &str = r#"{"attest":"A","dest":{"tn":["12155550131"]},"iat":1443208345,"orig":{"tn":"12155550121"},"origid":"123e4567-e89b-12d3-a456-426655440000"}"#;

/// A root, an intermediate and the signer's certificate for [`SEC1`].
pub(crate) struct Authority {
    pub(crate) root_pem: String,
    /// What the certificate's address answers.
    pub(crate) chain_pem: String,
    leaf: Vec<u8>,
}

impl Authority {
    /// `years`: the first day of the one to the first day of the other is when the signer's certificate is valid.
    pub(crate) fn new(years: (i32, i32), extension: bool, key_pem: &str) -> Authority {
        let params = |name: &str, ca: bool| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2100, 1, 1);
            if ca {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            }
            params
        };
        let root_key = KeyPair::generate().unwrap();
        let root_params = params("STI root", true);
        let root = root_params.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root_params, root_key);
        let middle_key = KeyPair::generate().unwrap();
        let middle_params = params("STI intermediate", true);
        let middle = middle_params.signed_by(&middle_key, &root_issuer).unwrap();
        let middle_issuer = Issuer::new(middle_params, middle_key);
        let mut leaf_params = params("SHAKEN 1234", false);
        leaf_params.not_before = date_time_ymd(years.0, 1, 1);
        leaf_params.not_after = date_time_ymd(years.1, 1, 1);
        if extension {
            // SEQUENCE { [0] { IA5String "1234" } }: the carrier with the code 1234.
            let list = vec![0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, b'1', b'2', b'3', b'4'];
            let oid = [1, 3, 6, 1, 5, 5, 7, 1, 26];
            leaf_params.custom_extensions.push(CustomExtension::from_oid_content(&oid, list));
        }
        let leaf = leaf_params.signed_by(&KeyPair::from_pem(key_pem).unwrap(), &middle_issuer).unwrap();
        Authority {
            root_pem: root.pem(),
            chain_pem: leaf.pem() + &middle.pem(),
            leaf: leaf.der().as_ref().to_vec(),
        }
    }

    fn usual() -> Authority {
        Authority::new((2015, 2016), true, PKCS8)
    }

    fn verifier(&self) -> Verifier {
        let mut verifier = Verifier::new(&self.root_pem).unwrap();
        verifier.certificate(NOW, URL, self.chain_pem.as_bytes());
        verifier
    }
}

pub(crate) fn signed(attestation: Attestation) -> String {
    Signer::new(SEC1, URL).unwrap().sign(attestation, FROM, &[TO], NOW, ORIGID).unwrap()
}

/// A header value with any JSON, signed with the right key.
fn forged(header: &str, claims: &str) -> String {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
    let der = PrivateKeyDer::from_pem_slice(PKCS8.as_bytes()).unwrap();
    let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der()).unwrap();
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(&aws_lc_rs::rand::SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{};info=<{URL}>;alg=ES256;ppt=shaken", URL_SAFE_NO_PAD.encode(signature))
}

const HEADER: &str =
    r#"{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example.org/passport.cer"}"#;

fn fault(check: Check) -> Fault {
    match check {
        Check::Done(Verdict::Failed(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

fn passed(check: Check) -> Passed {
    match check {
        Check::Done(Verdict::Passed(passed)) => passed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn json_is_canonical() {
    // RFC 8225 appendix A: the encoded header of its example.
    let header = Header {
        alg: "ES256".into(),
        crit: None,
        ppt: None,
        typ: "passport".into(),
        x5u: "https://cert.example.org/passport.cer".into(),
    };
    let claims: Claims = serde_json::from_str(CLAIMS).unwrap();
    let input = signing_input(&header, &claims).unwrap();
    assert_eq!(
        input.split('.').next().unwrap(),
        "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9"
    );
    // RFC 8588 §4, from the signer itself.
    for pem in [SEC1, PKCS8] {
        let signer = Signer::new(pem, URL).unwrap();
        let value = signer.sign(Attestation::A, FROM, &[TO], NOW, ORIGID).unwrap();
        let mut parts = value.split(['.', ';']);
        let mut decoded =
            || String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap()).unwrap();
        assert_eq!((decoded(), decoded()), (HEADER.to_owned(), CLAIMS.to_owned()));
        assert!(
            value.ends_with(";info=<https://cert.example.org/passport.cer>;alg=ES256;ppt=shaken"),
            "{value}"
        );
    }
    // Numbers and URIs side by side, in the order given.
    let value = Signer::new(SEC1, URL)
        .unwrap()
        .sign(Attestation::C, "sip:bob@Example.COM", &["sip:alice@a.example", "+1", "#2"], NOW, ORIGID)
        .unwrap();
    let claims = URL_SAFE_NO_PAD.decode(value.split('.').nth(1).unwrap()).unwrap();
    assert_eq!(
        String::from_utf8(claims).unwrap(),
        format!(
            r##"{{"attest":"C","dest":{{"tn":["1","#2"],"uri":["sip:alice@a.example"]}},"iat":{NOW},"orig":{{"uri":"sip:bob@example.com"}},"origid":"{ORIGID}"}}"##
        )
    );
}

#[test]
fn signatures_of_others_hold() {
    // RFC 7515 appendix A.3.
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let mut point = vec![4];
    point.extend(decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"));
    point.extend(decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
    let message = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature =
        decode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
    assert!(verify_es256(&point, message.as_bytes(), &signature));
    assert!(!verify_es256(&point, b"", &signature));
    // The claims of RFC 8588 §4, signed by openssl with the key above.
    let value = "eyJhbGciOiJFUzI1NiIsInBwdCI6InNoYWtlbiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9.eyJhdHRlc3QiOiJBIiwiZGVzdCI6eyJ0biI6WyIxMjE1NTU1MDEzMSJdfSwiaWF0IjoxNDQzMjA4MzQ1LCJvcmlnIjp7InRuIjoiMTIxNTU1NTAxMjEifSwib3JpZ2lkIjoiMTIzZTQ1NjctZTg5Yi0xMmQzLWE0NTYtNDI2NjU1NDQwMDAwIn0.uTn7ENY8YXnhjTmiUePjK4OruLRnMSc6U2BkS4zqWzG-9FScgqigVo_RHQeYZtpaZK7FlzykrstaboG7aASOTA;info=<https://cert.example.org/passport.cer>;alg=ES256;ppt=\"shaken\"";
    let found = passed(Authority::usual().verifier().verify(NOW, value, FROM, TO, None));
    assert_eq!(found.attestation, Attestation::A);
}

#[test]
fn what_cannot_be_signed_says_what_to_do() {
    let signer = Signer::new(SEC1, URL).unwrap();
    let rsa = "-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(Signer::new("", URL).unwrap_err(), SignError::NoKey);
    assert_eq!(Signer::new(&SEC1.replace("EC PRIVATE", "CERTIFI"), URL).unwrap_err(), SignError::NoKey);
    assert_eq!(Signer::new(P384, URL).unwrap_err(), SignError::WrongKey);
    assert_eq!(Signer::new(rsa, URL).unwrap_err(), SignError::WrongKey);
    // openssl writes the curve before the key when it is not told otherwise.
    let with_curve =
        format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{SEC1}");
    assert!(Signer::new(&with_curve, URL).is_ok());
    for url in ["http://x/y", "https://", "https:///path", "https://x/ y", "https://x/>;ppt=div", "ftp://x"] {
        assert_eq!(Signer::new(SEC1, url).unwrap_err(), SignError::BadUrl(url.into()));
    }
    let sign =
        |orig, dest: &[&str], origid| signer.sign(Attestation::B, orig, dest, NOW, origid).unwrap_err();
    assert_eq!(sign("anonymous", &[TO], ORIGID), SignError::BadParty("caller"));
    assert_eq!(sign(FROM, &[TO, ""], ORIGID), SignError::BadParty("destination"));
    assert_eq!(sign(FROM, &[], ORIGID), SignError::Destinations);
    assert_eq!(sign(FROM, &[TO; limits::STIR_DESTINATIONS + 1], ORIGID), SignError::Destinations);
    assert_eq!(sign(FROM, &[TO], "call-7"), SignError::BadOrigid);
    assert!(SignError::WrongKey.to_string().contains("prime256v1"));
    assert!(!format!("{signer:?}").contains("key"));
}

#[test]
fn row_22_signed_here_holds_there() {
    let authority = Authority::usual();
    for attestation in [Attestation::A, Attestation::B, Attestation::C] {
        let value = signed(attestation);
        let mut verifier = Verifier::new(&authority.root_pem).unwrap();
        let date = parse_date(format_date(NOW).as_bytes());
        let ask = |verifier: &mut Verifier| {
            verifier.verify(NOW + 5, &value, "sip:+12155550121@a.example;user=phone", TO, date)
        };
        assert_eq!(ask(&mut verifier), Check::NeedsCertificate { url: URL.into() });
        verifier.certificate(NOW, URL, authority.chain_pem.as_bytes());
        let check = ask(&mut verifier);
        let Check::Done(verdict) = &check else { panic!() };
        assert_eq!((verdict.verstat(), verdict.response()), ("TN-Validation-Passed", None));
        let expected = Passed { attestation, origid: ORIGID.into(), iat_unix_s: NOW, tn_auth_list: true };
        assert_eq!(passed(check), expected);
    }
    // Without the extension, and with a chain that already holds the root, and as bare DER below a known root.
    let plain = Authority::new((2015, 2016), false, PKCS8);
    let mut verifier = Verifier::new(&plain.root_pem).unwrap();
    verifier.certificate(NOW, URL, (plain.chain_pem.clone() + &plain.root_pem).as_bytes());
    assert!(!passed(verifier.verify(NOW, &signed(Attestation::A), FROM, TO, None)).tn_auth_list);
    verifier.certificate(NOW, URL, &plain.leaf);
    // The intermediate is missing.
    let found = fault(verifier.verify(NOW, &signed(Attestation::A), FROM, TO, None));
    assert_eq!(found, Fault::CertificateUntrusted);
}

#[test]
fn each_fault_has_its_name_and_its_response() {
    let authority = Authority::usual();
    let mut verifier = authority.verifier();
    let good = signed(Attestation::A);
    let mut check = |value: &str, expected: Fault, status: Option<u16>| {
        let found = fault(verifier.verify(NOW, value, FROM, TO, Some(NOW)));
        assert_eq!(found, expected, "{value}");
        assert_eq!(found.response().map(|(status, _)| status), status);
    };
    let malformed = Fault::Malformed;
    check("", malformed("info is missing"), Some(438));
    check("x;info=<https://a>", malformed("the token has no signature"), Some(438));
    check(&format!("..c2ln;info=<{URL}>"), malformed("the token is in the compact form"), Some(438));
    check(&format!("!.!.!;info=<{URL}>"), malformed("the token is not base64url"), Some(438));
    check(&good.replace("ppt=shaken", "ppt=div"), Fault::OtherExtension, None);
    check(&good.replace("alg=ES256", "alg=RS256"), Fault::Algorithm, Some(437));
    check(&good.replace("passport.cer>", "other.cer>"), Fault::InfoMismatch, Some(436));
    check(&forged(&HEADER.replace("ES256", "none"), CLAIMS), Fault::Algorithm, Some(437));
    check(
        &forged(&HEADER.replace("shaken", "div"), CLAIMS),
        malformed("ppt differs from the token's"),
        Some(438),
    );
    let unsaid = forged(&HEADER.replace(r#""ppt":"shaken","#, ""), CLAIMS);
    check(&unsaid.replace(";ppt=shaken", ""), Fault::OtherExtension, None);
    check(
        &forged(&HEADER.replace("\"passport\"", "\"JWT\""), CLAIMS),
        malformed("the token's typ is not passport"),
        Some(438),
    );
    check(
        &forged(&HEADER.replace("{", r#"{"crit":["x"],"#), CLAIMS),
        malformed("the token asks for what is not known here"),
        Some(438),
    );
    let no_claims = malformed("the token's claims are not JSON with attest, dest, iat, orig and origid");
    check(&forged(HEADER, "{}"), no_claims.clone(), Some(438));
    check(&forged(HEADER, &CLAIMS.replace("\"A\"", "\"D\"")), no_claims.clone(), Some(438));
    check(&forged(HEADER, &CLAIMS.replace("1443208345", "-1")), no_claims, Some(438));
    for iat in [NOW - 61, NOW + 61] {
        let claims = CLAIMS.replace("1443208345", &iat.to_string());
        check(&forged(HEADER, &claims), Fault::Stale("signature"), Some(403));
    }
    check(&forged(HEADER, &CLAIMS.replace("0121", "0122")), Fault::OtherParty("caller"), Some(438));
    check(&forged(HEADER, &CLAIMS.replace("0131", "0132")), Fault::OtherParty("callee"), Some(438));
    check(&forged(HEADER, &CLAIMS.replace("\"tn\":[", "\"uri\":[")), Fault::OtherParty("callee"), Some(438));

    // What only the request or the certificate shows.
    let old_date = fault(verifier.verify(NOW, &good, FROM, TO, Some(NOW - 61)));
    assert_eq!(
        (old_date.response(), old_date.verstat()),
        (Some((403, "Stale Date")), "TN-Validation-Failed")
    );
    let anonymous = fault(verifier.verify(NOW, &good, "anonymous", TO, None));
    assert_eq!((anonymous.response(), anonymous.verstat()), (None, "No-TN-Validation"));
    let other_key = Signer::new(&KeyPair::generate().unwrap().serialize_pem(), URL).unwrap();
    let other = other_key.sign(Attestation::A, FROM, &[TO], NOW, ORIGID).unwrap();
    assert_eq!(fault(verifier.verify(NOW, &other, FROM, TO, None)), Fault::Signature);
    assert_eq!(Fault::Unsigned.response(), Some((428, "Use Identity Header")));

    // Lenient where nothing is lost by it: more claims, a list where one text belongs.
    let more = CLAIMS.replace("{\"attest\"", "{\"rcd\":{\"nam\":\"x\"},\"attest\"");
    passed(verifier.verify(NOW, &forged(HEADER, &more), FROM, TO, None));
    let list = CLAIMS.replace("\"tn\":\"12155550121\"", "\"tn\":[\"+12155550121\"]");
    passed(verifier.verify(NOW, &forged(HEADER, &list), FROM, TO, None));
}

#[test]
fn certificates_that_do_not_count() {
    let value = signed(Attestation::A);
    let ask = |verifier: &mut Verifier| fault(verifier.verify(NOW, &value, FROM, TO, None));
    let with = |root: &str, body: &[u8]| {
        let mut verifier = Verifier::new(root).unwrap();
        verifier.certificate(NOW, URL, body);
        verifier
    };
    let authority = Authority::usual();
    // Of another root.
    let stranger = Authority::usual();
    let found = ask(&mut with(&authority.root_pem, stranger.chain_pem.as_bytes()));
    assert_eq!(
        (&found, found.response()),
        (&Fault::CertificateUntrusted, Some((437, "Unsupported Credential")))
    );
    // Expired, and not valid yet.
    for years in [(2010, 2015), (2016, 2020)] {
        let authority = Authority::new(years, true, PKCS8);
        let found = ask(&mut with(&authority.root_pem, authority.chain_pem.as_bytes()));
        assert_eq!(found, Fault::CertificateExpired);
    }
    // Of another curve.
    let p384 = Authority::new((2015, 2016), true, P384);
    let found = ask(&mut with(&p384.root_pem, p384.chain_pem.as_bytes()));
    assert_eq!(found, Fault::CertificateUnusable("its key is not on the curve P-256"));
    // A root signs no calls.
    let found = ask(&mut with(&authority.root_pem, authority.root_pem.as_bytes()));
    assert_eq!(found, Fault::CertificateUntrusted);
    // No certificate at all.
    for body in
        [&b""[..], b"<html>", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &[0x30, 0x84]]
    {
        assert!(matches!(ask(&mut with(&authority.root_pem, body)), Fault::CertificateUnusable(_)));
    }
    let endless = authority.chain_pem.repeat(limits::STIR_CHAIN);
    let found = ask(&mut with(&authority.root_pem, endless.as_bytes()));
    assert_eq!(found, Fault::CertificateUnusable("the chain is too long"));
    // Not to be had.
    let mut verifier = Verifier::new(&authority.root_pem).unwrap();
    verifier.unavailable(NOW, URL);
    let found = ask(&mut verifier);
    assert_eq!((found.response(), found.verstat()), (Some((436, "Bad Identity Info")), "No-TN-Validation"));
    // Roots that are none.
    assert_eq!(Verifier::new("").unwrap_err(), RootsError::Empty);
    let broken =
        authority.root_pem.clone() + "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    assert_eq!(Verifier::new(&broken).unwrap_err(), RootsError::Unreadable(2));
}

#[test]
fn certificates_age() {
    let authority = Authority::usual();
    let signer = Signer::new(SEC1, URL).unwrap();
    let mut verifier = Verifier::new(&authority.root_pem).unwrap();
    let ask = |verifier: &mut Verifier, now: u64| {
        let value = signer.sign(Attestation::A, FROM, &[TO], now, ORIGID).unwrap();
        verifier.verify(now, &value, FROM, TO, None)
    };
    let needs = Check::NeedsCertificate { url: URL.into() };
    // A failure is remembered for a minute, a certificate for an hour.
    verifier.unavailable(NOW, URL);
    assert_eq!(fault(ask(&mut verifier, NOW + 59)), Fault::CertificateUnavailable);
    assert_eq!(ask(&mut verifier, NOW + 60), needs);
    verifier.certificate(NOW + 60, URL, authority.chain_pem.as_bytes());
    passed(ask(&mut verifier, NOW + 60 + 3_599));
    assert_eq!(ask(&mut verifier, NOW + 60 + 3_600), needs);
    // It expires while it is kept: noticed within a minute, and asked for anew once it is five minutes old.
    let end = 1_451_606_400; // 2016-01-01
    verifier.certificate(end - 10, URL, authority.chain_pem.as_bytes());
    passed(ask(&mut verifier, end - 10));
    passed(ask(&mut verifier, end + 40)); // the chain was checked less than a minute ago
    assert_eq!(fault(ask(&mut verifier, end + 51)), Fault::CertificateExpired);
    assert_eq!(ask(&mut verifier, end + 290), needs);
    // A signature that fails asks for a renewed certificate, not more than every five minutes.
    let renewed = Authority::new((2015, 2017), true, &KeyPair::generate().unwrap().serialize_pem());
    let mut verifier = Verifier::new(&renewed.root_pem).unwrap();
    verifier.certificate(NOW, URL, renewed.chain_pem.as_bytes());
    assert_eq!(fault(ask(&mut verifier, NOW + 299)), Fault::Signature);
    assert_eq!(ask(&mut verifier, NOW + 300), needs);
}

#[test]
fn the_store_is_bounded_and_made_up_addresses_push_out_each_other() {
    let authority = Authority::usual();
    let mut verifier = authority.verifier();
    for i in 0..limits::STIR_CERTIFICATES + 100 {
        verifier.unavailable(NOW, &format!("https://{i}.example/"));
    }
    assert_eq!(verifier.certificates(), limits::STIR_CERTIFICATES);
    passed(verifier.verify(NOW, &signed(Attestation::A), FROM, TO, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One character of the token changed to another: never verified.
    #[test]
    fn tampering_shows(at: prop::sample::Index, to in "[A-Za-z0-9_.-]") {
        let value = signed(Attestation::A);
        let end = value.find(';').unwrap();
        let at = at.index(end);
        prop_assume!(value[at..=at] != to);
        let tampered = format!("{}{to}{}", &value[..at], &value[at + 1..]);
        let mut verifier = Authority::usual().verifier();
        let check = verifier.verify(NOW, &tampered, FROM, TO, None);
        prop_assert!(matches!(check, Check::Done(Verdict::Failed(_))), "{:?}", check);
    }

    /// Any text in any place: an answer, no panic.
    #[test]
    fn any_text(identity: String, from: String, to: String, body: Vec<u8>) {
        let value = signed(Attestation::A);
        let mut verifier = Verifier::new(&Authority::usual().root_pem).unwrap();
        verifier.certificate(NOW, URL, &body);
        let _ = verifier.verify(NOW, &identity, &from, &to, None);
        let _ = verifier.verify(NOW, &value, FROM, TO, None);
        let _ = verifier.verify(NOW, &format!("{value}{identity}"), FROM, TO, None);
    }
}
