//! Tests of answers as bytes.

use super::*;

/// The status and the body of these bytes.
fn read(bytes: &[u8]) -> io::Result<Option<(u16, Vec<u8>)>> {
    let Some((status, mut body)) = head(bytes)? else {
        return Ok(None);
    };
    let mut all = Vec::new();
    body.read_to_end(&mut all)?;
    Ok(Some((status, all)))
}

#[test]
fn bodies_of_all_forms_are_read() {
    // Goal: a body has a length, or comes in chunks, or ends with the connection; what follows it is left alone.
    for (head, body) in [
        ("Content-Length: 5", "hello and more"),
        (
            "transfer-encoding: Chunked",
            "2\r\nhe\r\n03;x=y\r\nllo\r\n0\r\nTrailer: x\r\n\r\nmore",
        ),
        ("Server: x", "hello"),
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
        assert_eq!(
            read(bytes.as_bytes()).unwrap(),
            Some((200, b"hello".to_vec())),
            "{bytes}"
        );
    }
}

#[test]
fn what_is_cut_off_is_never_whole() {
    // Goal: wherever an answer with a length or with chunks ends early, that is an error.
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ] {
        assert!(read(bytes.as_bytes()).unwrap().is_some());
        for end in 0..bytes.len() {
            let cut = read(&bytes.as_bytes()[..end]);
            assert!(!matches!(cut, Ok(Some(_))), "{end}: {cut:?}");
        }
    }
}

#[test]
fn what_is_no_http_is_told() {
    // Goal: nonsense, endless heads and chunks without a size are errors, and no panics.
    assert_eq!(read(b"SSH-2.0-OpenSSH\r\n").unwrap(), None);
    assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").unwrap(), None);
    assert_eq!(read(&b"x".repeat(1 << 20)).unwrap(), None);
    for chunk in ["zz\r\n", "\r\n", "ffffffffffffffffff\r\n", "1\r\nab\r\n"] {
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
        assert!(read(bytes.as_bytes()).is_err(), "{chunk:?}");
    }
}
