//! A Git repository on this machine, and its artifacts as Flux's source-controller would serve them, over loopback.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{Cluster, sha256};

/// A repository with a web server beside it, which answers any path with the artifact of the newest commit.
pub(super) struct Repository {
    folder: PathBuf,
    address: String,
    artifact: Arc<Mutex<Vec<u8>>>,
    server: JoinHandle<()>,
}

impl Repository {
    /// An empty one, among the test's logs.
    pub(super) async fn new(cx: &Cluster) -> Self {
        let folder = cx.log("repository");
        fs::create_dir_all(&folder).expect("create the repository's folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let artifact = Arc::new(Mutex::new(Vec::new()));
        let newest = Arc::clone(&artifact);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let bytes = newest.lock().expect("the artifact").clone();
                tokio::spawn(answer(stream, bytes));
            }
        });
        let repository = Self { folder, address, artifact, server };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// Commits these files, and no others; returns the artifact as it stands in a source's status.
    pub(super) fn commit(&self, files: &[(&str, &Value)]) -> Value {
        self.git(&["rm", "-r", "--quiet", "--force", "--ignore-unmatch", "."]);
        fs::create_dir_all(&self.folder).expect("the folder, which git removes when it is empty");
        for (name, object) in files {
            fs::write(self.folder.join(name), object.to_string()).expect("write a manifest");
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "Change"]);
        let revision = String::from_utf8(self.git(&["rev-parse", "HEAD"])).expect("a revision");
        let revision = revision.trim();
        let tarball = self.git(&["archive", "--format=tar.gz", "HEAD"]);
        let digest = sha256(&tarball);
        let size = tarball.len();
        *self.artifact.lock().expect("the artifact") = tarball;
        json!({
            "path": format!("{revision}.tar.gz"),
            "url": format!("http://{}/{revision}.tar.gz", self.address),
            "revision": format!("main@sha1:{revision}"),
            "digest": format!("sha256:{digest}"),
            "lastUpdateTime": "2026-01-01T00:00:00Z",
            "size": size
        })
    }

    fn git(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.folder).args(["-c", "user.name=test", "-c", "user.email=test@localhost"]);
        // No setting of this machine, no repository around this one.
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        command.env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE").env_remove("GIT_WORK_TREE");
        let output = command.args(arguments).output().expect("run git");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(mut stream: TcpStream, body: Vec<u8>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = [0; 1024];
        match stream.read(&mut part).await {
            Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
            _ => return,
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
}
