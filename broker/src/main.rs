//! The `inboxd` command.

use std::process::ExitCode;
use std::sync::Arc;
use std::{env, io};

use admin::Remote;
use clap::Parser;
use inbox_bridge::{OpenError, Store, open_existing_store};
use inboxd::cli::{
    AclArgs, AclQuestion, BackupArgs, BrokerArgs, CheckArgs, Cli, Command, DoctorArgs, HealthArgs, ImportArgs,
    InboxArgs, InitArgs, PasswdArgs, RemoteArgs, RestoreArgs, ServeArgs, SessionArgs, StoreAction, TraceArgs,
};
use inboxd::config::{Config, ConfigError, LogConfig, ignored_variables};
use inboxd::exit::Exit;
use inboxd::inbox_command::{self, Streams};
use inboxd::signals::Signals;
use inboxd::{
    acl_command, backup_command, config_command, doctor, hardening, health_command, import_command, init_command,
    logging, passwd_command, remote, serve, session_command, store_command, trace_command,
};
use rustix::fs::Mode;
use rustix::process::umask;

fn main() -> ExitCode {
    // Whatever this process writes, and the libraries that keep its data, is for its owner alone.
    umask(Mode::RWXG | Mode::RWXO);
    let outcome = match Cli::parse().into_command() {
        Command::Serve(args) => run_broker(&args).map(done),
        Command::Init(args) => init(&args).map(done),
        Command::ImportConfig(args) => import(&args).map(done),
        Command::CheckConfig(args) => check_config(&args).map(done),
        Command::PrintConfig(args) => print_config(&args).map(done),
        Command::Doctor(args) => look_at_machine(&args),
        Command::Passwd(args) => edit_passwords(&args).map(done),
        Command::Acl(args) => ask_rules(&args),
        Command::Health(args) => ask_health(&args).map(done),
        Command::Inbox(args) => look_into_inboxes(&args).map(done),
        Command::Session(args) => look_at_sessions(&args).map(done),
        Command::Trace(args) => trace(&args).map(done),
        Command::Store(args) => work_on_store(&args.action).map(done),
        Command::Backup(args) => back_up(&args).map(done),
        Command::Restore(args) => restore(&args).map(done),
    };
    let exit = outcome.unwrap_or_else(|(exit, error)| {
        logging::say(&error.to_string());
        exit
    });
    logging::flush();
    if let lost @ 1.. = logging::audit_lost() {
        logging::say(&format!(
            "{lost} records of the audit log were lost: its file could not be written to"
        ));
        logging::flush();
    }
    exit.into()
}

fn done((): ()) -> Exit {
    Exit::Ok
}

type Outcome<T = ()> = Result<T, (Exit, anyhow::Error)>;

fn run_broker(args: &ServeArgs) -> Outcome {
    let config = configured(args.load())?;
    start_log(&config.log)?;
    if let Some(note) = note_on_variables() {
        tracing::info!("{note}");
    }
    serve::serve(&config, Signals::take).map_err(|error| (error.exit(), error.into()))
}

fn init(args: &InitArgs) -> Outcome {
    init_command::run(&args.dir, &mut io::stdout()).map_err(|error| (error.exit(), error.into()))
}

fn import(args: &ImportArgs) -> Outcome {
    let (from, out) = (&args.file, &args.out);
    import_command::run(from, out, &mut io::stdout()).map_err(|error| (error.exit(), error.into()))
}

/// Looks at everything that the broker looks at before it serves.
fn check_config(args: &CheckArgs) -> Outcome {
    let config = configured(args.serve.load())?;
    logging::check(&config.log).map_err(|error| (error.exit(), error.into()))?;
    let remarks = serve::check(&config).map_err(|error| (error.exit(), error.into()))?;
    let weaknesses = hardening::weaknesses(&config, args.serve.config.as_deref(), remarks);
    if let Some(note) = note_on_variables() {
        logging::say(&note);
    }
    weaknesses
        .iter()
        .for_each(|weakness| logging::say(&weakness.to_string()));
    if args.strict && !weaknesses.is_empty() {
        let unsafe_yet =
            anyhow::anyhow!("this configuration works and is not safe (docs/security.md, \"Hardening checklist\")");
        return Err((Exit::BadConfiguration, unsafe_yet));
    }
    config_command::check(&config, &mut io::stdout()).map_err(|error| (Exit::Failed, error.into()))
}

fn print_config(args: &ServeArgs) -> Outcome {
    let config = configured(args.load())?;
    config_command::print(&config, &mut io::stdout()).map_err(|error| (Exit::Failed, error.into()))
}

/// Ends with 1 when something must be changed, so that a script can ask.
fn look_at_machine(args: &DoctorArgs) -> Outcome<Exit> {
    let config = configured(args.serve.load())?;
    match doctor::run(&config, args.serve.config.as_deref(), args.json, &mut io::stdout()) {
        Ok(true) => Ok(Exit::Ok),
        Ok(false) => Ok(Exit::Failed),
        Err(error) => Err((Exit::Failed, error.into())),
    }
}

fn edit_passwords(args: &PasswdArgs) -> Outcome {
    let (mut input, mut out) = (io::stdin(), io::stdout());
    passwd_command::run(args, &mut input, &mut out).map_err(|error| (error.exit(), error.into()))
}

/// Ends with 1 when the answer is no, so that a script can ask.
fn ask_rules(args: &AclArgs) -> Outcome<Exit> {
    let AclQuestion::Test(question) = &args.question;
    let config = configured(args.load())?;
    match acl_command::test(question, &config, &mut io::stdout()) {
        Ok(true) => Ok(Exit::Ok),
        Ok(false) => Ok(Exit::Failed),
        Err(error) => Err((error.exit(), error.into())),
    }
}

fn ask_health(args: &HealthArgs) -> Outcome {
    let url = match &args.server {
        Some(url) => url.clone(),
        None => health_command::find(&configured(args.settings.load())?.data_dir)
            .map_err(|error| (Exit::Failed, error.into()))?,
    };
    health_command::run(&url, &mut io::stdout()).map_err(|error| (Exit::Failed, error.into()))
}

fn look_into_inboxes(args: &InboxArgs) -> Outcome {
    let failed = |error: inbox_command::InboxCommandError| (error.exit(), error.into());
    of_broker(
        &args.broker,
        args.action.changes(),
        |broker, streams| inbox_command::run_live(&args.action, broker, streams).map_err(failed),
        |store, streams| inbox_command::run(&args.action, store, streams).map_err(failed),
    )
}

fn look_at_sessions(args: &SessionArgs) -> Outcome {
    let failed = |error: session_command::SessionCommandError| (error.exit(), error.into());
    of_broker(
        &args.broker,
        false,
        |broker, streams| session_command::run_live(&args.action, broker, streams).map_err(failed),
        |store, streams| session_command::run(&args.action, store, streams).map_err(failed),
    )
}

/// Asks a broker that runs, or else looks at the store of one that is stopped, which the command may change or not.
fn of_broker(
    args: &BrokerArgs,
    changes_store: bool,
    live: impl FnOnce(&Remote, Streams<'_>) -> Outcome,
    stored: impl FnOnce(&dyn Store, Streams<'_>) -> Outcome,
) -> Outcome {
    let (mut input, mut out, mut notes) = (io::stdin().lock(), io::stdout().lock(), io::stderr());
    let streams = Streams {
        input: &mut input,
        out: &mut out,
        notes: &mut notes,
    };
    if let Some(broker) = named(&args.remote)? {
        start_quiet_log()?;
        return live(&broker, streams);
    }
    let mut config = configured(args.settings.load())?;
    // Whoever only looks makes no file that the broker could not write to.
    config.log.audit_file.take_if(|_| !changes_store);
    start_log(&config.log)?;
    match open(&config)? {
        Mail::Live(broker) => live(&broker, streams),
        Mail::Stored(store) => stored(&*store, streams).and(closed(&*store)),
    }
}

fn trace(args: &TraceArgs) -> Outcome {
    start_quiet_log()?;
    let broker = match named(&args.broker.remote)? {
        Some(broker) => broker,
        None => remote::on(&configured(args.broker.settings.load())?.data_dir)
            .map_err(|error| (error.exit(), error.into()))?,
    };
    trace_command::run(args, &broker, &mut io::stdout(), &mut io::stderr())
        .map_err(|error| (error.exit(), error.into()))
}

/// Where the mail of a data directory can be reached.
enum Mail {
    Stored(Arc<dyn Store>),
    Live(Remote),
}

/// Opens the store, or finds the broker that has it open.
fn open(config: &Config) -> Outcome<Mail> {
    match open_existing_store(&config.data_dir, &serve::store_options(config)) {
        Ok(store) => Ok(Mail::Stored(store)),
        Err(OpenError::Locked { .. }) => match remote::on_locked(&config.data_dir) {
            Ok(broker) => Ok(Mail::Live(broker)),
            Err(error) => Err((error.exit(), error.into())),
        },
        Err(error) => Err((serve::open_exit(&error), error.into())),
    }
}

fn closed(store: &dyn Store) -> Outcome {
    store.close().map_err(|error| (Exit::StoreFailed, error.into()))
}

fn named(args: &RemoteArgs) -> Outcome<Option<Remote>> {
    remote::named(args).map_err(|error| (error.exit(), error.into()))
}

fn work_on_store(action: &StoreAction) -> Outcome {
    start_quiet_log()?;
    let StoreAction::Convert { from, to, engine } = action;
    let (mut out, mut notes) = (io::stdout().lock(), io::stderr());
    store_command::run(from, to, *engine, &mut out, &mut notes).map_err(|error| (error.exit(), error.into()))
}

fn back_up(args: &BackupArgs) -> Outcome {
    let failed = |error: backup_command::BackupCommandError| (error.exit(), error.into());
    let save = |source: backup_command::Source<'_>| {
        backup_command::save(&args.file, args.force, source, &mut io::stderr()).map_err(failed)
    };
    let save_of = |broker: Remote| save(&mut |out| backup_command::of_broker(&broker, out, &mut io::stderr()));
    if let Some(broker) = named(&args.broker.remote)? {
        start_quiet_log()?;
        return save_of(broker);
    }
    let mut config = configured(args.broker.settings.load())?;
    config.log.audit_file = None;
    start_log(&config.log)?;
    match open(&config)? {
        Mail::Live(broker) => save_of(broker),
        Mail::Stored(store) => {
            let saved = save(&mut |out| backup_command::of_store(&*store, out, &mut io::stderr()));
            saved.and(closed(&*store))
        }
    }
}

fn restore(args: &RestoreArgs) -> Outcome {
    start_quiet_log()?;
    let (mut out, mut notes) = (io::stdout().lock(), io::stderr());
    let done = match &args.data {
        Some(to) => backup_command::restore(&args.file, to, args.engine, &mut out, &mut notes),
        // Either of the two options is there.
        None => backup_command::verify(&args.file, &mut out),
    };
    done.map_err(|error| (error.exit(), error.into()))
}

fn configured(config: Result<Config, ConfigError>) -> Result<Config, (Exit, anyhow::Error)> {
    config.map_err(|error| (Exit::BadConfiguration, error.into()))
}

fn start_log(log: &LogConfig) -> Outcome {
    logging::init(log.format, &log.level, log.audit_file.as_deref()).map_err(|error| (error.exit(), error.into()))
}

/// The log of a command that has no configuration.
fn start_quiet_log() -> Outcome {
    start_log(&LogConfig {
        level: "warn".to_owned(),
        ..Config::default().log
    })
}

/// A remark on the variables that are passed over, if there are any.
fn note_on_variables() -> Option<String> {
    let names = ignored_variables(env::vars_os());
    (!names.is_empty()).then(|| {
        format!(
            "environment variables that Kubernetes makes for a Service are no settings and are passed over: {}",
            names.join(", ")
        )
    })
}
