//! The engines that a store can be kept by, by name.

/// What keeps the inboxes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// sled 0.34.
    #[default]
    Sled,
    /// fjall 3.
    Fjall,
}

impl Engine {
    /// Every engine on disk.
    pub const ALL: [Engine; 2] = [Engine::Sled, Engine::Fjall];

    /// Its name in configuration and manifest.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Sled => "sled",
            Engine::Fjall => "fjall",
        }
    }

    /// The engine of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Engine::ALL.into_iter().find(|engine| engine.name() == name)
    }
}
