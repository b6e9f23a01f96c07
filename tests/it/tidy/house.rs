//! The plan of the house: which module stands on which floor of which tower, and which outside crates it may name.

/// Two towers stand on the same ground and never import each other; only `cli` above them knows both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tower {
    Ground,
    Services,
    Observer,
    Roof,
}

/// The modules by floor. A module imports only from floors below its own. Where a floor has several rows of one tower they
/// are steps: facts are made of other facts, telemetry is set up from settings. A row may import the rows before it.
#[rustfmt::skip]
pub const FLOORS: &[(u8, Tower, &[&str])] = &[
    (0, Tower::Ground,   &["name", "clock", "words", "errors"]),
    (1, Tower::Ground,   &["trace", "presence", "advisory", "fault", "mask", "unpack"]),
    (1, Tower::Ground,   &["message"]),
    (1, Tower::Ground,   &["record", "dead_letter", "peek"]),
    (1, Tower::Ground,   &["snapshot"]),
    (2, Tower::Ground,   &["config", "tasks", "resilience"]),
    (2, Tower::Ground,   &["telemetry"]),
    (3, Tower::Ground,   &["nats"]),
    (4, Tower::Services, &["bus", "handler"]),
    (5, Tower::Services, &["consumer", "rpc"]),
    (6, Tower::Services, &["state"]),
    (7, Tower::Services, &["service"]),
    (8, Tower::Services, &["mesh"]),
    (4, Tower::Observer, &["broker", "checks", "probing"]),
    (5, Tower::Observer, &["collector", "traces", "journey"]),
    (6, Tower::Observer, &["views", "exporter"]),
    (6, Tower::Observer, &["api"]),
    (7, Tower::Observer, &["web"]),
    (9, Tower::Roof,     &["cli"]),
];

/// The crates that only some modules may name, so that the rest never learns of them.
#[rustfmt::skip]
pub const EDGES: &[(&[&str], &[&str])] = &[
    (&["async_nats"],          &["nats", "bus", "consumer", "broker", "rpc", "state"]),
    (&["axum", "tower_http"],  &["web", "service", "traces", "mesh"]),
    (&["http_body_util"],      &["traces"]),
    (&["hyper_util", "hyper_rustls", "rustls", "rustls_native_certs"],
                               &["traces"]),
    (&["askama"],              &["views", "web"]),
    (&["opentelemetry", "opentelemetry_sdk", "opentelemetry_proto", "tracing_opentelemetry"],
                               &["telemetry", "traces"]),
    (&["prometheus"],          &["telemetry", "exporter"]),
    (&["schemars"],            &["api"]),
    (&["subtle"],              &["web"]),
    (&["sqlx"],                &["state"]),
    (&["snap"],                &["broker"]),
    (&["reqwest"],             &["telemetry", "mesh", "probing", "traces"]),
    (&["tower"],               &["handler"]),
    (&["clap"],                &["config", "cli", "main"]),
    (&["rustix"],              &["cli", "tasks"]),
    (&["cel"],                 &["peek"]),
    (&["mimalloc"],            &["main"]),
];

/// These two name every module and stand on no floor.
pub const OUTSIDE_FLOORS: &[&str] = &["lib", "main"];

/// The longest file, without its tests: a longer one has a second noun in it.
pub const LINES_MAX: usize = 400;

/// Where a module stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    floor: u8,
    step: usize,
    tower: Tower,
}

impl Place {
    /// Whether this is lower than `other`.
    pub fn is_below(self, other: Place) -> bool {
        self.floor < other.floor || (self.floor == other.floor && self.step < other.step)
    }

    /// Whether a module here may import one in `other`, floors apart.
    pub fn may_meet(self, other: Place) -> bool {
        other.tower == Tower::Ground || self.tower == other.tower || self.tower == Tower::Roof
    }
}

/// The place of a module in the plan, if it has one.
pub fn place_of(module: &str) -> Option<Place> {
    let step = FLOORS.iter().position(|(_, _, modules)| modules.contains(&module))?;
    let (floor, tower, _) = FLOORS[step];
    Some(Place { floor, step, tower })
}

/// The modules that may name an outside crate, if it is one that not all may.
pub fn edge_of(krate: &str) -> Option<&'static [&'static str]> {
    EDGES.iter().find(|(crates, _)| crates.contains(&krate)).map(|(_, modules)| *modules)
}
