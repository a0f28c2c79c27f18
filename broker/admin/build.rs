//! Makes the list of the dashboard's files that are embedded: those in `dashboard/dist`, if it was built.
//!
//! A directory that is not there cannot be watched, so whoever builds the dashboard for the first time touches this file
//! (`cargo xtask dashboard` does).

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../dashboard/dist");
    let mut files = Vec::new();
    if dist.is_dir() {
        println!("cargo:rerun-if-changed={}", dist.display());
        collect(&dist, &mut files)?;
        files.sort();
    }
    let mut list = String::from("/// Every file of the dashboard.\nstatic ASSETS: &[Asset] = &[\n");
    for file in &files {
        let path = file
            .strip_prefix(&dist)?
            .to_str()
            .ok_or("the name of a file is not UTF-8")?;
        let tag = format!("\"{:016x}\"", fingerprint(&fs::read(file)?));
        let bytes = file.canonicalize()?;
        writeln!(
            list,
            "    Asset {{ path: {:?}, tag: {tag:?}, bytes: include_bytes!({bytes:?}) }},",
            format!("/{path}")
        )?;
    }
    list.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("assets.rs"), list)?;
    Ok(())
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => collect(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

/// FNV-1a: another content has another tag, as good as always.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
