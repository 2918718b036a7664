//! Redis Cluster: what the core sends is one slot's business, as three real nodes judge, each of which has a third of the slots.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bulkhead_tests::company::Company;
use bulkhead_tests::core::{CRON_TOKEN, Core, read};
use bulkhead_tests::native::{Part, run};
use bulkhead_tests::stand::Stand;
use redis::{Connection, RedisError, Value};
use serde_json::json;

#[test]
fn whatever_is_sent_to_redis_is_one_slot_s_business() {
    run(async {
        let mut cluster = Cluster::start();
        let core = Core::new(Stand::get());
        let company = Company::new(core.stand, "plumbing").await;
        // A sign-in, a model's key, a visitor, a turn, and the round: limits, memory, budget and its truth.
        let visitor = core.visitor(&company).await;
        core.provider(&company, "test-ok-cluster").await;
        let ask = json!({ "message": "Do you fix leaks?" });
        let answer = core.serve(&company, "POST", "/v1/chat", &visitor, Some(ask)).await;
        assert!(read(answer.into_body()).await.iter().any(|event| event.name == "done"));
        let before = uuid::Uuid::from_u128(uuid::Uuid::parse_str(&company.id).unwrap().as_u128() - 1);
        let round = Some(json!({ "after": before }));
        assert_eq!(core.serve_at("localhost", "POST", "/v1/cron", CRON_TOKEN, round).await.status(), 200);
        core.native.idle().await;

        let sent = core.native.take_sent();
        let commands: Vec<Vec<String>> = sent
            .iter()
            .filter(|sent| sent.part == Part::Redis)
            .map(|sent| {
                let words: Vec<serde_json::Value> =
                    serde_json::from_slice(&sent.body).expect("one command a request");
                words
                    .iter()
                    .map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned))
                    .collect()
            })
            .collect();
        assert!(commands.len() >= 5, "only {} commands were seen", commands.len());
        let mut several = 0;
        for command in &commands {
            assert_eq!(command[0], "EVAL");
            let count: usize = command[2].parse().unwrap();
            let keys = &command[3..3 + count];
            several += usize::from(keys.len() > 1);
            let slots: Vec<u16> = keys.iter().map(|key| cluster.slot(key)).collect();
            assert!(!slots.is_empty() && slots.iter().all(|slot| *slot == slots[0]), "{keys:?}: {slots:?}");
            let answer = cluster.ask(slots[0], command);
            assert!(answer.is_ok(), "{keys:?}: {answer:?}");
        }
        assert!(several >= 2, "no script over several keys was seen");
        cluster.refuses_what_is_not();
    });
}

/// Three nodes.
struct Cluster {
    nodes: Vec<(Connection, Node)>,
}

/// A server that ends with this.
struct Node {
    port: u16,
    process: Child,
    _folder: Folder,
}

struct Folder(std::path::PathBuf);

const SLOTS: u16 = 16_384;
const NODES: u16 = 3;

impl Cluster {
    fn start() -> Self {
        let started: Vec<Node> = (0..NODES).map(|_| Node::start()).collect();
        let ports: Vec<u16> = started.iter().map(|node| node.port).collect();
        let mut nodes: Vec<(Connection, Node)> =
            started.into_iter().map(|node| (node.connect(), node)).collect();
        for (number, (node, _)) in nodes.iter_mut().enumerate() {
            let mut take = redis::cmd("CLUSTER");
            take.arg("ADDSLOTS");
            for slot in (0..SLOTS).filter(|slot| owner(*slot) == number) {
                take.arg(slot);
            }
            take.exec(node).unwrap();
            redis::cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(number + 1).exec(node).unwrap();
        }
        for port in &ports[1..] {
            redis::cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(*port).exec(&mut nodes[0].0).unwrap();
        }
        let mut cluster = Self { nodes };
        until(|| cluster.is_whole());
        cluster
    }

    /// Whether every node knows who has each slot.
    fn is_whole(&mut self) -> bool {
        self.nodes.iter_mut().all(|(node, _)| {
            let info: String = redis::cmd("CLUSTER").arg("INFO").query(node).unwrap();
            info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384")
        })
    }

    fn slot(&mut self, key: &str) -> u16 {
        redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut self.nodes[0].0).unwrap()
    }

    /// The command's answer, from the node that has the slot.
    fn ask(&mut self, slot: u16, words: &[String]) -> Result<Value, RedisError> {
        let mut command = redis::cmd(&words[0]);
        command.arg(&words[1..]);
        command.query(&mut self.nodes[owner(slot)].0)
    }

    /// So that the nodes would have noticed.
    fn refuses_what_is_not(&mut self) {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let two = words(&["EVAL", "return 1", "2", "a:{one}", "a:{two}"]);
        let slot = self.slot("a:{one}");
        assert_eq!(self.ask(slot, &two).unwrap_err().code(), Some("CROSSSLOT"));
        let hidden = words(&["EVAL", "return redis.call('GET', 'a:{two}')", "1", "a:{one}"]);
        assert_ne!(owner(self.slot("a:{two}")), owner(slot), "the two must be on different nodes");
        assert!(self.ask(slot, &hidden).is_err(), "a key that is not named was read");
    }
}

/// The number of the node that has a slot.
fn owner(slot: u16) -> usize {
    usize::from(slot) * usize::from(NODES) / usize::from(SLOTS)
}

impl Node {
    fn start() -> Self {
        let port = port();
        let folder = std::env::temp_dir().join(format!("bulkhead-node-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // A child of a shell that ends with its standard input, so that it does not outlive the tests.
        let script = format!(
            "\"$(command -v redis-server || command -v valkey-server)\" --port {port} --bind 127.0.0.1 --dir {} --cluster-enabled yes \
             --save '' --appendonly no & cat; kill -KILL $!",
            folder.display()
        );
        let process = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { port, process, _folder: Folder(folder) }
    }

    fn connect(&self) -> Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/", self.port)).unwrap();
        let mut found = None;
        until(|| {
            found = client.get_connection().ok();
            found.is_some()
        });
        found.unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A free port whose neighbour ten thousand further, where nodes speak to each other, is free as well.
fn port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port.checked_add(10_000).is_some_and(|bus| TcpListener::bind(("127.0.0.1", bus)).is_ok()) {
            return port;
        }
    }
}

/// Waits until it is so, a minute at most.
fn until(mut so: impl FnMut() -> bool) {
    for _ in 0..1_200 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it did not come about within a minute");
}
