//! Small disks that can be full.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::skip::skip;

/// Says that a test is skipped.
#[track_caller]
pub fn skip_without_mount() {
    skip("no file system can be mounted here");
}

/// A small disk of its own, as only root can make one.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// An empty one of this size at `path`. None, and the test is skipped,
    /// where nobody may mount it.
    pub fn mount(path: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        let options = format!("size={size},mode=700");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]);
        let mounted = mount.arg(&path).stderr(Stdio::null()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        skip_without_mount();
        None
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).unwrap();
        for block in [4096, 512, 1] {
            while filler.write_all(&vec![0; block]).is_ok() {}
        }
    }

    /// Gives the space back.
    pub fn free(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
