//! `inboxd passwd`: the users of a password file.

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};

use access::{EditError, Edited, edit_passwords};
use zeroize::Zeroizing;

use crate::cli::PasswdArgs;
use crate::exit::Exit;
use crate::said::answer;

/// What is read from a pipe at most, in bytes: more than any password that is taken.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Why a user was not written.
#[derive(Debug, thiserror::Error)]
pub enum PasswdError {
    /// The file was not changed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Two passwords were typed.
    #[error("the two passwords differ; nothing was changed")]
    Differ,
    /// There is no password on standard input.
    #[error("there is no password on standard input; pipe one line into `inboxd passwd`, or run it on a terminal")]
    NoPassword,
    /// The terminal, or the pipe, does not work.
    #[error("the password cannot be read ({0}); nothing was changed")]
    Unreadable(#[source] io::Error),
    /// It was done, and cannot be told.
    #[error("it was done, and standard output cannot be written to ({0})")]
    Unsaid(#[source] io::Error),
}

impl PasswdError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            PasswdError::Edit(EditError::Unwritable { .. }) => Exit::NotPermitted,
            PasswdError::Edit(EditError::File(_)) => Exit::BadConfiguration,
            _ => Exit::Failed,
        }
    }
}

/// Does what `args` say, and says on `out` what was done. The password is typed on the terminal, twice, or is the first line of `input` where that is
/// a pipe.
///
/// # Errors
/// See [`PasswdError`].
pub fn run(args: &PasswdArgs, input: &mut (impl Read + IsTerminal), out: &mut dyn Write) -> Result<(), PasswdError> {
    let password = match (args.delete, input.is_terminal()) {
        (true, _) => None,
        (false, true) => Some(ask(&args.user)?),
        (false, false) => Some(read_line(input)?),
    };
    let roles: Vec<Box<str>> = args.roles.iter().map(|role| role.as_str().into()).collect();
    let password = password.as_ref().map(|password| password.as_slice());
    let edited = match edit_passwords(&args.file, &args.user, password, &roles)? {
        Edited::Added => "added",
        Edited::Changed => "changed",
        Edited::Deleted => "deleted",
    };
    let (user, file) = (&args.user, args.file.display());
    let said = format!("{edited} user {user} in {file}; a running broker reads it again at SIGHUP\n");
    answer(out, &said).map_err(PasswdError::Unsaid)
}

fn ask(user: &str) -> Result<Zeroizing<Vec<u8>>, PasswdError> {
    let prompt = |text: String| {
        let typed = rpassword::prompt_password(text).map_err(PasswdError::Unreadable)?;
        Ok::<_, PasswdError>(Zeroizing::new(typed.into_bytes()))
    };
    let password = prompt(format!("New password of {user}: "))?;
    match prompt(format!("The same again, for {user}: "))? == password {
        true => Ok(password),
        false => Err(PasswdError::Differ),
    }
}

/// The first line, without its end.
fn read_line(input: &mut impl Read) -> Result<Zeroizing<Vec<u8>>, PasswdError> {
    let mut line = Zeroizing::new(Vec::new());
    let read = BufReader::new(input.take(LINE_BYTES_MAX)).read_until(b'\n', &mut line);
    if read.map_err(PasswdError::Unreadable)? == 0 {
        return Err(PasswdError::NoPassword);
    }
    for end in [b'\n', b'\r'] {
        if line.last() == Some(&end) {
            line.pop();
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_a_pipe() {
        // Goal: `echo secret | inboxd passwd` sets "secret", with the line ends of any system, and nothing is no password.
        for (piped, password) in [
            ("secret\n", "secret"),
            ("secret\r\nmore\n", "secret"),
            ("sec ret", "sec ret"),
            ("\n", ""),
        ] {
            assert_eq!(*read_line(&mut piped.as_bytes()).unwrap(), password.as_bytes());
        }
        assert!(matches!(read_line(&mut &b""[..]), Err(PasswdError::NoPassword)));
    }
}
