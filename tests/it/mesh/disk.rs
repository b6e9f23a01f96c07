//! A broker whose disk is full: the customer is told, and nothing that was taken is lost.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

use super::{LIMIT, Mesh, PAID, order};
use crate::support::{eventually, nats_server::NatsServer, tool};

/// Room for the broker and a few orders.
const SIZE: &str = "size=16m";

/// A disk of its own; gone with its test.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` after noting that the test is skipped, where one may not mount.
    fn mount(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        tool::skip(&format!("{test}: a small disk cannot be mounted here (it takes Linux and root)"));
        None
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    /// Leaves not a byte.
    fn fill(&self) {
        let full = fs::write(self.filler(), vec![0; 64 << 20]);
        assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.0.path().display());
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_told_to_the_customer_and_loses_no_order() {
    let Some(disk) = SmallDisk::mount("a full disk") else { return };
    let mut mesh = Mesh::start_on(NatsServer::start_in(disk.0.path()).await, Vec::new()).await;
    let before = mesh.place("before", &order("ada", "tea", 1)).await;
    mesh.ended(&before, PAID).await;

    disk.fill();
    // What the broker has room for in its blocks it still takes; each of these is to be found again.
    let mut taken = vec![before];
    eventually(LIMIT, "the storefront says that it cannot take orders", async || {
        let answer = mesh.post(&[], &order("ada", "tea", 1)).await;
        match answer.status {
            202 => {
                taken.push(answer.json()["id"].as_str().unwrap().to_owned());
                Err(answer.body)
            }
            503 if answer.header("retry-after").is_some() && answer.body.contains("disk") => Ok(()),
            other => panic!("{other} {}", answer.body),
        }
    })
    .await;

    fs::remove_file(disk.filler()).unwrap();
    mesh.nats.kill().await;
    mesh.nats.start_again().await;
    taken.push(mesh.place("after", &order("ada", "tea", 1)).await);
    for id in &taken {
        assert_eq!(mesh.ended(id, PAID).await["state"], "completed");
    }
    assert!(!mesh.log().iter().any(|line| line.to_string().contains("panicked")));
}
