//! `bulkhead keys`, the operator's tool, on a stand of its own: it works on every company there is.
//!
//! Cores with other master keys stand for workers before, during and after a rotation.

use std::process::Output;
use std::sync::OnceLock;

use base64ct::{Base64Url, Base64UrlUnpadded, Encoding};
use bulkhead::tenant::vault::{Rewrap, master_of};
use bulkhead::totp;
use bulkhead_tests::company::{Company, PASSWORD, event, sign_identity, unbase32};
use bulkhead_tests::core::{Core, read};
use bulkhead_tests::native::run;
use bulkhead_tests::stand::{Stand, tool};
use bulkhead_tests::tally::tally;
use bulkhead_tests::token::now_s;
use bulkhead_tests::upstream::Upstream;
use serde_json::json;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};

/// The stand, for one test at a time.
async fn stand() -> (&'static Stand, MutexGuard<'static, ()>) {
    static STAND: OnceLock<Stand> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    (STAND.get_or_init(|| Stand::start(Upstream::start(), &[])), turn)
}

/// Master keys of these numbers, newest first.
fn ring(numbers: &[u8]) -> String {
    let pair = |n: &u8| format!("{n}:{}", Base64UrlUnpadded::encode_string(&[*n; 32]));
    numbers.iter().map(pair).collect::<Vec<_>>().join(",")
}

/// The command, with the master keys of these numbers.
fn command(stand: &Stand, numbers: &[u8], args: &[&str]) -> Command {
    let mut command = Command::new(tool());
    command
        .arg("keys")
        .args(args)
        .env("DATABASE_OWNER_URL", &stand.owner_database_url)
        .env("DATABASE_URL", &stand.worker_database_url)
        .env("MASTER_KEYS", ring(numbers))
        .kill_on_drop(true);
    command
}

/// Whether it succeeded, and all that it said.
async fn keys(stand: &Stand, numbers: &[u8], args: &[&str]) -> (bool, String) {
    said(command(stand, numbers, args).output().await.unwrap())
}

fn said(output: Output) -> (bool, String) {
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains("test-"), "a key was printed: {said}");
    (output.status.success(), said)
}

/// Companies with providers whose keys are sealed by a core with the old master key alone.
struct Ground {
    stand: &'static Stand,
    companies: Vec<(Company, String)>,
    _turn: MutexGuard<'static, ()>,
}

impl Ground {
    async fn new(companies: usize, providers: usize) -> Self {
        let (stand, turn) = stand().await;
        let old = Core::sealing(stand, &ring(&[1]));
        let mut made = Vec::new();
        for _ in 0..companies {
            let company = Company::new(stand, "plumbing").await;
            let owner = old.owner(&company).await;
            for _ in 0..providers {
                add(&old, &company, &owner).await;
            }
            made.push((company, owner));
        }
        Self { stand, companies: made, _turn: turn }
    }

    /// Every provider here: its company, its id, its sealed key, its fingerprint.
    async fn rows(&self) -> Vec<(String, String, Vec<u8>, Option<String>)> {
        let mut rows = Vec::new();
        for (company, _) in &self.companies {
            let sql = "select provider_id::text, sealed_key, fingerprint from providers
                       where company_id = $1::text::uuid order by provider_id";
            for row in company.rows(sql).await {
                rows.push((company.id.clone(), row.get(0), row.get(1), row.get(2)));
            }
        }
        rows
    }

    /// How many are under this master key, and open with it alone.
    async fn under(&self, number: u8) -> usize {
        let alone = Rewrap::parse(&|_| Some(ring(&[number]))).unwrap();
        let opens = |(company, provider, sealed, _): &(String, String, Vec<u8>, _)| {
            let again = alone.again(company.parse().unwrap(), provider.parse().unwrap(), sealed, [0; 12]);
            master_of(sealed) == Some(number.into()) && again.is_some()
        };
        self.rows().await.iter().filter(|row| opens(row)).count()
    }

    /// Takes what it has made away, so that the next test finds no row of this one.
    async fn clear(self) {
        for (company, _) in &self.companies {
            company.rows("delete from providers where company_id = $1::text::uuid returning 1").await;
            company.rows("delete from webhooks where company_id = $1::text::uuid returning 1").await;
            company
                .rows("update users set totp_enabled_at = null, sealed_totp_secret = null where company_id = $1::text::uuid returning 1")
                .await;
            company
                .rows("update widget_settings set sealed_identity_secret = null, identity_secret_at = null where company_id = $1::text::uuid returning 1")
                .await;
        }
    }
}

async fn add(core: &Core, company: &Company, owner: &str) -> String {
    let key = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
    let body = json!({ "kind": "openai", "name": "P", "api_key": key });
    let (status, made) = core.call(company, "POST", "/v1/providers", owner, Some(body)).await;
    assert_eq!(status, 201, "{made}");
    made["provider_id"].as_str().unwrap().to_owned()
}

/// Where an answer came from: model, or anything else.
async fn source(core: &Core, company: &Company) -> String {
    let visitor = core.visitor(company).await;
    let ask = json!({ "message": "Do you fix leaks?" });
    let response = core.serve(company, "POST", "/v1/chat", &visitor, Some(ask)).await;
    event(&read(response.into_body()).await, "done")["source"].as_str().unwrap().to_owned()
}

#[test]
fn keys_are_sealed_again_while_chats_go_on() {
    run(async {
        let ground = Ground::new(3, 4).await;
        let stand = ground.stand;
        let [before, during, after] =
            [&[1][..], &[2, 1], &[2]].map(|ring| Core::sealing(stand, &self::ring(ring)));
        let (done, told) = keys(stand, &[2, 1], &["status"]).await;
        assert!(done && told.contains("master key 1: 12 keys (an old one"), "{told}");
        let rows = ground.rows().await;

        let (done, told) = keys(stand, &[2, 1], &["rotate", "--dry-run"]).await;
        assert!(done && told.contains("12 keys would be sealed under master key 2"), "{told}");
        assert_eq!(ground.rows().await, rows, "a dry run changed something");

        // A part of them; then all the rest, one by one, while customers ask and an owner adds a key.
        let (done, told) = keys(stand, &[2, 1], &["rotate", "--most", "5"]).await;
        assert!(done && told.contains("5 keys sealed") && told.contains("7 left"), "{told}");
        assert_eq!((ground.under(2).await, ground.under(1).await), (5, 7));
        let (_, told) = keys(stand, &[2, 1], &["status"]).await;
        assert!(
            told.contains("master key 1: 7 keys") && told.contains("master key 2: 5 keys (the newest"),
            "{told}"
        );
        let rotating = keys(stand, &[2, 1], &["rotate", "--batch", "1"]);
        let chatting = async {
            let mut chats = 0;
            for _ in 0..8 {
                for (company, _) in &ground.companies {
                    assert_eq!(source(&during, company).await, "model", "a chat without a model");
                    chats += 1;
                }
            }
            let (company, owner) = &ground.companies[0];
            add(&during, company, owner).await;
            chats
        };
        let ((done, told), chats) = futures_util::future::join(rotating, chatting).await;
        assert!(done && told.contains("7 keys sealed") && told.contains(" 0 left"), "{told}");
        tally("5 credentials", "chats while keys were rotated", chats, 24);
        assert_eq!((ground.under(2).await, ground.under(1).await), (13, 0));

        // The old master key may go; whoever has only that one does without a model, and nothing worse.
        for (company, _) in &ground.companies {
            assert_eq!(source(&after, company).await, "model");
            assert_ne!(source(&before, company).await, "model");
        }
        // Once more changes nothing, and a worker with the newest key alone shows the same fingerprints as are stored.
        let rows = ground.rows().await;
        let (done, told) = keys(stand, &[2], &["rotate"]).await;
        assert!(done && told.contains("0 keys sealed") && told.contains(" 0 left"), "{told}");
        assert_eq!(ground.rows().await, rows);
        assert!(rows.iter().all(|(.., print)| print.as_ref().is_some_and(|print| print.len() == 12)));
        ground.clear().await;
    });
}

#[test]
fn the_secret_that_signs_identities_is_sealed_again() {
    run(async {
        let ground = Ground::new(2, 0).await;
        let stand = ground.stand;
        let [old, new] = [&[1][..], &[2]].map(|ring| Core::sealing(stand, &self::ring(ring)));
        let (company, owner) = &ground.companies[0];
        let (status, made) = old.call(company, "POST", "/v1/widget-settings/secret", owner, None).await;
        assert_eq!(status, 201, "{made}");
        let token = sign_identity(made["identity_secret"].as_str().unwrap(), "7");
        let believed = async |core: &Core| {
            let visitor = core.visitor(company).await;
            let say = Some(json!({ "token": token }));
            core.call(company, "POST", "/v1/identity", &visitor, say).await.0
        };
        assert_eq!((believed(&old).await, believed(&new).await), (200, 400));
        let (_, told) = keys(stand, &[2, 1], &["status"]).await;
        assert!(told.contains("master key 1: 1 key (an old one"), "{told}");
        let (done, told) = keys(stand, &[2], &["rotate"]).await;
        assert!(!done && told.contains("identity secret, under master key 1"), "{told}");
        let (done, told) = keys(stand, &[2, 1], &["rotate", "--dry-run"]).await;
        assert!(done && told.contains("1 key would be sealed") && told.contains("1 left"), "{told}");
        let (done, told) = keys(stand, &[2, 1], &["rotate"]).await;
        assert!(done && told.contains("1 key sealed") && told.contains(" 0 left"), "{told}");
        assert_eq!((believed(&old).await, believed(&new).await), (400, 200));
        ground.clear().await;
    });
}

#[test]
fn what_codes_are_made_from_is_sealed_again() {
    run(async {
        let ground = Ground::new(2, 0).await;
        let stand = ground.stand;
        let [old, new] = [&[1][..], &[2]].map(|ring| Core::sealing(stand, &self::ring(ring)));
        let (company, owner) = &ground.companies[0];
        let begin = Some(json!({ "password": PASSWORD }));
        let (status, made) = old.call(company, "POST", "/v1/account/totp", owner, begin).await;
        assert_eq!(status, 201, "{made}");
        let secret = unbase32(made["secret"].as_str().unwrap());
        let code = |ahead: u64| totp::code(&secret, totp::step(now_s() * 1_000) + ahead);
        let confirm = Some(json!({ "code": code(0) }));
        let (status, on) = old.call(company, "POST", "/v1/account/totp/confirm", owner, confirm).await;
        assert_eq!(status, 200, "{on}");
        let email = format!("owner@{}.example", company.slug);
        let signed_in = async |core: &Core| {
            let login = json!({ "email": email, "password": PASSWORD, "code": code(1) });
            core.call(company, "POST", "/v1/login", "", Some(login)).await.0
        };
        assert_eq!(signed_in(&new).await, 500, "it opens without its master key");
        let (done, told) = keys(stand, &[2], &["rotate"]).await;
        assert!(!done && told.contains(", person ") && told.contains("under master key 1"), "{told}");
        let (done, told) = keys(stand, &[2, 1], &["rotate"]).await;
        assert!(done && told.contains("1 key sealed") && told.contains(" 0 left"), "{told}");
        assert_eq!((signed_in(&old).await, signed_in(&new).await), (500, 200));
        ground.clear().await;
    });
}

#[test]
fn what_deliveries_of_webhooks_are_signed_with_is_sealed_again() {
    run(async {
        let ground = Ground::new(2, 0).await;
        let stand = ground.stand;
        let [old, new] = [&[1][..], &[2]].map(|ring| Core::sealing(stand, &self::ring(ring)));
        let (company, owner) = &ground.companies[0];
        let url = stand.website.url(bulkhead_tests::website::PLAIN);
        let add = json!({ "url": url, "events": ["lead.new"] });
        let (status, made) = old.call(company, "POST", "/v1/webhooks", owner, Some(add)).await;
        assert_eq!(status, 201, "{made}");
        let test = format!("/v1/webhooks/{}/test", made["webhook"]["webhook_id"].as_str().unwrap());
        let signs = async |core: &Core| {
            let (status, done) = core.call(company, "POST", &test, owner, None).await;
            assert_eq!(status, 200, "{done}");
            done["state"] == "delivered"
        };
        assert_eq!((signs(&old).await, signs(&new).await), (true, false));
        let (_, told) = keys(stand, &[2, 1], &["status"]).await;
        assert!(told.contains("master key 1: 1 key (an old one"), "{told}");
        let (done, told) = keys(stand, &[2], &["rotate"]).await;
        assert!(!done && told.contains(", webhook ") && told.contains("under master key 1"), "{told}");
        let (done, told) = keys(stand, &[2, 1], &["rotate"]).await;
        assert!(done && told.contains("1 key sealed") && told.contains(" 0 left"), "{told}");
        assert_eq!((signs(&old).await, signs(&new).await), (false, true));
        ground.clear().await;
    });
}

#[test]
fn a_rotation_that_was_killed_goes_on_where_it_was() {
    run(async {
        let ground = Ground::new(2, 15).await;
        let stand = ground.stand;
        let total = 30;
        for _ in 0..3 {
            let mut rotating = command(stand, &[3, 1], &["rotate", "--batch", "1"]);
            let mut child = rotating
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            // In the middle, wherever that is; or it was quicker, which is as good.
            let before = ground.under(3).await;
            while ground.under(3).await < (before + 4).min(total) && child.try_wait().unwrap().is_none() {
                tokio::task::yield_now().await;
            }
            child.kill().await.unwrap();
            assert_eq!(ground.under(3).await + ground.under(1).await, total, "a key that opens with neither");
        }
        let (done, told) = keys(stand, &[3, 1], &["rotate"]).await;
        assert!(done && told.contains(" 0 left"), "{told}");
        assert_eq!(ground.under(3).await, total);
        ground.clear().await;
    });
}

#[test]
fn a_key_that_its_owner_changes_meanwhile_is_not_overwritten() {
    run(async {
        let ground = Ground::new(1, 2).await;
        let stand = ground.stand;
        let (company, _) = &ground.companies[0];
        let rows = ground.rows().await;
        // What an owner's change writes, held back between the tool's reading and its writing.
        let theirs = Rewrap::parse(&|_| Some(ring(&[2]))).unwrap();
        let (id, provider) = (company.id.parse().unwrap(), rows[0].1.parse().unwrap());
        let theirs = theirs.first(id, provider, "test-ok-the-owner-s", [5; 12]).unwrap();
        let (mut owner, connection) =
            tokio_postgres::connect(&stand.owner_database_url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let change = owner.transaction().await.unwrap();
        let sql = "update providers set sealed_key = $1, fingerprint = $2 where provider_id = $3::text::uuid";
        let sealed = theirs.sealed.as_bytes().to_vec();
        change.execute(sql, &[&sealed, &theirs.fingerprint, &rows[0].1]).await.unwrap();
        let rotating = keys(stand, &[2, 1], &["rotate"]);
        let changing = async {
            // Nobody else waits for a lock on this stand.
            let waits = "select from pg_locks where not granted and $1::text is not null";
            while company.rows(waits).await.is_empty() {
                tokio::task::yield_now().await;
            }
            change.commit().await.unwrap();
        };
        let ((done, told), ()) = futures_util::future::join(rotating, changing).await;
        assert!(
            done && told.contains("1 key sealed") && told.contains("1 changed by their owners"),
            "{told}"
        );
        let now = ground.rows().await;
        assert_eq!(now[0].2, sealed, "the owner's key was overwritten");
        assert_eq!(ground.under(2).await, 2);
        ground.clear().await;
    });
}

#[test]
fn a_key_that_does_not_open_is_told_of_and_left_alone() {
    run(async {
        let ground = Ground::new(2, 2).await;
        let stand = ground.stand;
        let rows = ground.rows().await;
        // One that is nothing, one of another provider's row, one under a master key that nobody has.
        let spoil = async |at: usize, value: &str| {
            let (_, provider, ..) = &rows[at];
            let company = &ground.companies[at / 2].0;
            let sql = format!(
                "update providers set sealed_key = {value}, fingerprint = null
                 where company_id = $1::text::uuid and provider_id = '{provider}' returning 1"
            );
            company.rows(&sql).await;
        };
        spoil(0, "'no sealed key'::bytea").await;
        spoil(1, "set_byte(sealed_key, 2, 77)").await;
        let elsewhere = rows[3].2.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        spoil(2, &format!("'\\x{elsewhere}'::bytea")).await;
        let spoiled = ground.rows().await;
        for round in 0..2 {
            let (done, told) = keys(stand, &[2, 1], &["rotate"]).await;
            assert!(!done, "{told}");
            for (company, provider, ..) in &spoiled[..3] {
                assert!(
                    told.contains(&format!("does not open: company {company}, provider {provider}")),
                    "{told}"
                );
            }
            let sealed = if round == 0 { "1 key sealed" } else { "0 keys sealed" };
            assert!(told.contains(sealed) && told.contains("3 that do not open, 3 left"), "{told}");
            assert_eq!(ground.rows().await[..3], spoiled[..3], "what does not open was touched");
        }
        assert_eq!(ground.under(2).await, 1);
        let (done, told) = keys(stand, &[2, 1], &["status"]).await;
        assert!(done && told.contains("1 key that cannot be read at all"), "{told}");
        assert!(told.contains("master key 77: 1 key (not in MASTER_KEYS"), "{told}");
        assert!(told.contains("3 keys without a fingerprint"), "{told}");
        let (done, told) = keys(stand, &[2, 1], &["rotate", "--dry-run"]).await;
        assert!(!done && told.contains("3 that do not open"), "{told}");
        ground.clear().await;
    });
}

/// A Fernet token, made as its specification says (<https://github.com/fernet/spec/blob/master/Spec.md>).
fn fernet(key: &[u8; 32], made_s: u64, text: &str) -> String {
    use aes::cipher::block_padding::Pkcs7;
    use aes::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
    use hmac::{KeyInit as _, Mac as _};
    let (signing, encryption) = key.split_first_chunk::<16>().unwrap();
    let encryption: &[u8; 16] = encryption.try_into().unwrap();
    let iv = *uuid::Uuid::new_v4().as_bytes();
    let mut padded = text.as_bytes().to_vec();
    padded.resize((text.len() / 16 + 1) * 16, 0);
    let cipher = cbc::Encryptor::<aes::Aes128>::new(encryption.into(), (&iv).into());
    let sealed = cipher.encrypt_padded::<Pkcs7>(&mut padded, text.len()).unwrap();
    let signed = [&[0x80][..], &made_s.to_be_bytes(), &iv, sealed].concat();
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(signing).unwrap();
    mac.update(&signed);
    let signature = mac.finalize().into_bytes();
    Base64Url::encode_string(&[&signed[..], &signature[..]].concat())
}

#[test]
fn keys_that_fernet_sealed_come_to_their_companies() {
    run(async {
        let ground = Ground::new(2, 0).await;
        let stand = ground.stand;
        let [(acme, _), (bright, _)] = &ground.companies[..] else { panic!("two companies") };
        let word = uuid::Uuid::new_v4().simple().to_string();
        let key = |name: &str| format!("test-ok-{name}-{word}");
        let (fernet_key, old_key) = ([9; 32], [8; 32]);
        let token = |name: &str| fernet(&fernet_key, 1_700_000_000, &key(name));
        let folder = std::env::temp_dir().join(format!("bulkhead-{word}"));
        std::fs::create_dir_all(&folder).unwrap();
        let import = async |name: &str, text: String, args: &[&str]| {
            let file = folder.join(name);
            std::fs::write(&file, text).unwrap();
            let ring = [&fernet_key, &old_key].map(|key| Base64Url::encode_string(key)).join(",");
            let mut whole =
                vec!["import", "--fernet-key-env", "OLD_SYSTEM_KEY", "--file", file.to_str().unwrap()];
            whole.extend(args);
            said(command(stand, &[2, 1], &whole).env("OLD_SYSTEM_KEY", ring).output().await.unwrap())
        };

        let csv = format!(
            "company,kind,name,token\n{},openai,\"Acme's, main\",{}\n{},anthropic,Second,{}\n",
            acme.slug,
            token("a"),
            bright.id,
            fernet(&old_key, 1_700_000_000, &key("b")),
        );
        let (done, told) = import("keys.csv", csv.clone(), &["--dry-run"]).await;
        assert!(done && told.contains("2 keys would be added"), "{told}");
        assert!(ground.rows().await.is_empty());
        let (done, told) = import("keys.csv", csv.clone(), &[]).await;
        assert!(done && told.contains("2 keys added, 0 there already, 0 refused"), "{told}");
        let (done, told) = import("keys.csv", csv, &[]).await;
        assert!(done && told.contains("0 keys added, 2 there already"), "twice is once: {told}");
        assert_eq!(ground.under(2).await, 2);

        // They work: with the models of their kind, for their company, and noted as the system's.
        let core = Core::sealing(stand, &ring(&[2]));
        for (company, name, kind) in [(acme, "a", "openai"), (bright, "b", "anthropic")] {
            assert_eq!(source(&core, company).await, "model");
            assert_eq!(stand.upstream.requests(&key(name)).len(), 1, "{kind}");
            let noted = "select actor from audit_events where company_id = $1::text::uuid and action = 'provider.imported'";
            assert_eq!(company.rows(noted).await[0].get::<_, String>(0), "system");
        }
        let owner = core.owner(acme).await;
        let (_, shown) = core.call(acme, "GET", "/v1/providers", &owner, None).await;
        let shown = &shown["providers"][0];
        assert_eq!(
            (&shown["name"], &shown["last_four"]),
            (&json!("Acme's, main"), &json!(key("a")[key("a").len() - 4..]))
        );
        assert!(shown["models"].as_array().is_some_and(|models| !models.is_empty()), "{shown}");

        // What is wrong is told row by row, without a word of any key, and the rest is done.
        let row = |company: &str, kind: &str, name: &str, token: &str| {
            json!({ "company": company, "kind": kind, "name": name, "token": token }).to_string()
        };
        let wrong = [
            (row("nobody-here", "openai", "P", &token("c")), "no active company"),
            (row(&uuid::Uuid::new_v4().to_string(), "openai", "P", &token("c")), "no such company"),
            (row(&acme.slug, "openai", "P", "not a token"), "no Fernet token"),
            (row(&acme.slug, "openai", "P", &fernet(&[1; 32], 1, "x")), "another Fernet key"),
            (
                row(&acme.slug, "openai", "P", &fernet(&fernet_key, 1, "two words of a key")),
                "visible characters",
            ),
            (row(&acme.slug, "openai", "", &token("c")), "name takes"),
            (row(&acme.slug, "compatible", "P", &token("c")), "knows no models"),
            (row(&acme.slug, "teapot", "P", &token("c")), "a kind that Bulkhead knows"),
            ("{".to_owned(), "company, kind, name and token"),
            (row(&acme.slug, "openai", "Late", &token("d")), ""),
        ];
        let text = wrong.iter().map(|(row, _)| row.as_str()).collect::<Vec<_>>().join("\n");
        let (done, told) = import("keys.jsonl", text, &[]).await;
        assert!(!done && told.contains("1 key added, 0 there already, 9 refused"), "{told}");
        for (at, (_, why)) in wrong.iter().enumerate() {
            assert!(told.contains(why), "row {}: no {why:?} in {told}", at + 1);
        }
        let (done, told) =
            import("late.jsonl", row(&acme.slug, "openai", "P", &token("e")), &["--most-days", "9"]).await;
        assert!(!done && told.contains("older than allowed"), "{told}");
        assert_eq!(ground.rows().await.len(), 3);
        std::fs::remove_dir_all(folder).unwrap();
        ground.clear().await;
    });
}

#[test]
fn nothing_is_done_without_the_right_master_keys() {
    run(async {
        let ground = Ground::new(1, 1).await;
        for setting in ["", "1", "1:short", "2:x,1:y"] {
            let output =
                command(ground.stand, &[1], &["rotate"]).env("MASTER_KEYS", setting).output().await.unwrap();
            let (done, told) = said(output);
            assert!(!done && told.contains("MASTER_KEYS"), "{setting}: {told}");
        }
        assert_eq!(ground.under(1).await, 1);
        ground.clear().await;
    });
}
