//! SUBSCRIBE, PUBLISH, PUBSUB and their kin. The registry of channels is the room `pubsub`.

mod look;
mod publish;
mod subscribe;

pub use look::COMMANDS as LOOK;
pub use publish::COMMANDS as PUBLISH;
pub use subscribe::COMMANDS as SUBSCRIBE;
