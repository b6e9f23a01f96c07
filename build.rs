//! Packs the files of `static/` into the program: one hash over all of them makes their address, each is compressed once.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

/// What a file is, by the end of its name. One that is not here does not belong in the folder.
const TYPES: [(&str, &str); 3] =
    [("css", "text/css; charset=utf-8"), ("js", "text/javascript; charset=utf-8"), ("svg", "image/svg+xml")];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=static");
    println!("cargo::rerun-if-changed=templates");
    if env::var_os("CARGO_FEATURE_DASHBOARD").is_none() {
        return Ok(());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for a build script"));
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> =
        fs::read_dir(root.join("static"))?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut hash = Fnv::new();
    let mut list = String::new();
    for path in &files {
        let bytes = fs::read(path)?;
        hash.take(name(path).as_bytes());
        hash.take(&bytes);
        let packed = out.join(format!("{}.gz", name(path)));
        fs::write(&packed, pack(&bytes)?)?;
        list += &format!(
            "    Asset {{ name: {:?}, kind: {:?}, plain: include_bytes!({path:?}), packed: include_bytes!({packed:?}) }},\n",
            name(path),
            kind(path),
        );
    }
    let code = format!("const HASH: &str = \"{:016x}\";\nstatic FILES: &[Asset] = &[\n{list}];\n", hash.0);
    fs::write(out.join("assets.rs"), code)
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("files of `static/` have plain names")
}

fn kind(path: &Path) -> &'static str {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    let known = TYPES.iter().find(|(known, _)| *known == end);
    known.unwrap_or_else(|| panic!("{}: add its type to TYPES in build.rs", path.display())).1
}

fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes)?;
    packer.finish()
}

/// The hash FNV-1a, 64 bits: it only has to change when a file does.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
