//! How a broker is started: a command, an environment and files with gaps, and the directory that fills them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use inbox_test_support::net::free_ports;

use crate::results::Variant;

/// Everything that is needed to start a variant again and again.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) variant: Variant,
    /// The command line, with gaps.
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) program: String,
    pub(crate) required: String,
    /// To be run after it has ended, with gaps.
    pub(crate) after: Vec<String>,
}

/// What goes into the gaps of files, commands and environments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gaps {
    pub(crate) program: String,
    pub(crate) dir: String,
    pub(crate) config: String,
    /// The file of [`super::peers::Setting::requires`] that exists.
    pub(crate) required: String,
    /// The port of the broker, and two more for its own use.
    pub(crate) ports: [u16; 3],
}

/// A directory for brokers, emptied before each.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// In `directory`, which must be for nothing else.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Scratch(directory)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes everything.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        if self.0.exists() {
            fs::remove_dir_all(&self.0).with_context(|| format!("{} could not be emptied", self.0.display()))?;
        }
        Ok(())
    }

    /// Empties it and writes the configuration of `launch`, with free ports.
    pub(crate) fn prepare(&self, launch: &Launch) -> anyhow::Result<Gaps> {
        self.clear()?;
        fs::create_dir_all(&self.0)?;
        let files = &launch.variant.files;
        let gaps = Gaps {
            program: launch.program.clone(),
            dir: self.0.to_string_lossy().into_owned(),
            config: files
                .first()
                .map(|(name, _)| self.0.join(name).to_string_lossy().into_owned())
                .unwrap_or_default(),
            required: launch.required.clone(),
            ports: free_ports()?,
        };
        for (name, text) in files {
            fs::write(self.0.join(name), fill(text, &gaps))?;
        }
        Ok(gaps)
    }
}

/// `template` with its gaps filled.
pub(crate) fn fill(template: &str, gaps: &Gaps) -> String {
    let [port, port2, port3] = gaps.ports.map(|port| port.to_string());
    [
        ("{program}", &gaps.program),
        ("{dir}", &gaps.dir),
        ("{config}", &gaps.config),
        ("{required}", &gaps.required),
        ("{port}", &port),
        ("{port2}", &port2),
        ("{port3}", &port3),
    ]
    .into_iter()
    .fold(template.to_owned(), |text, (gap, value)| text.replace(gap, value))
}
