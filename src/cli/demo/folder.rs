//! The folder of a demo: streams, ledger and logs. A fresh one goes when the demo ends, a named one stays.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context;

/// An open folder that no other demo uses.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    is_kept: AtomicBool,
    // Held for as long as the demo runs; the system lets go of it when the process ends, however it ends.
    _lock: File,
}

impl Folder {
    /// Opens `named`, or makes a fresh folder.
    pub(super) fn open(named: Option<&Path>) -> anyhow::Result<Self> {
        let path = match named {
            Some(named) => named.to_owned(),
            None => {
                std::env::temp_dir().join(format!("streamgauge-demo-{}-{:08x}", std::process::id(), fastrand::u32(..)))
            }
        };
        fs::create_dir_all(path.join("logs")).with_context(|| {
            format!("cannot make the data folder {}: is it writable, and is there room?", path.display())
        })?;
        let path =
            fs::canonicalize(&path).with_context(|| format!("cannot find the data folder {}", path.display()))?;
        let lock = File::create(path.join("lock"))
            .with_context(|| format!("cannot write to the data folder {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, is_kept: AtomicBool::new(named.is_some()), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                anyhow::bail!("another demo runs on {}: end it, or give another folder with --data", path.display())
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock the data folder {}", path.display()))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the folder where it is, for whoever wants to know what happened.
    pub(super) fn keep(&self) -> &Path {
        self.is_kept.store(true, Ordering::Relaxed);
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept.load(Ordering::Relaxed)
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, folder = %self.path.display(), "the demo's folder cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_folder_goes_and_a_named_one_stays_with_one_demo_at_a_time() {
        let fresh = Folder::open(None).unwrap();
        let path = fresh.path().to_owned();
        drop(fresh);
        assert!(!path.exists());

        let named = tempfile::tempdir().unwrap();
        let first = Folder::open(Some(named.path())).unwrap();
        let refused = Folder::open(Some(named.path())).unwrap_err().to_string();
        assert!(refused.starts_with("another demo runs on"), "{refused}");
        drop(first);
        assert!(Folder::open(Some(named.path())).is_ok());
    }
}
