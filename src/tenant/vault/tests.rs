//! The vault itself: what opens where, what stays shut, and who may open how much.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use base64ct::{Base64UrlUnpadded, Encoding};
use futures_util::future::LocalBoxFuture;

use super::*;
use crate::App;
use crate::config::{Config, KEYS_OPENED_A_MINUTE, KEYS_OPENED_A_REQUEST};
use crate::ids::RequestId;
use crate::platform::{Body, Level, Outbound, Platform, SendError};
use crate::tenant::{Actor, Company};

fn ring(numbers: &[u8]) -> MasterKeys {
    let pair = |n: &u8| format!("{n}:{}", Base64UrlUnpadded::encode_string(&[*n; 32]));
    let text = numbers.iter().map(pair).collect::<Vec<_>>().join(",");
    MasterKeys::parse(&|_| Some(text.clone())).unwrap()
}

fn company(n: u8) -> CompanyId {
    format!("01890a5d-ac96-774b-bcce-b302099a80{n:02x}").parse().unwrap()
}

fn provider(n: u8) -> ProviderId {
    format!("01890a5d-ac96-774b-bcce-b302099a81{n:02x}").parse().unwrap()
}

/// A key of the first provider of the first company.
fn sealed(ring: &MasterKeys, key: &str, nonce: [u8; NONCE]) -> Vec<u8> {
    ring.seal(company(1), Kept::ProviderKey(provider(1)), key.as_bytes(), nonce).unwrap()
}

#[test]
fn a_key_opens_where_it_was_sealed_and_nowhere_else() {
    let ring = ring(&[1]);
    let sealed = sealed(&ring, "a provider key", [9; 12]);
    assert_eq!(ring.open_key(company(1), provider(1), &sealed).unwrap().expose(), "a provider key");
    assert!(ring.open_key(company(2), provider(1), &sealed).is_none(), "another company");
    assert!(ring.open_key(company(1), provider(2), &sealed).is_none(), "another provider");
    assert!(self::ring(&[2]).open_key(company(1), provider(1), &sealed).is_none(), "another master key");
}

#[test]
fn every_flipped_byte_keeps_it_shut() {
    let ring = ring(&[1, 0]);
    let sealed = sealed(&ring, "a provider key", [9; 12]);
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1;
        assert!(ring.open_key(company(1), provider(1), &flipped).is_none(), "byte {at}");
        assert!(ring.open_key(company(1), provider(1), &sealed[..at]).is_none());
    }
}

#[test]
fn master_keys_rotate() {
    let sealed = sealed(&ring(&[1]), "old", [9; 12]);
    let both = ring(&[2, 1]);
    assert_eq!(both.open_key(company(1), provider(1), &sealed).unwrap().expose(), "old");
    let fresh = self::sealed(&both, "new", [8; 12]);
    assert!(ring(&[1]).open_key(company(1), provider(1), &fresh).is_none());
    assert_eq!(ring(&[2]).open_key(company(1), provider(1), &fresh).unwrap().expose(), "new");
}

#[test]
fn a_sealed_key_moved_to_any_other_place_stays_shut() {
    let ring = ring(&[2, 1]);
    let sealed = sealed(&ring, "a provider key", [9; 12]);
    let opens = |company, provider, bytes: Vec<u8>| ring.open_key(company, provider, &bytes).is_some();
    assert!(opens(company(1), provider(1), sealed.clone()), "the control");
    for n in 2..=64 {
        assert!(!opens(company(n), provider(1), sealed.clone()), "company {n}");
        assert!(!opens(company(1), provider(n), sealed.clone()), "provider {n}");
        assert!(!opens(company(n), provider(n), sealed.clone()), "company and provider {n}");
    }
    // Under another version or master key number in its head, a known one too, it is not what was sealed.
    for version in (0..=u8::MAX).filter(|version| *version != VERSION) {
        let mut moved = sealed.clone();
        moved[0] = version;
        assert!(!opens(company(1), provider(1), moved), "version {version}");
    }
    for number in (0..=u16::MAX).filter(|number| *number != 2) {
        let mut moved = sealed.clone();
        moved[1..3].copy_from_slice(&number.to_be_bytes());
        assert!(!opens(company(1), provider(1), moved), "master key {number}");
    }
    // The same key sealed for another field under the very same derived key.
    let elsewhere = associated_data(company(1), Kept::ProviderKey(provider(1)), 2)
        .replace("field/api_key", "field/webhook");
    let payload = Payload { msg: b"a provider key", aad: elsewhere.as_bytes() };
    let mut other = sealed[..HEAD].to_vec();
    other.extend(
        cipher(&[2; 32], company(1), Kept::ProviderKey(provider(1)))
            .unwrap()
            .encrypt(&Nonce::from([9; 12]), payload)
            .unwrap(),
    );
    assert!(!opens(company(1), provider(1), other), "another field");
}

/// What is in databases must open for ever: the form is put together here by hand.
#[test]
fn the_sealed_form_is_the_one_that_was_agreed_on() {
    let (company_id, provider_id) = (company(1), provider(1));
    let mut key = [0; 32];
    let info = format!("bulkhead/provider-key/{company_id}");
    Hkdf::<Sha256>::new(None, &[2; 32]).expand(info.as_bytes(), &mut key).unwrap();
    let aad = format!("bulkhead/v1/company/{company_id}/provider/{provider_id}/field/api_key/master/2");
    let payload = Payload { msg: b"a provider key", aad: aad.as_bytes() };
    let message = Aes256Gcm::new_from_slice(&key).unwrap().encrypt(&Nonce::from([9; 12]), payload).unwrap();
    let by_hand = [&[1, 0, 2][..], &[9; 12], &message].concat();
    assert_eq!(sealed(&ring(&[2, 1]), "a provider key", [9; 12]), by_hand);
    assert_eq!((master_of(&by_hand), master_of(b"x"), master_of(&[9; 40])), (Some(2), None, None));
}

#[test]
fn an_answer_and_a_key_never_open_as_each_other() {
    let ring = ring(&[1]);
    let (one, other) = ([1; 32], [2; 32]);
    let answer = ring.seal(company(1), Kept::Answer(&one), b"an answer", [9; 12]).unwrap();
    let open = |company, what: Kept<'_>| ring.open(company, what, &answer).is_some();
    assert!(open(company(1), Kept::Answer(&one)), "the control");
    assert!(!open(company(1), Kept::Answer(&other)), "another request");
    assert!(!open(company(2), Kept::Answer(&one)), "another company");
    assert!(!open(company(1), Kept::ProviderKey(provider(1))), "as a key");
    assert!(ring.open(company(1), Kept::Answer(&one), &sealed(&ring, "a key", [9; 12])).is_none());
}

#[test]
fn fingerprints_are_of_a_company_and_a_master_key() {
    let of = |ring: &MasterKeys, n: u8, key: &str| ring.fingerprint(company(n), key).unwrap();
    let (one, two) = (ring(&[1]), ring(&[2, 1]));
    let print = of(&one, 1, "a provider key");
    assert_eq!(print, of(&one, 1, "a provider key"));
    assert!(print.len() == 12 && print.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{print}");
    for (what, other) in [
        ("another company", of(&one, 2, "a provider key")),
        ("another key", of(&one, 1, "a provider kez")),
        ("another master key", of(&two, 1, "a provider key")),
    ] {
        assert_ne!(print, other, "{what}");
    }
}

#[test]
fn what_is_sealed_again_opens_under_the_newest_alone() {
    let settings = |numbers: &[u8]| {
        let pair = |n: &u8| format!("{n}:{}", Base64UrlUnpadded::encode_string(&[*n; 32]));
        numbers.iter().map(pair).collect::<Vec<_>>().join(",")
    };
    let both = Rewrap::parse(&|_| Some(settings(&[2, 1]))).unwrap();
    assert_eq!((both.numbers(), both.newest_head()), (vec![2, 1], vec![1, 0, 2]));
    let old = sealed(&ring(&[1]), "a provider key", [9; 12]);
    let again = both.again(company(1), provider(1), &old, [8; 12]).unwrap();
    assert!(again.sealed.as_bytes().starts_with(&both.newest_head()));
    let opened = ring(&[2]).open_key(company(1), provider(1), again.sealed.as_bytes()).unwrap();
    assert_eq!(opened.expose(), "a provider key");
    assert_eq!(again.fingerprint, ring(&[2]).fingerprint(company(1), "a provider key").unwrap());
    // Elsewhere, or without the key it is under, it does not.
    assert!(both.again(company(2), provider(1), &old, [8; 12]).is_none());
    assert!(both.again(company(1), provider(2), &old, [8; 12]).is_none());
    let new = Rewrap::parse(&|_| Some(settings(&[2]))).unwrap();
    assert!(new.again(company(1), provider(1), &old, [8; 12]).is_none());
    assert!(Rewrap::parse(&|_| Some(settings(&[2, 2]))).is_err(), "two keys of one number");
}

#[test]
fn a_receipt_stands_under_its_master_key_as_it_was_signed_and_not_otherwise() {
    let rewrap = |numbers: &[u8]| {
        let pair = |n: &u8| format!("{n}:{}", Base64UrlUnpadded::encode_string(&[*n; 32]));
        let text = numbers.iter().map(pair).collect::<Vec<_>>().join(",");
        Rewrap::parse(&|_| Some(text.clone())).unwrap()
    };
    let (old, both, other) = (rewrap(&[1]), rewrap(&[2, 1]), rewrap(&[3]));
    let (number, signature) = old.receipt_sign("deleted").unwrap();
    assert_eq!((number, signature.len()), (1, 64));
    assert!(
        both.receipt_stands(number, "deleted", &signature),
        "the next master key came, and the old one stayed"
    );
    assert!(!both.receipt_stands(2, "deleted", &signature));
    assert!(!other.receipt_stands(number, "deleted", &signature));
    assert!(!old.receipt_stands(number, "deleted.", &signature));
    for wrong in [
        "",
        "00",
        signature.get(1..).unwrap(),
        &signature.replacen(signature.get(..2).unwrap(), "zz", 1),
        &"0".repeat(64),
    ] {
        assert!(!old.receipt_stands(number, "deleted", wrong), "{wrong}");
    }
}

#[test]
fn one_request_opens_few_keys_and_the_operator_hears_of_more() {
    let ground = Ground::new();
    let scope = ground.scope();
    let sealed = scope.key_seal(provider(1), "a provider key").unwrap();
    let open = || scope.key_open(company(1), provider(1), &sealed);
    for _ in 0..KEYS_OPENED_A_REQUEST {
        assert_eq!(open().unwrap().expose(), "a provider key");
    }
    assert!(ground.platform.0.take().is_empty(), "as many as a request may");
    assert!(open().is_err() && open().is_err());
    let said = ground.platform.0.take();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].0 == Level::Error && said[0].1.contains("alarm: keys opened"), "{said:?}");
    assert!(!said[0].1.contains("a provider key"));
    // The next request may again.
    assert!(ground.scope().key_open(company(1), provider(1), &sealed).is_ok());
}

#[test]
fn many_requests_open_on_and_the_operator_hears_of_it_once_a_minute() {
    let ground = Ground::new();
    let sealed = ground.scope().key_seal(provider(1), "a provider key").unwrap();
    for _ in 0..2 * KEYS_OPENED_A_MINUTE {
        assert!(ground.scope().key_open(company(1), provider(1), &sealed).is_ok(), "nobody is refused");
    }
    let said = ground.platform.0.take();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1.contains("alarm: keys opened") && said[0].1.contains("minute"), "{said:?}");
}

/// An isolate, and requests of one company in it.
struct Ground {
    app: Rc<App>,
    platform: Rc<Listening>,
}

impl Ground {
    fn new() -> Self {
        let key = Base64UrlUnpadded::encode_string(&[1; 32]);
        let config = Config::parse(&|name| match name {
            "DATABASE_URL" => Some("postgres://u:p@db/x".into()),
            "SQL_URL" | "UPSTASH_REDIS_REST_URL" => Some("http://gateway/sql".into()),
            "UPSTASH_REDIS_REST_TOKEN" => Some("token".into()),
            "JWT_KEYS" | "MASTER_KEYS" => Some(format!("1:{key}")),
            _ => None,
        });
        Self { app: Rc::new(App::new(config.unwrap())), platform: Rc::default() }
    }

    fn scope(&self) -> TenantScope {
        let platform: Rc<dyn Platform> = self.platform.clone();
        TenantScope {
            company: Company {
                id: company(1),
                slug: "a".into(),
                name: "A".into(),
                industry: "b".into(),
                utc_offset_minutes: 0,
            },
            actor: Actor::Anyone,
            request_id: RequestId::new(&*platform),
            app: Rc::clone(&self.app),
            platform,
            opened: Cell::new(0),
            claim: Cell::new(None),
            let_in: Cell::new(false),
        }
    }
}

/// A platform that sends nothing, knows no time, and keeps what is logged.
#[derive(Default)]
struct Listening(RefCell<Vec<(Level, String)>>);

impl Platform for Listening {
    fn send(&self, _: Outbound) -> LocalBoxFuture<'static, Result<http::Response<Body>, SendError>> {
        Box::pin(async { Err(SendError::Unreachable) })
    }

    fn now_ms(&self) -> u64 {
        1_800_000_000_000
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(9);
    }

    fn sleep(&self, _: u32) -> LocalBoxFuture<'static, ()> {
        Box::pin(async {})
    }

    fn spawn(&self, _: LocalBoxFuture<'static, ()>) {}

    fn log(&self, level: Level, line: &str) {
        self.0.borrow_mut().push((level, line.to_owned()));
    }
}

/// Project Wycheproof's AES-GCM vectors, through the very type that seals; those for other sizes are not ours to open.
#[test]
fn wycheproof() {
    use wycheproof::{TestResult, aead};
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let (mut good, mut bad) = (0, 0);
    let ours =
        |group: &&aead::TestGroup| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128);
    for test in set.test_groups.iter().filter(ours).flat_map(|group| &group.tests) {
        let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
        let nonce = Nonce::from(<[u8; NONCE]>::try_from(test.nonce.as_slice()).unwrap());
        let sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
        let opened = cipher.decrypt(&nonce, Payload { msg: &sealed, aad: &test.aad });
        match test.result {
            TestResult::Valid | TestResult::Acceptable => {
                assert_eq!(opened.as_deref(), Ok(test.pt.as_slice()), "vector {}", test.tc_id);
                let again = cipher.encrypt(&nonce, Payload { msg: &test.pt, aad: &test.aad }).unwrap();
                assert_eq!(again, sealed, "vector {}", test.tc_id);
                good += 1;
            }
            TestResult::Invalid => {
                assert!(opened.is_err(), "vector {}", test.tc_id);
                bad += 1;
            }
        }
    }
    assert!(good >= 30 && bad >= 20, "only {good} good and {bad} bad vectors");
}
